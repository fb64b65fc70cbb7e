# SPDX-License-Identifier: GPL-2.0-only
"""Tests of difffuzz.files: what is read, and what is refused."""
