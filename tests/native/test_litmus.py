# SPDX-License-Identifier: GPL-2.0-only
"""Litmus tests on the kernel's own READ_ONCE(), WRITE_ONCE(), smp_mb(), atomics and locks.

They end as x86-TSO says, no more and no less: tests/sched/test_store_buffer.py has the machine that
says it, and the same tests on the model's primitives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from random import Random

import pytest

from difffuzz.machine.host import HostMM
from difffuzz.native.abi.calls import Instruction, Litmus
from difffuzz.native.build import load_build
from difffuzz.native.cache import default_cache
from difffuzz.native.host import Host
from difffuzz.native.library import Library
from difffuzz.sched import RwLock
from difffuzz.sched.interleave import Interleaver

from ..sched.test_store_buffer import (
    ALLOWED,
    DEPARTURES,
    End,
    Test,
    explored,
    litmus,
    machine,
    reads,
)
from .kernel import built, built_with_stores

WORDS = "xyz"
SPINNING = "LM"


@cache
def library(stores: bool = False) -> Library:
    name = built_with_stores() if stores else built()
    return Library(Path(load_build(default_cache(), name).library))


def instruction(word: str, *rest: str, load: Litmus) -> Instruction:
    """One of the words of a litmus test; `x:=1` is a plain store."""
    if word == "fence":
        return Instruction(Litmus.FENCE)
    if rest:
        sleeps = rest[0] not in SPINNING
        if word == "lock":
            kind = Litmus.SLEEPING_LOCK if sleeps else Litmus.LOCK
        else:
            kind = Litmus.SLEEPING_UNLOCK if sleeps else Litmus.UNLOCK
        return Instruction(kind, 0 if sleeps else SPINNING.index(rest[0]))
    at = WORDS.index(word[0])
    if "=" in word:
        kind = Litmus.PLAIN_STORE if ":" in word else Litmus.STORE
        return Instruction(kind, at, int(word.partition("=")[2]))
    return Instruction(Litmus.ADD if word.endswith("+") else load, at)


def played(
    code: tuple[tuple[str, ...], ...], load: Litmus = Litmus.LOAD, stores: bool = False
) -> list[int]:
    """What the current task reads when it does all of it."""
    row = (Instruction * len(code))(*[instruction(*words, load=load) for words in code])
    seen = (ctypes.c_long * len(code))()
    n = library(stores).run("litmus", ctypes.addressof(row), len(code), ctypes.addressof(seen))
    return seen[:n]


def run(test: Test, sched: Interleaver, stores: bool = False) -> End:
    """How one run ends: what each thread read, then memory; of a build with stores?"""
    host = Host(library(stores), HostMM(sched, ()), RwLock(sched, "mmu_lock"), [], [])
    library(stores).reset(sched, host.table)
    seen: list[list[int]] = [[] for _ in test]

    def body(n: int) -> Callable[[], None]:
        return lambda: seen[n].extend(played(test[n], stores=stores))

    sched.run([(sched.add_task(f"task{n}", n), body(n)) for n in range(len(test))])
    memory = played((("x",), ("y",), ("z",)), Litmus.PLAIN_LOAD, stores)
    return (*(value for each in seen for value in each), *memory)


@pytest.mark.parametrize("name", ALLOWED)
def test_litmus(name: str) -> None:
    test, count, end, allowed = ALLOWED[name]
    ends = explored(test, departures=2 if name == "IRIW" else DEPARTURES, run=run)
    assert (end in reads(ends, count)) is allowed
    assert ends == machine(test)


@pytest.mark.parametrize("name", ["SB", "SB+unlocks", "R", "n6"])
def test_nothing_is_delayed_unless_it_is_asked_for(name: str) -> None:
    test, count, end, _ = ALLOWED[name]
    ends = explored(test, delays=False, run=run)
    assert ends == machine(test, delays=False)
    assert end not in reads(ends, count)


def test_any_program_ends_as_the_machine_says() -> None:
    words = ("x=1", "x=2", "y=1", "y=2", "x", "y", "x+", "fence")
    rng = Random(1)
    for number in range(60):
        sizes = (3 - number % 2, 2)
        test = tuple(tuple((word,) for word in rng.choices(words, k=size)) for size in sizes)
        assert explored(test, run=run) == machine(test), test


def test_a_released_lock_can_be_taken_again() -> None:
    test = litmus("lock L; x=1; unlock L; lock L; x=2; unlock L\nlock L; x; unlock L")
    assert explored(test, run=run) == machine(test)


@pytest.mark.parametrize("name", ["SB", "SB+mfences", "SB+locked", "SB+unlocks", "MP", "R", "n6"])
def test_a_build_with_stores_ends_the_same(name: str) -> None:
    test = ALLOWED[name][0]
    assert explored(test, run=partial(run, stores=True)) == machine(test)


OVERTAKEN = litmus("x=1; y:=1\ny; x"), litmus("x=1; y=1\ny; x")


def test_a_plain_store_waits_behind_others_in_a_build_with_stores() -> None:
    """In no other: there it overtakes, as no store does on x86."""
    plain, same = OVERTAKEN
    assert explored(plain, run=partial(run, stores=True)) == machine(same)
    assert explored(plain, run=run) - machine(same) == {(1, 0, 1, 1, 0)}
