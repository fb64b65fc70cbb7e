# SPDX-License-Identifier: GPL-2.0-only
"""A machine that tells the scheduler of every access to its page tables.

A search of schedules with reduction needs to know what each step of a model touches.
"""

from __future__ import annotations

from collections.abc import Sequence

from difffuzz.kvm.kvm_host import KvmMmuPage
from difffuzz.machine.host import HostMM
from difffuzz.machine.pagetable import HOST_PAGE_TABLE, PageTable
from difffuzz.machine.spt import PhysMem
from difffuzz.sched import Scheduler
from difffuzz.sides.machine import Machine


class TracedPageTable(PageTable):
    """A host page table that tells the scheduler who looks at it; who changes it tells anyway.

    But not of page(): oracles use it, and keep what they saw.
    """

    __slots__ = ("_sched",)

    def __init__(self, sched: Scheduler) -> None:
        super().__init__()
        self._sched = sched

    def leaf(self, addr: int) -> tuple[int, int]:
        """The entry that covers `addr`, and its level."""
        self._sched.touch(HOST_PAGE_TABLE, False)
        return super().leaf(addr)

    def leaves(self, level: int) -> dict[int, int]:
        """All leaves of a level."""
        self._sched.touch(HOST_PAGE_TABLE, False)
        return super().leaves(level)

    def populated(self, start: int, end: int) -> list[int]:
        """The tables and 2M leaves of a range."""
        self._sched.touch(HOST_PAGE_TABLE, False)
        return super().populated(start, end)


class TracedHost(HostMM):
    """A host with such a page table."""

    __slots__ = ()

    def __init__(self, sched: Scheduler, areas: Sequence[str]) -> None:
        super().__init__(sched, areas)
        self.pt = TracedPageTable(sched)


class TracedMem(PhysMem[KvmMmuPage]):
    """Page tables that tell the scheduler of every access, plain ones too."""

    __slots__ = ()

    def load(self, ptr: int) -> int:
        """A plain load."""
        self._touch(ptr, False)
        return super().load(ptr)

    def read_once(self, ptr: int) -> int:
        """READ_ONCE()."""
        value = super().read_once(ptr)
        self._touch(ptr, False)
        return value

    def store(self, ptr: int, value: int) -> None:
        """Every store, atomic ones too; a walk of the whole table sees only what is there."""
        self._touch(ptr, True)
        page = self.pages.get(ptr >> 12)
        present = page.bits if page is not None else 0
        super().store(ptr, value)
        if page is not None and page.bits != present:
            self.sched.touch(("table", ptr >> 12))

    def next_index(self, pa: int, index: int) -> int:
        """A look at a whole table."""
        self.sched.touch(("table", pa >> 12), False)
        return super().next_index(pa, index)

    def free(self, pa: int) -> None:
        """The page goes."""
        self.sched.touch(("page", pa >> 12))
        super().free(pa)

    def freeze_absent(self, pa: int, value: int, known: set[int]) -> bool:
        """The absent entries of a table change."""
        frozen = super().freeze_absent(pa, value, known)
        self.sched.touch(("table", pa >> 12))
        return frozen

    def _touch(self, ptr: int, write: bool) -> None:
        touch = self.sched.touch
        touch(ptr, write)
        touch(("page", ptr >> 12), False)


TRACED = Machine(TracedHost, TracedMem)
