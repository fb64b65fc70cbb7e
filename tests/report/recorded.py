# SPDX-License-Identifier: GPL-2.0-only
"""Runs of the catalogue's programs, recorded."""

from __future__ import annotations

from difffuzz.program import parse
from difffuzz.report.recorder import Recorder
from difffuzz.report.recording import Recording
from difffuzz.running.runner import Runner
from difffuzz.variants.catalogue import find


def recorded(name: str) -> Recording:
    bug = find(name)
    program = parse(bug.program)
    recorder = Recorder()
    verdict = Runner(*bug.sides())(program, trace=True, notes=recorder)
    return recorder.recording(name, program, bug.sides(), verdict)
