# SPDX-License-Identifier: GPL-2.0-only
"""Tests of difffuzz.oracle: every oracle fires where it should and nowhere else."""
