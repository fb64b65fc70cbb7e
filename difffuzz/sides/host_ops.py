# SPDX-License-Identifier: GPL-2.0-only
"""The operations of host threads: from areas and pages to calls of the host address space."""

from __future__ import annotations

from collections.abc import Callable

from difffuzz.facts.paging import PAGE_SIZE
from difffuzz.machine.host import HostMM
from difffuzz.program import Kind
from difffuzz.program.limits import area_base
from difffuzz.sides.base import DONE, Outcome

HostOp = Callable[[HostMM, tuple[int, ...], int], Outcome]


def _start(args: tuple[int, ...]) -> int:
    return area_base(args[0]) + (args[1] << 12)


def _end(args: tuple[int, ...]) -> int:
    return area_base(args[0]) + ((args[1] + args[2]) << 12)


def _ranged(name: str) -> HostOp:
    def run(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
        getattr(mm, name)(_start(args), _end(args), *args[3:])
        return Outcome()

    return run


def _one_page(name: str) -> HostOp:
    def run(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
        getattr(mm, name)(_start(args), _start(args) + PAGE_SIZE)
        return Outcome()

    return run


def _page(name: str) -> HostOp:
    def run(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
        getattr(mm, name)(_start(args))
        return Outcome()

    return run


def _ksm_merge(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    mm.ksm_merge(_start(args), area_base(args[0]) + (args[2] << 12))
    return Outcome()


def _answered(name: str) -> HostOp:
    def run(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
        return Outcome(DONE, getattr(mm, name)(_start(args), _end(args)))

    return run


def _mremap(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    to = area_base(args[0]) + (args[3] << 12)
    return Outcome(DONE, mm.mremap(_start(args), _end(args), to, bool(args[4])))


def _uffd(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    return Outcome(DONE, mm.uffd(_start(args), _end(args), args[3], number))


def _host_read(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    value = mm.host_read(_start(args))
    return Outcome(DONE, -1 if value is None else value)


def _host_write(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    mm.host_write(_start(args), number)
    return Outcome()


def _cow_write(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    mm.cow_write(_start(args), number)
    return Outcome()


def _age(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    if not args[2]:
        mm.age_nothing(_start(args), bool(args[3]))
        return Outcome()
    return Outcome(DONE, mm.age_told(_start(args), _end(args), bool(args[3])))


def _test_age(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    return Outcome(DONE, mm.test_age_told(_start(args)))


def _or_nothing(op: HostOp) -> HostOp:
    """A host that errs has a range of no page: it brackets that, and does nothing."""

    def run(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
        if args[2]:
            return op(mm, args, number)
        mm.invalidate(_start(args), _start(args), 0)
        return Outcome()

    return run


_RANGED: dict[Kind, HostOp] = {
    Kind.MUNMAP: _ranged("munmap"),
    Kind.MMAP: _ranged("mmap"),
    Kind.DONTNEED: _ranged("madvise_dontneed"),
    Kind.MPROTECT: _ranged("mprotect"),
    Kind.FORK: _ranged("fork"),
    Kind.THP_ADVICE: _ranged("thp_advice"),
    Kind.SWAP_OUT: _answered("swap_out"),
    Kind.LAZY_FREE: _ranged("madvise_free"),
    Kind.WRITEBACK: _ranged("writeback"),
    Kind.COLD: _ranged("madvise_cold"),
    Kind.PAGEOUT: _answered("madvise_pageout"),
    Kind.COLLAPSE: _answered("madvise_collapse"),
    Kind.PUNCH_HOLE: _answered("punch_hole"),
    Kind.MREMAP: _mremap,
    Kind.UFFD: _uffd,
}
HOST_OPS: dict[Kind, HostOp] = {
    **{kind: _or_nothing(op) for kind, op in _RANGED.items()},
    Kind.INVALIDATE: _ranged("invalidate"),
    Kind.AGE: _age,
    Kind.COW_WRITE: _cow_write,
    Kind.MIGRATE: _one_page("migrate"),
    Kind.THP_COLLAPSE: _page("thp_collapse"),
    Kind.THP_SPLIT: _page("thp_split"),
    Kind.HWPOISON: _one_page("hwpoison"),
    Kind.KSM_MERGE: _ksm_merge,
    Kind.HOST_READ: _host_read,
    Kind.HOST_WRITE: _host_write,
    Kind.TEST_AGE: _test_age,
}
