# SPDX-License-Identifier: GPL-2.0-only
"""Shadow pages of a guest's page tables, checked as tables.

A shadow page that is not unsync follows the guest's table: an entry of it is where the guest's
entry points, and the table is write-protected, in every shadow page that maps it.
"""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.facts.paging import (
    PHYS_ADDR_MASK,
    PT_PAGE_SIZE_MASK,
    PT_WRITABLE_MASK,
)
from difffuzz.facts.spte import SPTE_MMU_PRESENT_MASK
from difffuzz.machine.host import HostMM
from difffuzz.native.kvm import NativeKvm
from difffuzz.native.memory import ShadowPage
from difffuzz.oracle.guest_walk import ADDRESS, PS, A, EntryFormat, GuestMemory, W
from difffuzz.oracle.verdict import Violation
from difffuzz.sides.memory_map import MemoryMap

GUEST_SHADOW = """A shadow page of a guest's page table that is not unsync maps what the guest's
entries point to, pages or tables, no more rights than they give, and nothing maps its table
writable."""


def shadow_violations(
    name: str,
    kvm: NativeKvm,
    mm: HostMM,
    memory: MemoryMap,
    guest: GuestMemory,
    fmt: EntryFormat,
) -> Iterator[Violation]:
    """All shadow pages that are in use; `fmt`: of the guest's entries.

    What upper ones point to is told if nothing else is: it follows from a table that is writable.
    """
    found = list(_leaves(name, kvm, mm, memory, guest, fmt))
    yield from found or _tables(name, kvm, guest, fmt)


def _leaves(
    name: str,
    kvm: NativeKvm,
    mm: HostMM,
    memory: MemoryMap,
    guest: GuestMemory,
    fmt: EntryFormat,
) -> Iterator[Violation]:
    used = list(kvm.mem.pages.values())
    generation = kvm.mmu_valid_gen
    synced: dict[int, int] = {}
    for page in used:
        sp = page.sp
        assert sp is not None
        numbers = sp.read()
        if numbers.invalid or numbers.mmu_valid_gen != generation:
            continue
        if sp.role.direct or numbers.unsync:
            continue
        slot = memory.slot_at(0, sp.gfn)
        pte = mm.lookup(slot.hva(sp.gfn)) if slot is not None else 0
        if pte:
            synced[pte >> 12] = sp.gfn
        if sp.role.level == 1:
            yield from _entry_violations(name, sp, page.ent, mm, memory, guest, fmt)
    for page in used:
        sp = page.sp
        assert sp is not None
        numbers = sp.read()
        if not numbers.invalid and numbers.mmu_valid_gen == generation:
            yield from _writable_violations(name, sp, page.ent, synced)


def _tables(name: str, kvm: NativeKvm, guest: GuestMemory, fmt: EntryFormat) -> Iterator[Violation]:
    generation = kvm.mmu_valid_gen
    for page in list(kvm.mem.pages.values()):
        sp = page.sp
        assert sp is not None
        numbers = sp.read()
        if numbers.invalid or numbers.mmu_valid_gen != generation or numbers.unsync:
            continue
        if sp.role.level > 1 and not sp.role.direct:
            yield from _link_violations(name, sp, page.ent, kvm, guest, fmt)


def _entry_violations(
    name: str,
    sp: ShadowPage,
    entries: dict[int, int],
    mm: HostMM,
    memory: MemoryMap,
    guest: GuestMemory,
    fmt: EntryFormat,
) -> Iterator[Violation]:
    """The entries of a shadow page of leaves against the guest's."""
    for index, spte in entries.items():
        if not spte & SPTE_MMU_PRESENT_MASK:
            continue
        entry = guest.word((sp.gfn << 12) + index * 8)
        where = f"table gfn {sp.gfn:#x} entry {index}"
        if entry is None or not entry & fmt.present:
            text = f"{where}: SPTE {spte:#x}, the guest's entry is not present"
            yield Violation("guest-shadow", name, "absent", text)
            return
        slot = memory.slot_at(0, (entry & ADDRESS) >> 12)
        pte = mm.lookup(slot.hva((entry & ADDRESS) >> 12)) if slot is not None else 0
        if pte >> 12 != (spte & PHYS_ADDR_MASK) >> 12:
            text = f"{where}: SPTE {spte:#x}, the guest's entry is {entry:#x}"
            yield Violation("guest-shadow", name, "pfn", text)
            return
        writable = fmt.writable | (fmt.dirty if guest.writable(sp.gfn) else 0)
        by_kernel = fmt.exempts and entry & (A | W) == A
        if spte & PT_WRITABLE_MASK and entry & writable != writable and not by_kernel:
            text = f"{where}: SPTE {spte:#x} is writable, the guest's entry is {entry:#x}"
            yield Violation("guest-shadow", name, "dirty", text)
            return


def _link_violations(
    name: str,
    sp: ShadowPage,
    entries: dict[int, int],
    kvm: NativeKvm,
    guest: GuestMemory,
    fmt: EntryFormat,
) -> Iterator[Violation]:
    """The entries of an upper shadow page point to those of the tables that the guest's do."""
    for index, spte in entries.items():
        if not spte & SPTE_MMU_PRESENT_MASK or spte & PT_PAGE_SIZE_MASK:
            continue
        entry = guest.word((sp.gfn << 12) + index * 8)
        where = f"table gfn {sp.gfn:#x} entry {index}"
        if entry is None or not entry & fmt.present:
            text = f"{where}: SPTE {spte:#x}, the guest's entry is not present"
            yield Violation("guest-shadow", name, "absent-table", text)
            return
        child = kvm.mem.page(spte & PHYS_ADDR_MASK).sp
        if not entry & PS and child.gfn != (entry & ADDRESS) >> 12:
            text = (
                f"{where}: the shadow page of gfn {child.gfn:#x}, the guest's entry is {entry:#x}"
            )
            yield Violation("guest-shadow", name, "table", text)
            return


def _writable_violations(
    name: str, sp: ShadowPage, entries: dict[int, int], synced: dict[int, int]
) -> Iterator[Violation]:
    """No leaf maps a table that is shadowed and in sync writable."""
    level = sp.role.level
    for index, spte in entries.items():
        if not spte & SPTE_MMU_PRESENT_MASK or not spte & PT_WRITABLE_MASK:
            continue
        if level > 1 and not spte & PT_PAGE_SIZE_MASK:
            continue
        pages = 1 << 9 * (level - 1)
        pfn = (spte & PHYS_ADDR_MASK) >> 12 & -pages
        for table, gfn in synced.items():
            if pfn <= table < pfn + pages:
                text = (
                    f"the table at gfn {gfn:#x} is shadowed and in sync, but writable by "
                    f"level {level} entry {index} of the shadow page of gfn {sp.gfn:#x}"
                )
                yield Violation("guest-shadow", name, "writable", text)
                return
