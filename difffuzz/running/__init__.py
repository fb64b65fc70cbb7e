# SPDX-License-Identifier: GPL-2.0-only
"""Runs one program on two sides, whatever happens: for the fuzzer, replays, hunts and shrinking.

Nothing is imported here: runner.py loads the model, and a fuzzing process instruments it before.
"""
