# SPDX-License-Identifier: GPL-2.0-only
"""Tells a bug from what the same program shows without its patch."""

from __future__ import annotations

from pathlib import Path

from ..files.program_file import read_program
from ..fuzz.findings import Finding
from ..program import Program
from ..running.runner import Runner


class Judge:
    """A program shows the bug if it diverges on the patched sides with a signature that it does not
    have on the same sides without the patch.

    The plain sides need not be quiet: the model of a kernel has that kernel's bugs, and the
    kernel's own code differs from a model of another version.
    """

    def __init__(self, run: Runner, plain: tuple[str, str]) -> None:
        """`run` runs the patched sides, which are named in its signatures without their patches;
        `plain` are the same two without."""
        self.run = run
        self._plain = Runner(*plain, run.mode)
        patched = run.left, run.right
        self._names = [
            (one.split("+")[0], other.split("+")[0])
            for one, other in zip(patched, plain, strict=True)
        ]

    def is_the_bug(self, program: Program, signature: str) -> bool:
        """True if the unpatched sides do not show that signature."""
        for patched, plain in self._names:
            signature = signature.replace(patched, plain)
        return signature not in {one.signature for one in self._plain(program).divergences}

    def is_quiet(self, program: Program) -> bool:
        """True if the unpatched sides show nothing at all."""
        return not self._plain(program).divergences

    def shown(self, program: Program) -> str:
        """The signature that is the bug's, if the program shows it, else ""."""
        verdict = self.run(program)
        if verdict.schedule is not None:
            program = program._replace(schedule=verdict.schedule)
        for one in verdict.divergences:
            if self.is_the_bug(program, one.signature):
                return one.signature
        return ""

    def accept(self, finding: Finding) -> bool:
        """The same for a finding of a fuzzing run."""
        return self.is_the_bug(read_program(Path(finding.program)), finding.signature)
