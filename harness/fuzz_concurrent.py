#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Fuzz target: the legacy MMU against the TDP MMU, under schedules.

Takes libFuzzer's flags and corpus directories. A divergence ends the process as a crash, with the
program in text on stderr; the input that libFuzzer keeps replays as any other file of the corpus.
"""

from difffuzz.fuzz.target import service_main

if __name__ == "__main__":
    service_main("legacy", "tdp", "concurrent")
