# SPDX-License-Identifier: GPL-2.0-only
"""Tests of difffuzz.machine: host memory, frames, TLB and page walk."""
