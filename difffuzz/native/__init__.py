# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own MMU code, built from a user's tree into a library and run as a side."""
