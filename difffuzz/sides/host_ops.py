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


def _swap_out(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    return Outcome(DONE, mm.swap_out(_start(args), _end(args)))


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
    return Outcome(DONE, mm.age_told(_start(args), _end(args), bool(args[3])))


def _test_age(mm: HostMM, args: tuple[int, ...], number: int) -> Outcome:
    return Outcome(DONE, mm.test_age_told(_start(args)))


HOST_OPS: dict[Kind, HostOp] = {
    Kind.MUNMAP: _ranged("munmap"),
    Kind.MMAP: _ranged("mmap"),
    Kind.DONTNEED: _ranged("madvise_dontneed"),
    Kind.MPROTECT: _ranged("mprotect"),
    Kind.FORK: _ranged("fork"),
    Kind.COW_WRITE: _cow_write,
    Kind.MIGRATE: _one_page("migrate"),
    Kind.THP_COLLAPSE: _page("thp_collapse"),
    Kind.THP_SPLIT: _page("thp_split"),
    Kind.THP_ADVICE: _ranged("thp_advice"),
    Kind.SWAP_OUT: _swap_out,
    Kind.HWPOISON: _one_page("hwpoison"),
    Kind.KSM_MERGE: _ksm_merge,
    Kind.HOST_READ: _host_read,
    Kind.HOST_WRITE: _host_write,
    Kind.AGE: _age,
    Kind.TEST_AGE: _test_age,
    Kind.LAZY_FREE: _ranged("madvise_free"),
    Kind.WRITEBACK: _ranged("writeback"),
}
