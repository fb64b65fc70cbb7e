# SPDX-License-Identifier: GPL-2.0-only
"""The mail that tells the developers of a finding: what happens, how to see it, what brought it."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

from ..oracle import ORACLES
from ..program import ProgramError
from .bisect import Culprit
from .record import Record

WIDTH = 72


def mail(record: Record, tree: str, culprit: Culprit | None, explained: Iterable[str]) -> str:
    """`tree` is what it was tried on; `explained` the lines of an explanation.

    ProgramError: the store has no program.
    """
    program = record.program.rstrip()
    if not program:
        raise ProgramError(f"finding {record.id}", 1, 1, "a program")
    says = " ".join(ORACLES.get(record.oracle, "").split())
    lines = [
        f"Subject: [BUG] KVM: x86/mmu: {record.oracle}: {_cut(record.detail)}",
        "",
        f"What should hold ({record.oracle}):",
        *_wrapped(says),
        "",
        "What happens:",
        *_wrapped(record.detail),
        "",
        f"Tried on {tree}, the kernel's own MMU code compiled into difffuzz ({record.sides}).",
        f"It shows in {record.shown} of {record.runs} runs. This program shows it:",
        "",
        *(f"  {line}" for line in program.split("\n")),
        "",
        *_explanation(explained),
        f"To see it again: difffuzz replay FILE --left {record.left} --right {record.right}",
    ]
    if culprit is not None:
        lines += ["", culprit.fixes]
    return "\n".join(lines) + "\n"


def _explanation(explained: Iterable[str]) -> list[str]:
    """Nothing if there is none: the sides may be gone by now."""
    lines = [f"  {line}" for line in explained]
    return ["Operation by operation:", "", *lines, ""] if lines else []


def _cut(text: str) -> str:
    line = text.partition(": ")[2] or text
    return line if len(line) <= WIDTH else f"{line[: WIDTH - 3]}..."


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")
