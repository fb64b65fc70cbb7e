# SPDX-License-Identifier: GPL-2.0-only
"""Tests of difffuzz.sides: names, the specification, the memory map."""
