# SPDX-License-Identifier: GPL-2.0-only
"""Tests of what runs a program and says what happened."""
