# SPDX-License-Identifier: GPL-2.0-only
"""`scripts/bench`: how fast programs run, and how cost and memory grow."""
