# SPDX-License-Identifier: GPL-2.0-only
"""Campaigns in a browser: what `difffuzz serve` shows, and what it keeps out."""
