# SPDX-License-Identifier: GPL-2.0-only
"""The oracle of guests with page tables says what is wrong with an access, and only that."""

from __future__ import annotations

from collections import Counter

import pytest

from difffuzz.machine.host import HostMM
from difffuzz.machine.user_access import user_load, user_store
from difffuzz.oracle.guest_tables import GuestTables, Made
from difffuzz.oracle.guest_walk import Modes, Translation, fault_code, permits
from difffuzz.program import normalise
from difffuzz.program.guest_tables import GVAS, TABLES
from difffuzz.program.limits import area_base
from difffuzz.program.model import Config, Program
from difffuzz.sched import Scheduler
from difffuzz.sides.base import FAULT, MMIO, OK, STUCK, Outcome
from difffuzz.sides.guest_memory import first_words
from difffuzz.sides.memory_map import MemoryMap

READ, WRITE, EXEC = 0, 1, 2
A_D = 0x60
PAGE = Translation("page", 0x10, user=True, writable=True)


class Guest:
    """A guest as it begins, its memory, and the oracle that watches it."""

    def __init__(self) -> None:
        config = normalise(Program(Config(guest="paging64"))).config
        self.mm = HostMM(Scheduler(), config.areas)
        self.allowed: Counter[str] = Counter()
        for gfn, words in first_words().items():
            self.mm.copy_to_user(area_base(0) + (gfn << 12), self.mm.contents.number(words))
        for gfn in (0x10, 0x11):
            user_load(self.mm, area_base(0) + (gfn << 12), atomic=False)
        self.tables = GuestTables("side", self.mm, MemoryMap(config), self.allowed)
        self.tables.begin(0)
        self.tables.settle()

    def pfn(self, gfn: int) -> int:
        return self.mm.lookup(area_base(0) + (gfn << 12)) >> 12

    def write(self, letter: str, place: int, entry: int) -> None:
        """The guest writes an entry."""
        gpa = (TABLES[letter] << 12) + 8 * (place + 1)
        user_store(self.mm, area_base(0) + gpa, entry)
        self.tables.settle(gpa)

    def set_bits(self, bits: int = A_D) -> None:
        """Accessed and dirty bits on the way of the first address."""
        for letter in "ACEG":
            hva = area_base(0) + (TABLES[letter] << 12) + 8
            user_store(self.mm, hva, (user_load(self.mm, hva, atomic=False) or 0) | bits)

    def says(self, access: int, result: str, pfn: int = -1, value: int = 0) -> list[str]:
        outcome = Outcome(result, value)
        outcome.pfn = pfn
        found = self.tables.access(0, Made(GVAS[0], access, True), outcome)
        return [f"{one.oracle}:{one.location}" for one in found]


def test_an_access_uses_what_the_tables_say() -> None:
    guest = Guest()
    guest.set_bits()
    assert guest.says(READ, OK, guest.pfn(0x10)) == []
    assert guest.says(READ, OK, guest.pfn(0x11)) == ["guest-walk:mapping"]
    assert guest.says(READ, MMIO) == ["guest-walk:mmio"]
    assert guest.says(READ, STUCK) == ["progress:guest-"]


def test_what_was_not_flushed_may_be_used() -> None:
    guest = Guest()
    guest.set_bits()
    guest.write("G", 0, 0x11007)
    assert guest.says(READ, OK, guest.pfn(0x10)) == []
    assert guest.says(READ, OK, guest.pfn(0x11)) == []
    guest.tables.flushed(0, GVAS[0])
    assert guest.says(READ, OK, guest.pfn(0x10)) == ["guest-walk:mapping"]


def test_bits_are_set() -> None:
    guest = Guest()
    assert guest.says(READ, OK, guest.pfn(0x10)) == ["guest-walk:accessed-dirty"]
    guest.set_bits(0x20)
    assert guest.says(READ, OK, guest.pfn(0x10)) == []
    assert guest.says(WRITE, OK, guest.pfn(0x10)) == ["guest-walk:accessed-dirty"]


def test_a_fault_has_the_code_of_now() -> None:
    guest = Guest()
    guest.write("G", 0, 0x10005)
    assert guest.says(WRITE, FAULT, value=0x7) == []
    assert guest.says(WRITE, FAULT, value=0x6) == ["guest-walk:page-fault"]
    assert guest.says(READ, FAULT, value=0x4) == ["guest-walk:page-fault"]


def test_a_frame_that_is_free_is_nobodys() -> None:
    guest = Guest()
    freed = guest.pfn(0x10)
    guest.mm.madvise_dontneed(area_base(0) + (0x10 << 12), area_base(0) + (0x11 << 12))
    user_load(guest.mm, area_base(0) + (0x10 << 12), atomic=False)
    assert guest.pfn(0x10) != freed
    assert guest.says(READ, OK, freed) != []


def test_a_device_leaves_little_to_judge() -> None:
    guest = Guest()
    user_store(guest.mm, area_base(0) + (TABLES["G"] << 12) + 8, 0x11007)
    guest.tables.settle()
    assert guest.tables.foreign
    assert guest.says(READ, OK, guest.pfn(0x12)) == []


@pytest.mark.parametrize(
    ("found", "modes", "access", "user", "code"),
    [
        (PAGE, Modes(), WRITE, True, -1),
        (PAGE._replace(writable=False), Modes(), WRITE, False, 0x3),
        (PAGE._replace(writable=False), Modes(wp=False), WRITE, False, -1),
        (PAGE._replace(writable=False), Modes(wp=False), WRITE, True, 0x7),
        (PAGE._replace(user=False), Modes(), READ, True, 0x5),
        (PAGE._replace(nx=True), Modes(), EXEC, True, 0x15),
        (PAGE._replace(nx=True), Modes(nx=False), READ, False, 0x9),
        (PAGE, Modes(smep=True), EXEC, False, 0x11),
        (PAGE, Modes(smep=True), EXEC, True, -1),
        (Translation("absent"), Modes(nx=False), EXEC, True, 0x4),
        (Translation("reserved"), Modes(), WRITE, False, 0xB),
    ],
)
def test_error_codes(found: Translation, modes: Modes, access: int, user: bool, code: int) -> None:
    assert fault_code(found, modes, access, user) == code
    assert permits(found, modes, access, user) == (code == -1 or (found.nx and not modes.nx))


def test_a_large_page_begins_at_its_boundary_whatever_bit_12_says() -> None:
    guest = Guest()
    guest.write("E", 0, (0x201 << 12) | 0x87)
    walked = guest.tables.now(0, GVAS[1]).translation
    assert walked == Translation("page", 0x202, user=True, writable=True)
