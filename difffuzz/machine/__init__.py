# SPDX-License-Identifier: GPL-2.0-only
"""What KVM stands on: host memory, page-table memory, and the guest's hardware."""
