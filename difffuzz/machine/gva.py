# SPDX-License-Identifier: GPL-2.0-only
"""A CPU without nested paging: it walks KVM's shadow tables by guest virtual address.

CR0.WP and EFER.NX are on in hardware whatever the guest's are, as under VMX without EPT; SMEP is
the guest's.  The TLB is one of addresses; it has no PCIDs and no global pages.
"""

from __future__ import annotations

from difffuzz.facts.paging import (
    PFERR_FETCH_MASK,
    PFERR_PRESENT_MASK,
    PFERR_RSVD_MASK,
    PFERR_USER_MASK,
    PFERR_WRITE_MASK,
    PHYS_ADDR_MASK,
    PT64_NX_MASK,
    PT_ACCESSED_MASK,
    PT_DIRTY_MASK,
    PT_PAGE_SIZE_MASK,
    PT_PRESENT_MASK,
    PT_USER_MASK,
    PT_WRITABLE_MASK,
)

from .hw import WALK_LIMIT, Memory
from .pageformat import EXEC, PAE, WRITE

LEVELS = 4


class GvaTlb:
    """Translations by address >> 12: (pfn of the 4K page, entry bits all levels give, dirty)."""

    __slots__ = ("entries", "epoch")

    def __init__(self) -> None:
        self.entries: dict[int, tuple[int, bool, bool, bool, bool]] = {}
        """(pfn, user, writable, nx, dirty)."""
        self.epoch = 0

    def flush_all(self) -> None:
        """Drops everything."""
        self.epoch += 1
        self.entries.clear()

    def flush(self, gva: int) -> None:
        """Drops what is cached of one address."""
        self.epoch += 1
        self.entries.pop(gva >> 12, None)


class GvaCpu:
    """One logical processor; after a failed translate() `error_code` is that of its #PF."""

    __slots__ = ("error_code", "mem", "smep", "tlb")

    def __init__(self, mem: Memory) -> None:
        self.mem = mem
        self.tlb = GvaTlb()
        self.smep = False
        self.error_code = 0

    def translate(self, root_hpa: int, gva: int, access: int, user: bool) -> int:
        """The pfn of the 4K page that an access (0 read, 1 write, 2 fetch) reaches, or -1."""
        hit = self.tlb.entries.get(gva >> 12)
        if hit is not None and self._fits(hit[1:4], access, user) and (access != WRITE or hit[4]):
            return hit[0]
        if hit is not None:
            # A fault, or a dirty bit to set: the CPU looks at the tables again.
            del self.tlb.entries[gva >> 12]
        for _ in range(WALK_LIMIT):
            pfn = self._walk(root_hpa, gva, access, user)
            if pfn != -2:
                return pfn
        raise AssertionError("a page walk does not come to rest")

    def _fits(self, rights: tuple[bool, bool, bool], access: int, user: bool) -> bool:
        by_user, writable, nx = rights
        if user and not by_user:
            return False
        if access == WRITE:
            return writable
        if access == EXEC:
            return not nx and not (self.smep and by_user and not user)
        return True

    def _walk(self, root_hpa: int, gva: int, access: int, user: bool) -> int:
        """One walk: the pfn, -1 for a fault, -2 if the tables changed under it."""
        epoch = self.tlb.epoch
        table, level = root_hpa, LEVELS
        by_user, writable, nx = True, True, False
        path: list[tuple[int, int]] = []
        while True:
            ptr = table + (gva >> 3 + 9 * level & 511) * 8
            entry = self.mem.read_once(ptr)
            if not entry & PT_PRESENT_MASK:
                return self._fault(0, access, user)
            if PAE.is_reserved(entry, level, LEVELS):
                return self._fault(PFERR_PRESENT_MASK | PFERR_RSVD_MASK, access, user)
            by_user = by_user and bool(entry & PT_USER_MASK)
            writable = writable and bool(entry & PT_WRITABLE_MASK)
            nx = nx or bool(entry & PT64_NX_MASK)
            path.append((ptr, entry))
            if level == 1 or entry & PT_PAGE_SIZE_MASK:
                break
            table = entry & PHYS_ADDR_MASK
            level -= 1
        rights = by_user, writable, nx
        if not self._fits(rights, access, user):
            return self._fault(PFERR_PRESENT_MASK, access, user)
        for at, (where, old) in enumerate(path):
            new = old | PT_ACCESSED_MASK
            if access == WRITE and at == len(path) - 1:
                new |= PT_DIRTY_MASK
            if new != old and self.mem.cmpxchg(where, old, new) != old:
                return -2
        if self.tlb.epoch != epoch:
            return -2
        entry = path[-1][1]
        below = (1 << 9 * (level - 1)) - 1
        pfn = (entry & PHYS_ADDR_MASK) >> 12 & ~below | gva >> 12 & below
        dirty = access == WRITE or bool(entry & PT_DIRTY_MASK)
        self.tlb.entries[gva >> 12] = pfn, *rights, dirty
        return pfn

    def _fault(self, code: int, access: int, user: bool) -> int:
        code |= PFERR_USER_MASK if user else 0
        code |= PFERR_WRITE_MASK if access == WRITE else 0
        code |= PFERR_FETCH_MASK if access == EXEC else 0
        self.error_code = code
        return -1
