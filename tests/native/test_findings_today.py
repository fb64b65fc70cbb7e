# SPDX-License-Identifier: GPL-2.0-only
"""The bugs of Linux 7.2 that docs/findings.md describes, by the programs that it shows."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from difffuzz.engine import guest_lockstep, lockstep
from difffuzz.engine.explore import Stop, explore
from difffuzz.engine.there_and_back import there_and_back
from difffuzz.oracle import Verdict
from difffuzz.program import Program, parse
from difffuzz.shipped import HARNESS
from difffuzz.sides import NativeFactory, open_side

from .kernel import built_newer

MENDED = HARNESS / "mended" / "today.toml"
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "findings.md"
SHOWN = re.compile(r"^(?:    .+\n)+", re.MULTILINE)
WRONG_LIST = {"accounting:tdp:end:nx_pages_of_legacy", "accounting:tdp:end:nx_pages_of_tdp"}
AT_ONCE = {
    "KVM_CLEAR_DIRTY_LOG": {"dirty-log:legacy:dirty_get:lost", "dirty-log:tdp:dirty_get:lost"},
    "stale MMIO": {"permission:legacy:write:tracked", "permission:tdp:write:tracked"},
    "aging": {"warn:tdp:end_fault:tdp_mmu.c"},
    "memslot that is gone": {"warn:legacy:nx_recover:mmu.c", "warn:tdp:nx_recover:mmu.c"},
    "counts what it takes": WRONG_LIST,
    "without SRCU": {"rcu:legacy:end:memslots"},
    "without EFER.NX": {"warn:legacy:gva_read:spte.c", "warn:tdp:gva_read:spte.c"},
}
"""A word of the title: the signatures, without lines of the kernel's files."""
RACES = {
    "names too few gfns": "stale-access:legacy:write:freed",
    "takes the place of a mapped page": "warn:legacy:meeting:mmu.c",
}
"""The same of one preemption."""


def program(word: str) -> Program:
    """The program below the title with that word."""
    parts = [part for part in DOCUMENT.read_text().split("\n## ") if word in part.splitlines()[0]]
    assert len(parts) == 1, word
    shown = SHOWN.search(parts[0])
    assert shown is not None
    return parse(re.sub(r"^    ", "", shown[0], flags=re.MULTILINE))


def sides(*patches: Path) -> tuple[NativeFactory, NativeFactory]:
    """Both MMUs of Linux 7.2."""
    name = built_newer("7.2", *patches)
    found = [open_side(f"native:{name}:{mmu}") for mmu in ("legacy", "tdp")]
    assert isinstance(found[0], NativeFactory)
    assert isinstance(found[1], NativeFactory)
    return found[0], found[1]


def run(shown: Program, left: NativeFactory, right: NativeFactory) -> Verdict:
    """One operation at a time."""
    if shown.config.guest != "none":
        return guest_lockstep.run(shown, left, right)
    return lockstep.run(shown, left, right)


def known(signature: str) -> str:
    """A signature without the name of the build and the line in the kernel's file."""
    return re.sub(r"\.c:\d+$", ".c", re.sub(r":native:[^:]+:", ":", signature))


@pytest.mark.parametrize("word", AT_ONCE)
def test_it_is_there(word: str) -> None:
    verdict = run(program(word), *sides())
    assert {known(one.signature) for one in verdict.divergences} == AT_ONCE[word]


@pytest.mark.parametrize("word", RACES)
def test_a_race_is_there(word: str) -> None:
    found = explore(program(word), *sides(), 1, reduce=False, first_only=True, sides=(0,))
    assert {known(one.divergence.signature) for one in found.shown} == {RACES[word]}


@pytest.mark.parametrize("word", AT_ONCE)
def test_it_is_mended(word: str) -> None:
    assert run(program(word), *sides(MENDED)).divergences == []


@pytest.mark.parametrize("word", RACES)
def test_a_race_is_mended(word: str) -> None:
    assert not there_and_back(program(word), *sides(MENDED), sides=(0,), stop=after(3000)).shown


def after(schedules: int) -> Stop:
    """Ends a search."""
    return lambda found: found.schedules > schedules
