# SPDX-License-Identifier: GPL-2.0-only
"""Page walks: permissions, error codes, accessed and dirty bits, PML, reserved bits, PAE."""

from __future__ import annotations

import pytest

from difffuzz.facts.paging import (
    MAXPHYADDR,
    PFERR_FETCH_MASK,
    PFERR_PRESENT_MASK,
    PFERR_RSVD_MASK,
    PFERR_USER_MASK,
    PFERR_WRITE_MASK,
)
from difffuzz.machine.hw import (
    EPT,
    EPT_NO_AD,
    EXEC,
    NPT,
    PAE,
    READ,
    WRITE,
    Cpu,
    PageFormat,
)
from difffuzz.machine.spt import PhysMem
from difffuzz.sched import Scheduler

GPA = 0x1_4063_2000 & 0xFFFF_FFFF
NX = 1 << 63
MISCONFIG = 1 << 51
USER = PFERR_USER_MASK
TABLE = {"ept": 7, "ept-no-ad": 7, "npt": 7, "pae": 7}
LEAF_RWX = {"ept": 0x37, "ept-no-ad": 0x37, "npt": 7, "pae": 7}


class Guest:
    """Tables that map GPA with one leaf, and a CPU that walks them."""

    def __init__(self, fmt: PageFormat, leaf: int, level: int = 1, root_level: int = 4) -> None:
        self.mem: PhysMem[object] = PhysMem(Scheduler())
        self.fmt = fmt
        self.root_level = root_level
        self.dirtied: list[int] = []
        self.cpu = Cpu(self.mem, fmt, on_dirty=self.dirtied.append)
        self.root = table = self.mem.alloc(None)
        self.ptrs: dict[int, int] = {}
        for each in range(root_level, level, -1):
            self.ptrs[each] = table + 8 * (GPA >> (3 + 9 * each) & 511)
            below = self.mem.alloc(None)
            self.mem.store(self.ptrs[each], below | TABLE[fmt.name])
            table = below
        self.ptrs[level] = table + 8 * (GPA >> (3 + 9 * level) & 511)
        self.mem.store(self.ptrs[level], leaf)

    def access(self, kind: int, gpa: int = GPA) -> int:
        return self.cpu.translate(self.root, self.root_level, gpa, kind)

    def entry(self, level: int = 1) -> int:
        return self.mem.load(self.ptrs[level])


FORMATS = [EPT, EPT_NO_AD, NPT]


@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
@pytest.mark.parametrize("root_level", [4, 5])
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_leaf_of_any_size_is_reached(fmt: PageFormat, root_level: int, level: int) -> None:
    pages = 512 ** (level - 1)
    leaf = 5 * pages << 12 | LEAF_RWX[fmt.name] | (0x80 if level > 1 else 0)
    guest = Guest(fmt, leaf, level, root_level)
    assert guest.access(WRITE) == 5 * pages + (GPA >> 12) % pages
    assert [entry.level for entry in guest.cpu.tlb.entries()] == [level]


def perms(fmt: PageFormat, w: bool, x: bool) -> int:
    """A 4K leaf of pfn 9 that is readable."""
    if fmt.ept:
        return 9 << 12 | 0x31 | w << 1 | x << 2
    return 9 << 12 | 5 | w << 1 | (0 if x else NX)


@pytest.mark.parametrize("fmt", [*FORMATS, PAE], ids=lambda fmt: fmt.name)
def test_permissions_are_enforced(fmt: PageFormat) -> None:
    for w in (False, True):
        for x in (False, True):
            guest = Guest(fmt, perms(fmt, w, x))
            assert guest.access(READ) == 9
            assert guest.access(WRITE) == (9 if w else -1)
            assert guest.access(EXEC) == (9 if x else -1)


@pytest.mark.parametrize(
    ("fmt", "codes"),
    [
        (EPT, (PFERR_USER_MASK, PFERR_WRITE_MASK, PFERR_FETCH_MASK)),
        (
            NPT,
            (
                PFERR_USER_MASK,
                PFERR_USER_MASK | PFERR_WRITE_MASK,
                PFERR_USER_MASK | PFERR_FETCH_MASK,
            ),
        ),
        (PAE, (0, PFERR_WRITE_MASK, PFERR_FETCH_MASK)),
    ],
    ids=lambda value: getattr(value, "name", None),
)
def test_error_codes(fmt: PageFormat, codes: tuple[int, int, int]) -> None:
    absent = Guest(fmt, 0)
    for kind, code in zip((READ, WRITE, EXEC), codes, strict=True):
        assert absent.access(kind) == -1
        assert (absent.cpu.error_code, absent.cpu.fault_level) == (code, 1)
    forbidden = Guest(fmt, perms(fmt, False, False))
    for kind, code in zip((WRITE, EXEC), codes[1:], strict=True):
        assert forbidden.access(kind) == -1
        assert forbidden.cpu.error_code == code | PFERR_PRESENT_MASK


@pytest.mark.parametrize(
    ("fmt", "leaf", "level"),
    [
        (EPT, 9 << 12 | 0x36, 1),  # write and execute without read: KVM's MMIO SPTE
        (EPT, 9 << 12 | 0x32, 1),  # write without read
        (EPT, 9 << 12 | 0x17, 1),  # memory type 2
        (EPT, 9 << 12 | 0x37 | MISCONFIG, 1),
        (EPT, 512 << 12 | 1 << 12 | 0xB7, 2),  # misaligned
        (EPT, 512 << 12 | 0xB7, 4),  # large at level 4
        (EPT, 9 << 12 | 0x17, 2),  # reserved bit in a table entry
        (NPT, 9 << 12 | 7 | MISCONFIG, 1),
        (NPT, 512 << 12 | 1 << 13 | 0x87, 2),
        (NPT, 512 << 12 | 0x87, 4),
    ],
)
def test_reserved_bits(fmt: PageFormat, leaf: int, level: int) -> None:
    guest = Guest(fmt, leaf, level)
    assert guest.access(READ) == -1
    expected = (
        PFERR_RSVD_MASK if fmt.ept else PFERR_RSVD_MASK | PFERR_PRESENT_MASK | PFERR_USER_MASK
    )
    assert (guest.cpu.error_code, guest.cpu.fault_level) == (expected, level)


@pytest.mark.parametrize("bit", range(44, 52))
@pytest.mark.parametrize("fmt", [EPT, NPT, PAE], ids=lambda fmt: fmt.name)
def test_physical_address_bits(fmt: PageFormat, bit: int) -> None:
    guest = Guest(fmt, LEAF_RWX[fmt.name] | 9 << 12 | 1 << bit)
    pfn = guest.access(READ)
    if bit < MAXPHYADDR:
        assert pfn == 9 | 1 << bit - 12
    else:
        assert pfn == -1
        assert guest.cpu.error_code & PFERR_RSVD_MASK


@pytest.mark.parametrize("fmt", [EPT, NPT], ids=lambda fmt: fmt.name)
def test_accessed_and_dirty_bits(fmt: PageFormat) -> None:
    guest = Guest(fmt, perms(fmt, True, True))
    guest.access(READ)
    assert all(guest.entry(level) & fmt.accessed for level in (1, 2, 3, 4))
    assert not guest.entry() & fmt.dirty
    assert guest.dirtied == []
    guest.access(WRITE)
    assert guest.entry() & fmt.dirty
    assert not guest.entry(2) & fmt.dirty
    guest.access(WRITE)
    assert guest.dirtied == [GPA], "PML logs the change of the dirty bit only"


def test_a_write_fault_leaves_no_bits() -> None:
    guest = Guest(NPT, perms(NPT, False, False))
    guest.access(WRITE)
    assert [guest.entry(level) & NPT.accessed for level in (1, 2, 3, 4)] == [0] * 4


def test_without_ad_nothing_is_written() -> None:
    guest = Guest(EPT_NO_AD, perms(EPT, True, True))
    before = len(guest.mem.log)
    assert guest.access(WRITE) == 9
    assert len(guest.mem.log) == before


def test_the_tlb_hides_changes_until_it_is_flushed() -> None:
    guest = Guest(EPT, perms(EPT, True, True))
    assert guest.access(WRITE) == 9
    guest.mem.store(guest.ptrs[1], 0)
    assert guest.access(WRITE) == 9
    assert guest.access(READ) == 9
    guest.cpu.tlb.flush_range(GPA >> 12, 1)
    assert guest.access(READ) == -1


def test_a_write_through_a_clean_entry_walks_again() -> None:
    guest = Guest(EPT, perms(EPT, True, True))
    guest.access(READ)
    guest.mem.store(guest.ptrs[1], 0)
    assert guest.access(READ) == 9
    assert guest.access(WRITE) == -1


def test_an_access_without_permission_in_the_tlb_walks_again() -> None:
    guest = Guest(EPT, perms(EPT, False, False))
    guest.access(READ)
    guest.mem.store(guest.ptrs[1], perms(EPT, True, False))
    assert guest.access(WRITE) == 9


def test_upper_levels_limit_permissions() -> None:
    guest = Guest(EPT, perms(EPT, True, True))
    guest.mem.store(guest.ptrs[3], guest.entry(3) & ~2)
    assert guest.access(WRITE) == -1
    assert guest.cpu.error_code == PFERR_WRITE_MASK | PFERR_PRESENT_MASK
    assert guest.access(EXEC) == 9


def test_pae_roots_have_four_entries_without_permissions() -> None:
    guest = Guest(PAE, perms(PAE, True, True), root_level=3)
    top = GPA >> 30 & 3
    guest.mem.store(guest.ptrs[3], 0)
    guest.ptrs[3] = guest.root + 8 * top
    table = guest.ptrs[2] & ~0xFFF
    guest.mem.store(guest.ptrs[3], table | 1)
    assert guest.access(WRITE) == 9
    assert guest.entry(3) == table | 1, "no accessed bit"
    assert guest.access(READ, (top ^ 1) << 30) == -1
    assert guest.cpu.fault_level == 3


def test_a_flush_during_the_walk_starts_it_again() -> None:
    guest = Guest(EPT, perms(EPT, True, True))
    swap = guest.mem.cmpxchg
    log: list[int] = []

    def racing(ptr: int, old: int, value: int) -> int:
        if not log:
            log.append(ptr)
            guest.mem.store(guest.ptrs[1], 0)
            guest.cpu.tlb.flush_all()
        return swap(ptr, old, value)

    racy = {"read_once": guest.mem.load, "cmpxchg": staticmethod(racing)}
    guest.cpu.mem = type("Racy", (), racy)()
    assert guest.access(READ) == -1
    assert list(guest.cpu.tlb.entries()) == []
