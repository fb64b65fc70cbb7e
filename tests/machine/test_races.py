# SPDX-License-Identifier: GPL-2.0-only
"""Two operations, the second started at every preemption point of the first.

A secondary MMU with KVM's retry protocol must be right afterwards, and nothing may leak.  So too
if reclaim, which holds no mmap_lock, splits a huge page just before it is cleared or changed.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from itertools import count

import pytest

from difffuzz.machine.host import PTE_WRITE, HostMM
from difffuzz.machine.split import split_huge_pmd
from difffuzz.sched import Scheduler, Task

from .recorder import BASE, HUGE
from .shadow import Shadow

Body = Callable[[HostMM, Shadow], object]
END = BASE + (HUGE << 12)

OPS: dict[str, Body] = {
    "munmap": lambda mm, kvm: mm.munmap(BASE, END),
    "remap": lambda mm, kvm: mm.mmap(BASE, END),
    "dontneed": lambda mm, kvm: mm.madvise_dontneed(BASE, BASE + 0x4000),
    "readonly": lambda mm, kvm: mm.mprotect(BASE, END, 1),
    "fork": lambda mm, kvm: mm.fork(BASE, END),
    "migrate": lambda mm, kvm: mm.migrate(BASE, END),
    "swap": lambda mm, kvm: mm.swap_out(BASE, BASE + 0x4000),
    "poison": lambda mm, kvm: mm.hwpoison(BASE + 0x1000, BASE + 0x2000),
    "collapse": lambda mm, kvm: mm.thp_collapse(BASE),
    "madvised": lambda mm, kvm: mm.madvise_collapse(BASE, END),
    "split": lambda mm, kvm: mm.thp_split(BASE),
    "merge": lambda mm, kvm: mm.ksm_merge(BASE + 0x1000, BASE + 0x2000),
    "write": lambda mm, kvm: mm.host_write(BASE + 0x1000, 5),
    "guest_write": lambda mm, kvm: kvm.fault(BASE + 0x1000, True),
    "guest_read": lambda mm, kvm: kvm.fault(BASE + 0x2000, False),
    "age": lambda mm, kvm: mm.age(BASE, END, True),
}


WHOLE: dict[str, Body] = {
    "munmap": OPS["munmap"],
    "remap": OPS["remap"],
    "dontneed": lambda mm, kvm: mm.madvise_dontneed(BASE, END),
    "readonly": OPS["readonly"],
    "fork": OPS["fork"],
}
"""What clears or changes a huge page as a whole."""


class PausingScheduler(Scheduler):
    """Leaves the task `first` once, at its preemption point number `at`."""

    __slots__ = ("at", "first", "passed", "paused")

    def __init__(self, at: int) -> None:
        super().__init__()
        self.at = at
        self.passed = 0
        self.paused = False
        self.first: Task | None = None

    def point(self, what: Hashable = None, write: bool = True) -> None:
        super().point(what, write)
        if self.current is self.first:
            if self.passed == self.at:
                self.paused = True
                self._leave(self.current)
            self.passed += 1


def prepare(mm: HostMM, kvm: Shadow, huge: bool) -> None:
    """Pages 1 and 2 hold equal data, are shared with a child, and the guest has both mapped."""
    if not huge:
        mm.thp_advice(BASE, END, False)
    for page in (1, 2):
        mm.host_write(BASE + (page << 12), 4)
        kvm.fault(BASE + (page << 12), True)
    if not huge:
        mm.thp_advice(BASE, END, True)


def run_both(
    sched: PausingScheduler, first: Callable[[], None], second: Callable[[], None]
) -> bool:
    """Runs both to their ends, `second` when `first` pauses; False if `first` did not."""
    one, two = sched.add_task("one"), sched.add_task("two")
    sched.first = one
    sched.spawn(one, first)
    paused = sched.paused
    sched.first = None
    sched.spawn(two, second)
    for _ in range(100):
        for task in (one, two):
            if task.alive:
                sched.resume(task)
    assert not one.alive
    assert not two.alive
    return paused


def race(first: Body, second: Body, at: int, forked: bool, kind: str, huge: bool) -> bool:
    """Runs both; False if `first` has no point number `at`."""
    sched = PausingScheduler(at)
    mm = HostMM(sched, (kind,))
    kvm = Shadow(mm)
    mm.register(kvm)
    prepare(mm, kvm, huge)
    if forked:
        mm.fork(BASE, END)
    paused = run_both(sched, lambda: (first(mm, kvm), None)[1], lambda: (second(mm, kvm), None)[1])
    kvm.check()
    assert not kvm.in_progress
    assert kvm.fault(BASE + 0x2000, False) or not mm.content(BASE + 0x2000)
    kvm.check()
    mm.destroy()
    assert mm.frames.leaked() == []
    assert not mm.swap
    assert not mm.ksm
    return paused


@pytest.mark.parametrize("second", OPS)
@pytest.mark.parametrize("first", OPS)
def test_races_end_well(first: str, second: str) -> None:
    for forked in (False, True):
        for kind, huge in (("thp", False), ("thp", True), ("hugetlb2m", True), ("shared", False)):
            for at in count():
                if not race(OPS[first], OPS[second], at, forked, kind, huge):
                    break


def split_meanwhile(body: Body, at: int) -> tuple[bool, HostMM]:
    """Reclaim splits the huge page at point `at` of `body`; False if there is no such point."""
    sched = PausingScheduler(at)
    mm = HostMM(sched, ("thp",))
    kvm = Shadow(mm)
    mm.register(kvm)
    kvm.fault(BASE, True)
    assert mm.mapping_level(BASE) == 2
    paused = run_both(sched, lambda: (body(mm, kvm), None)[1], lambda: split_huge_pmd(mm, BASE))
    kvm.check()
    return paused, mm


@pytest.mark.parametrize("name", WHOLE)
def test_a_huge_page_that_reclaim_splits_is_dealt_with_entry_by_entry(name: str) -> None:
    for at in count():
        paused, mm = split_meanwhile(WHOLE[name], at)
        if name == "fork":
            assert mm.child_runs or len(mm.child_pages) == HUGE, at
        elif name == "readonly":
            found = mm.pt.mapped(BASE, END)
            assert found
            assert not any(mm.pt.leaf(addr)[0] & PTE_WRITE for addr, _ in found), at
        else:
            assert mm.pt.mapped(BASE, END) == [], at
        mm.destroy()
        assert mm.frames.leaked() == [], at
        if not paused:
            break
