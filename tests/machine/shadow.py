# SPDX-License-Identifier: GPL-2.0-only
"""The smallest secondary MMU: maps what gup gives, obeys the notifiers, never goes stale."""

from __future__ import annotations

from difffuzz.machine.host import HostMM, pte_pfn, pte_write


class Shadow:
    """Entries by hva: (pfn, writable).  The retry protocol is the one of KVM."""

    def __init__(self, mm: HostMM) -> None:
        self.mm = mm
        self.entries: dict[int, tuple[int, bool]] = {}
        self.in_progress: list[tuple[int, int]] = []
        self.seq = 0

    def fault(self, addr: int, write: bool) -> bool:
        """Maps the page at `addr`; False if the host has none for it."""
        mm = self.mm
        while True:
            mm.sched.wait("end of the invalidation", lambda: not self.covered(addr))
            seq = self.seq
            npages, pfn = mm.get_user_pages_unlocked(addr, write, False)
            if npages != 1:
                return False
            mm.sched.point()
            stale = seq != self.seq or self.covered(addr)
            if not stale:
                self.entries[addr] = (pfn, write)
            mm.put_page(pfn)
            if not stale:
                return True

    def covered(self, addr: int) -> bool:
        return any(start <= addr < end for start, end in self.in_progress)

    def check(self) -> None:
        """Every entry maps what the host maps there, with no more permission."""
        for addr, (pfn, writable) in self.entries.items():
            pte = self.mm.lookup(addr)
            assert pte_pfn(pte) == pfn, hex(addr)
            assert pte_write(pte) or not writable, hex(addr)
            assert not self.mm.frames.is_free(pfn), hex(addr)

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        assert start < end
        self.in_progress.append((start, end))
        for addr in [addr for addr in self.entries if start <= addr < end]:
            del self.entries[addr]

    def invalidate_range_end(self, start: int, end: int) -> None:
        self.seq += 1
        self.in_progress.remove((start, end))

    def change_pte(self, addr: int, pte: int) -> None:
        assert self.covered(addr), "change_pte outside a bracket"
        if addr in self.entries:
            self.entries[addr] = (pte_pfn(pte), False)

    def clear_flush_young(self, start: int, end: int) -> int:
        return 0

    def clear_young(self, start: int, end: int) -> int:
        return 0

    def test_young(self, addr: int) -> int:
        return 0

    def release(self) -> None:
        self.entries.clear()
