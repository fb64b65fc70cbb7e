# SPDX-License-Identifier: GPL-2.0-only
"""Programs and sides for the tests of lockstep runs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from difffuzz.engine.lockstep import Step
from difffuzz.oracle import Verdict
from difffuzz.program import Config, Program, parse
from difffuzz.sides import SideFactory, open_side
from difffuzz.sides.base import Side

SMALL = "slot 0 gfn=0x0 pages=0x400 area=1\n"
NO_FLUSH = """\
--- a/difffuzz/kvm/mmu_notifier.py
+++ b/difffuzz/kvm/mmu_notifier.py
@@ -1,2 +1,2 @@
     if flush_on_ret and ret:
-        kvm_flush_remote_tlbs(kvm)
+        pass
"""
STALE = "stale-access:tdp:read:tlb"
STALE_PROGRAM = "vcpu0: write gfn=0x3\nhost0: dontneed area=1 page=0x3 n=0x1\nvcpu0: read gfn=0x3\n"
"""Meets STALE in its last operation on a side that does not flush."""


def program_of(text: str) -> Program:
    """The program whose text form this is, but for the first line."""
    return parse(f"difffuzz program v1\n{text}")


def broken_tdp(directory: Path, patch: str = NO_FLUSH, name: str = "broken") -> SideFactory:
    """The side tdp with that patch."""
    path = directory / f"{name}.patch"
    path.write_text(patch)
    return open_side(f"tdp+{path}")


def steps(verdict: Verdict) -> Iterator[Step]:
    """The steps of its trace."""
    for step in verdict.trace:
        assert isinstance(step, Step)
        yield step


class Kept:
    """A factory that keeps the sides it started."""

    def __init__(self, name: str) -> None:
        self.factory = open_side(name)
        self.name = self.factory.name
        self.step_limit = self.factory.step_limit
        self.started: list[Side] = []

    def start(self, config: Config) -> Side:
        """Starts and keeps a side."""
        side = self.factory.start(config)
        self.started.append(side)
        return side
