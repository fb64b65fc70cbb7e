# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that is booted under QEMU, and the agent in it that runs programs on its KVM."""
