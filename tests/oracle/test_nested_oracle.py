# SPDX-License-Identifier: GPL-2.0-only
"""The oracle of an L2 under an EPT of L1's says what is wrong with an access, and only that."""

from __future__ import annotations

from collections import Counter

from difffuzz.machine.host import HostMM
from difffuzz.machine.user_access import user_load, user_store
from difffuzz.oracle.guest_tables import Made
from difffuzz.oracle.guest_walk import Translation
from difffuzz.oracle.nested_tables import EPT_FORMAT_NO_AD, EptTables
from difffuzz.program import normalise
from difffuzz.program.guest_tables import DIRECT_BASE, GVAS, TABLES
from difffuzz.program.limits import area_base
from difffuzz.program.model import Config, Program
from difffuzz.sched import Scheduler
from difffuzz.sides.base import FAULT, OK, Outcome
from difffuzz.sides.guest_memory import first_pages
from difffuzz.sides.memory_map import MemoryMap

READ, WRITE, EXEC = 0, 1, 2
RWX = 7
VIOLATION, MISCONFIG = 0, 8


class L1:
    """An L1 as it begins, and the oracle that watches it."""

    def __init__(self) -> None:
        config = normalise(Program(Config(guest="ept12"))).config
        self.mm = HostMM(Scheduler(), config.areas)
        for gfn, number, words in first_pages(nested=True):
            self.mm.contents.learn(number, words)
            self.mm.copy_to_user(area_base(0) + (gfn << 12), number)
        for gfn in (0x10, 0x11, 0x13):
            user_load(self.mm, area_base(0) + (gfn << 12), atomic=False)
        self.tables = EptTables("side", self.mm, MemoryMap(config), Counter())
        self.tables.format = EPT_FORMAT_NO_AD
        self.tables.begin(0)
        self.tables.settle()

    def pfn(self, gfn: int) -> int:
        return self.mm.lookup(area_base(0) + (gfn << 12)) >> 12

    def write(self, letter: str, place: int, entry: int) -> None:
        gpa = (TABLES[letter] << 12) + 8 * (place + 1)
        user_store(self.mm, area_base(0) + gpa, entry)
        self.tables.settle(gpa)

    def says(
        self, access: int, result: str, gfn: int = -1, value: int = 0, gva: int = GVAS[0]
    ) -> list[str]:
        outcome = Outcome(result, value)
        outcome.pfn = self.pfn(gfn) if gfn >= 0 else -1
        found = self.tables.access(0, Made(gva, access, user=False), outcome)
        return [one.location for one in found]


def test_what_the_ept_says_is_quiet() -> None:
    l1 = L1()
    assert not l1.says(WRITE, OK, 0x10)
    assert not l1.says(READ, OK, 0x10)


def test_another_frame_is_not() -> None:
    assert L1().says(READ, OK, 0x11) == ["mapping"]


def test_a_stale_translation_may_be_used_until_invept() -> None:
    l1 = L1()
    l1.write("G", 0, 0x13 << 12 | RWX)
    assert not l1.says(READ, OK, 0x10)
    assert not l1.says(READ, OK, 0x13)
    l1.tables.flushed_all(0)
    assert not l1.says(READ, OK, 0x13)
    assert l1.says(READ, OK, 0x10) == ["mapping"]


def test_invept_of_one_ept_leaves_the_other() -> None:
    l1 = L1()
    l1.write("G", 0, 0x13 << 12 | RWX)
    l1.tables.chosen[0] = 1
    l1.tables.flushed_all(0)
    l1.tables.chosen[0] = 0
    assert not l1.says(READ, OK, 0x10)


def test_rights() -> None:
    l1 = L1()
    l1.write("G", 0, 0x10 << 12 | 4)
    l1.tables.flushed_all(0)
    assert l1.says(READ, OK, 0x10) == ["mapping"]
    assert l1.says(WRITE, OK, 0x10) == ["mapping"]
    assert not l1.says(EXEC, OK, 0x10)
    assert not l1.says(READ, FAULT, value=VIOLATION)
    assert l1.says(EXEC, FAULT, value=VIOLATION) == ["page-fault"]
    assert l1.says(READ, FAULT, value=MISCONFIG) == ["page-fault"]


def test_misconfigurations() -> None:
    for entry in (0x10 << 12 | 2, 0x10 << 12 | 6, 1 << 50 | RWX):
        l1 = L1()
        l1.write("G", 0, entry)
        assert not l1.says(READ, FAULT, value=MISCONFIG)
        assert l1.says(READ, FAULT, value=VIOLATION) == ["page-fault"]
    for entry in (TABLES["G"] << 12 | RWX | 0x30, 0x201 << 12 | RWX | 0x80):
        l1 = L1()
        l1.write("E", 0, entry)
        assert not l1.says(READ, FAULT, value=MISCONFIG)


def test_l1_is_where_it_says() -> None:
    l1 = L1()
    at = DIRECT_BASE + (0x11 << 12)
    assert not l1.says(READ, OK, 0x11, gva=at)
    assert l1.says(READ, OK, 0x10, gva=at) == ["mapping"]
    assert l1.tables.now(0, at).translation == Translation("page", 0x11, True, True)
    assert l1.says(READ, FAULT, gva=at) == ["page-fault"]
