# SPDX-License-Identifier: GPL-2.0-only
"""ftrace text of KVM: events, faults, what they prove wrong, and a program made of them."""
