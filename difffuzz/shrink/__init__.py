# SPDX-License-Identifier: GPL-2.0-only
"""Shrinks a program while what it shows stays: the minimiser, and small named passes.

`python -m difffuzz.shrink` rewrites a finding's file; `difffuzz minimize` calls finding.py.
"""
