# SPDX-License-Identifier: GPL-2.0-only
"""The oracle of an L2 under an NPT of L1's says what is wrong with an access, and only that."""

from __future__ import annotations

from collections import Counter

from difffuzz.machine.host import HostMM
from difffuzz.machine.user_access import user_load, user_store
from difffuzz.oracle.guest_tables import Made
from difffuzz.oracle.nested_tables import NptTables
from difffuzz.program import Kind, normalise
from difffuzz.program.fields import SWITCHED
from difffuzz.program.guest_tables import GVAS, TABLES
from difffuzz.program.limits import area_base
from difffuzz.program.model import Config, Program
from difffuzz.sched import Scheduler
from difffuzz.sides.base import FAULT, OK, Outcome
from difffuzz.sides.guest_memory import first_pages
from difffuzz.sides.memory_map import MemoryMap

READ, WRITE, EXEC = 0, 1, 2
P, W, U, NX = 1, 2, 4, 1 << 63
A, D = 1 << 5, 1 << 6
F_P, F_W, F_U, F_RSVD, F_FETCH = 1, 2, 4, 8, 16


class L1:
    """An L1 as it begins, and the oracle that watches it."""

    def __init__(self) -> None:
        config = normalise(Program(Config(guest="npt12"))).config
        self.mm = HostMM(Scheduler(), config.areas)
        self.allowed: Counter[str] = Counter()
        for gfn, number, words in first_pages(nested=True):
            self.mm.contents.learn(number, words)
            self.mm.copy_to_user(area_base(0) + (gfn << 12), number)
        for gfn in (0x10, 0x13):
            user_load(self.mm, area_base(0) + (gfn << 12), atomic=False)
        self.tables = NptTables("side", self.mm, MemoryMap(config), self.allowed)
        self.tables.begin(0)
        self.tables.settle()
        for letter, to in zip("ACE", "CEG", strict=True):
            self.write(letter, 0, TABLES[to] << 12 | P | W | U | A)
        self.write("G", 0, 0x10 << 12 | P | W | U | A | D)
        self.does(Kind.INVLPG)

    def write(self, letter: str, place: int, entry: int) -> None:
        gpa = (TABLES[letter] << 12) + 8 * (place + 1)
        user_store(self.mm, area_base(0) + gpa, entry)
        self.tables.settle(gpa)

    def does(self, kind: Kind, arg: int = 0) -> None:
        self.tables.instruction(0, kind, (arg,))

    def says(self, access: int, result: str, gfn: int = -1, value: int = 0) -> list[str]:
        outcome = Outcome(result, value)
        if gfn >= 0:
            outcome.pfn = self.mm.lookup(area_base(0) + (gfn << 12)) >> 12
        found = self.tables.access(0, Made(GVAS[0], access, user=False), outcome)
        return [one.location for one in found]


def test_what_the_npt_says_is_quiet_and_another_frame_is_not() -> None:
    assert not L1().says(WRITE, OK, 0x10)
    assert L1().says(READ, OK, 0x13) == ["mapping"]


def test_accessed_and_dirty_bits_are_set() -> None:
    l1 = L1()
    l1.write("G", 0, 0x10 << 12 | P | W | U | A)
    l1.does(Kind.INVLPG)
    assert not l1.says(READ, OK, 0x10)
    assert l1.says(WRITE, OK, 0x10) == ["accessed-dirty"]


def test_walks_are_those_of_the_user() -> None:
    l1 = L1()
    l1.write("C", 0, TABLES["E"] << 12 | P | W | A)
    l1.does(Kind.INVLPG)
    assert l1.says(READ, OK, 0x10) == ["mapping"]
    assert not l1.says(READ, FAULT, value=F_P | F_U)
    assert l1.says(READ, FAULT, value=F_P) == ["page-fault"]


def test_what_is_not_writable_is_not_whatever_cr0_is() -> None:
    l1 = L1()
    l1.write("G", 0, 0x10 << 12 | P | U | A)
    l1.does(Kind.INVLPG)
    assert l1.says(WRITE, OK, 0x10) == ["mapping"]
    assert not l1.says(WRITE, FAULT, value=F_P | F_W | F_U)


def test_a_fault_flushes_nothing() -> None:
    l1 = L1()
    l1.write("G", 0, 0x13 << 12 | P | U | A)
    assert not l1.says(WRITE, FAULT, value=F_P | F_W | F_U)
    assert not l1.says(WRITE, OK, 0x10)
    l1.does(Kind.INVLPG)
    assert l1.says(WRITE, OK, 0x10) == ["mapping"]


def test_a_flush_is_of_the_root_in_use() -> None:
    l1 = L1()
    l1.write("G", 0, 0x13 << 12 | P | W | U | A | D)
    l1.does(Kind.CR3, 1)
    l1.does(Kind.INVLPG)
    l1.does(Kind.CR3, 0)
    assert not l1.says(READ, OK, 0x10)


def test_bit_63_is_reserved_without_nx() -> None:
    l1 = L1()
    l1.write("G", 0, 0x10 << 12 | P | W | U | A | D | NX)
    l1.does(Kind.INVLPG)
    assert not l1.says(READ, OK, 0x10)
    assert l1.says(EXEC, OK, 0x10) == ["mapping"]
    l1.does(Kind.TOGGLE, SWITCHED.words.index("nx"))
    assert l1.says(READ, OK, 0x10) == ["mapping"]
    assert not l1.says(READ, FAULT, value=F_P | F_U | F_RSVD)
    assert not l1.says(EXEC, FAULT, value=F_P | F_U | F_RSVD | F_FETCH)
    assert not l1.allowed
    assert not l1.says(EXEC, FAULT, value=F_P | F_U | F_RSVD)
    assert l1.allowed == {"npt-fetch": 1}


def test_a_fetch_is_told_where_nx_is_on() -> None:
    l1 = L1()
    l1.write("G", 0, 0)
    assert l1.says(EXEC, FAULT, value=F_U) == ["page-fault"]
    assert not l1.says(EXEC, FAULT, value=F_U | F_FETCH)
