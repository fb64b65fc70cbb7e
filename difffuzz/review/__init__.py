# SPDX-License-Identifier: GPL-2.0-only
"""Reviews a change of the kernel: builds before and after, compares, fuzzes, says what differs."""
