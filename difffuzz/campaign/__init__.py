# SPDX-License-Identifier: GPL-2.0-only
"""Fuzzing that goes on for weeks: a folder that outlives its processes, and who works in it."""
