# SPDX-License-Identifier: GPL-2.0-only
"""Hostile inputs: each gets one clear line and its status, and touches nothing."""
