# SPDX-License-Identifier: GPL-2.0-only
"""Any sequence of host operations: data stays right, a secondary MMU never goes stale, no leak."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from difffuzz.machine.host import PTE_SPECIAL, PTE_WRITE, HostMM, pte_pfn
from difffuzz.machine.pte import PTE_MAPPED
from difffuzz.machine.vma import VM_WRITE
from difffuzz.sched import Scheduler

from .recorder import BASE, GIG, HUGE
from .shadow import Shadow

KINDS = ("thp", "4k", "hugetlb2m", "hugetlb1g", "shared", "pfnmap")
SIZE = {"hugetlb2m": HUGE, "hugetlb1g": GIG}
PAGES = (0, 1, 7, HUGE - 1, HUGE, HUGE + 1, 2 * HUGE, 2 * HUGE + 9, GIG - 1, GIG)
RANGE_OPS = ("munmap", "mmap", "dontneed", "mprotect", "fork", "migrate", "advice", "swap", "age")
PAGE_OPS = ("write", "cow", "poison", "collapse", "split", "ksm", "gup", "pin", "unpin")

ops = st.tuples(
    st.sampled_from(RANGE_OPS + PAGE_OPS * 2),
    st.sampled_from(PAGES),
    st.sampled_from((1, 2, 8, HUGE, HUGE + 1, GIG)),
    st.integers(0, 2),
)


class Reference:
    """What every page must contain, kept by the rules of the operations alone; None: a signal."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.size = SIZE.get(kind, 1)
        self.mm = HostMM(Scheduler(), (kind,))
        self.shadow = Shadow(self.mm)
        self.mm.register(self.shadow)
        self.data: dict[int, int] = dict.fromkeys(PAGES, 0)
        self.mapped = dict.fromkeys(PAGES, True)
        self.prot = dict.fromkeys(PAGES, 2)
        self.poisoned: set[int] = set()
        self.pins: list[int] = []
        self.value = 0

    def covered(self, page: int, n: int) -> list[int]:
        first = page // self.size * self.size
        last = -(-(page + n) // self.size) * self.size
        return [each for each in PAGES if first <= each < last]

    def dropped(self, pages: list[int]) -> None:
        """The entries of the pages are gone."""
        if self.kind != "shared":
            self.data.update(dict.fromkeys(pages, 0))
            self.poisoned.difference_update(pages)

    def run(self, what: str, page: int, n: int, arg: int) -> None:
        start, end = BASE + (page << 12), BASE + (page + n << 12)
        getattr(self, what)(page, n, arg, start, end)

    def munmap(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.munmap(start, end)
        self.mapped.update(dict.fromkeys(self.covered(page, n), False))
        self.dropped(self.covered(page, n))

    def mmap(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.mmap(start, end)
        self.mapped.update(dict.fromkeys(self.covered(page, n), True))
        self.prot.update(dict.fromkeys(self.covered(page, n), 2))
        self.dropped(self.covered(page, n))

    def dontneed(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.madvise_dontneed(start, end)
        if self.kind != "pfnmap":
            self.dropped(self.covered(page, n))

    def mprotect(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.mprotect(start, end, arg)
        for each in self.covered(page, n):
            self.prot[each] = {0: 0, 1: 1, 3: 2}[self.mm.prot(BASE + (each << 12))]

    def fork(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.fork(start, end)

    def migrate(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.migrate(start, end)

    def advice(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.thp_advice(start, end, arg > 0)

    def swap(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.swap_out(start, end)

    def age(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.age(start, end, arg > 0)
        self.mm.test_age(start)

    def write(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.value += arg  # equal data now and then, for KSM
        allowed = self.mapped[page] and self.prot[page] == 2 and page not in self.poisoned
        assert self.mm.host_write(start, self.value) == allowed
        if allowed:
            self.data[page] = self.value

    def cow(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        pte = self.mm.lookup(start)
        self.value += 1
        self.mm.cow_write(start, self.value)
        if pte and not pte & PTE_WRITE and self.mm.prot(start) & VM_WRITE:
            self.data[page] = self.value

    def poison(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        entry = self.mm.pt.page
        before = {each: entry(BASE + (each << 12)) for each in PAGES}
        self.mm.hwpoison(start, start + 4096)
        pte = before[page]
        if not pte & PTE_MAPPED or pte & PTE_SPECIAL:
            return
        if not entry(start) & PTE_MAPPED:  # a pinned THP is spared
            same = [each for each in PAGES if before[each] & PTE_MAPPED]  # KSM
            self.poisoned.update(each for each in same if pte_pfn(before[each]) == pte_pfn(pte))
            self.poisoned.update(self.covered(page, 1))

    def collapse(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.thp_collapse(start)

    def split(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.thp_split(start)

    def ksm(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.mm.ksm_merge(start, BASE + (PAGES[(n + arg) % len(PAGES)] << 12))

    def gup(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        self.shadow.fault(start, arg > 0)

    def pin(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        npages, pfn = self.mm.get_user_pages_unlocked(start, arg > 0, arg == 2)
        if npages == 1:
            self.pins.append(pfn)

    def unpin(self, page: int, n: int, arg: int, start: int, end: int) -> None:
        if self.pins:
            self.mm.put_page(self.pins.pop(0))

    def check(self) -> None:
        self.shadow.check()
        assert not self.shadow.in_progress
        for page in PAGES:
            addr = BASE + (page << 12)
            readable = self.mapped[page] and self.prot[page] and page not in self.poisoned
            assert self.mm.content(addr) == (self.data[page] if readable else None), page
            pte = self.mm.lookup(addr)
            if pte:
                assert readable
                assert self.mm.frames.data(pte_pfn(pte)) == self.data[page]
                assert not self.mm.frames.is_free(pte_pfn(pte))
                assert not pte & PTE_WRITE or self.prot[page] == 2

    def close(self) -> None:
        self.mm.destroy()
        while self.pins:
            self.mm.put_page(self.pins.pop())
        assert self.mm.frames.leaked() == []
        assert not self.mm.swap
        assert not self.mm.ksm


@settings(max_examples=300)
@given(st.sampled_from(KINDS), st.lists(ops, max_size=40))
def test_data_and_secondary_mmu_stay_right(
    kind: str, program: list[tuple[str, int, int, int]]
) -> None:
    reference = Reference(kind)
    for op in program:
        reference.run(*op)
        reference.check()
    reference.close()
