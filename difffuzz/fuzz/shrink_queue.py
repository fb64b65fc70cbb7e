# SPDX-License-Identifier: GPL-2.0-only
"""Shrink the findings of a run, one after the other, in a process beside the workers.

The workers go on meanwhile, and the minimiser runs the model without instrumentation, which is
several times as fast.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections import deque

from ..running.orphan import parent_note
from .findings import Finding

SHRINK_SECONDS = 10.0


class ShrinkQueue:
    """Findings that wait for `python -m difffuzz.shrink`, which rewrites their file."""

    def __init__(self, left: str, right: str, mode: str) -> None:
        self._sides = ["--left", left, "--right", right, "--mode", mode]
        self._waiting: deque[Finding] = deque()
        self._process: subprocess.Popen[bytes] | None = None

    def add(self, finding: Finding) -> None:
        self._waiting.append(finding)

    def poll(self) -> bool:
        """Start the next one when there is room; False when nothing is left to do."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        if self._process is None and self._waiting:
            self._start(self._waiting.popleft())
        return self._process is not None

    @property
    def busy(self) -> bool:
        """One is being shrunk, or waits."""
        return self._process is not None or bool(self._waiting)

    def kill(self) -> None:
        """End at once: every file is whole at every moment."""
        self._waiting.clear()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _start(self, finding: Finding) -> None:
        options = [*self._sides, "--signature", finding.signature]
        options += ["--seconds", str(SHRINK_SECONDS), finding.program]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "difffuzz.shrink", *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={**os.environ, **parent_note()},
        )
