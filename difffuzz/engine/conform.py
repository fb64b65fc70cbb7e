# SPDX-License-Identifier: GPL-2.0-only
"""Two sides that should be the same: model and kernel, or a kernel before and after a change.

Stricter than lockstep: after each operation the whole outcome, every SPTE, level by level, and the
statistics must be equal.  No oracle judges: both sides may have the same bug.
"""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterator, Sequence
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

from difffuzz.engine.concurrent import split_exit
from difffuzz.engine.judged_side import crash
from difffuzz.errors import UsageError
from difffuzz.facts.paging import PT_PAGE_SIZE_MASK
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK, SPTE_MMU_PRESENT_MASK
from difffuzz.program import Kind, Op, Program
from difffuzz.program.limits import MAX_VCPUS, VMM_THREAD, WORKER_THREAD
from difffuzz.sched import KernelSplat, Task
from difffuzz.sched.choice import Moment
from difffuzz.sched.core import OUT_OF_STEPS, STEP_LIMIT
from difffuzz.sched.interleave import Interleaver
from difffuzz.sides import KvmFactory
from difffuzz.sides.base import Outcome
from difffuzz.sides.kvm_side import KvmSide

MOST_STEPS = 200_000
"""Steps of a side after which a program is not seen through."""
SCHEDULED_STEPS = 600_000
MMU_LOCK = "mmu_lock"
VCPU_STATS = (
    "pf_taken",
    "pf_fixed",
    "pf_emulate",
    "pf_spurious",
    "pf_fast",
    "pf_mmio_spte_created",
)
VM_STATS = (
    "pages",
    "nx_lpage_splits",
    "mmu_recycled",
    "mmu_shadow_zapped",
    "remote_tlb_flush_requests",
)


class Disagreement(NamedTuple):
    """The first difference: the operation's number (-1: the end), what differs, both values."""

    at: int
    what: str
    left: str
    right: str

    @property
    def text(self) -> str:
        """One line."""
        return f"operation {self.at}: {self.what}: {self.left} and {self.right}"


def conform(program: Program, left: KvmFactory, right: KvmFactory) -> Disagreement | None:
    """Runs the program on both, one operation at a time; None if they agree."""
    sides = [factory.start(program.config) for factory in (left, right)]
    for side in sides:
        side.sched.budget = MOST_STEPS
    for index, op in enumerate(program.ops):
        seen = [run_op(side, op, index + 1) for side in sides]
        if OUT_OF_STEPS in seen:
            return None
        found = first_difference(index, op, seen, sides)
        if found is not None:
            return found
    for side in sides:
        side.sched.budget = STEP_LIMIT
    ends = [end_of(side, len(program.ops) + 1) for side in sides]
    return None if ends[0] == ends[1] else Disagreement(-1, "the end", *ends)


def conform_scheduled(
    program: Program, left: KvmFactory, right: KvmFactory, seed: int
) -> Disagreement | None:
    """Runs the program's threads at once on both, under the same schedule; None if they agree.

    The schedule takes its decisions where mmu_lock is about to be taken and where a task cannot go
    on: places that both sides reach in the same order, if they are the same.
    """
    seen = [_scheduled(program, factory, seed) for factory in (left, right)]
    if OUT_OF_STEPS in (seen[0][-1], seen[1][-1]):
        return None
    for at, (one, other) in enumerate(zip_longest(*seen)):
        if one != other:
            return _event_difference(at, one, other)
    return None


def _event_difference(at: int, one: object, other: object) -> Disagreement:
    """What differs in two events: of the same operation, the field; else all of both."""
    match one, other:
        case (int(index), dict(left)), (int(same), dict(right)) if index == same:
            what = next(name for name in left if left[name] != right[name])
            return Disagreement(index, what, str(left[what]), str(right[what]))
    return Disagreement(at, "event", str(one), str(other))


def _scheduled(program: Program, factory: KvmFactory, seed: int) -> list[object]:
    """What happened, in its order: operations as they end, tables and statistics of each phase."""
    sched = LockScheduler(AtLocks(random.Random(seed)), SCHEDULED_STEPS)
    side = factory.start(program.config, sched)
    sched.restart()
    events: list[object] = []

    def body(ops: list[tuple[int, Op]]) -> None:
        for index, op in ops:
            if op.thread >= MAX_VCPUS or op.thread < len(side.kvm.vcpus):
                outcome = side.execute_among_others(op, index + 1)
                events.append((index, fields_of(outcome)))

    try:
        before, beside = split_exit(program)
        for phase in before:
            threads: dict[int, list[tuple[int, Op]]] = {}
            for index, op in phase:
                threads.setdefault(op.thread, []).append((index, op))
            tasks = [(side.task(one), partial(body, threads[one])) for one in sorted(threads)]
            sched.run(tasks)
            side.kvm.rcu.run_callbacks()
            events.append(sorted(table_entries(side)))
            events.append(str([getattr(side.kvm.stat, name) for name in VM_STATS]))
            side.kvm.mem.log.clear()
        if beside:
            exits = (side.task(VMM_THREAD), side.exit)
            sched.run([exits, (side.task(WORKER_THREAD), partial(body, beside))])
            side.kvm.rcu.run_callbacks()
            events.append(sorted(table_entries(side)))
        events.append(end_of(side, len(program.ops) + 1))
    except UsageError:
        raise
    except Exception as error:
        events.append(died_of(error))
    return events


class LockScheduler(Interleaver):
    """Asks its strategy only where mmu_lock is about to be taken."""

    __slots__ = ()

    def decide(self, what: Hashable, write: bool) -> None:
        """Another point than that is passed by."""
        if what == MMU_LOCK or self.budget < 0:
            super().decide(what, write)


class AtLocks:
    """Goes on with any task, at every point that it is asked at."""

    next_step = 0

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """Any of those that can go on."""
        return self._rng.choice(enabled)

    pick = preempt


def fields_of(outcome: Outcome) -> dict[str, object]:
    """Every field of an outcome, by name."""
    return {name: getattr(outcome, name) for name in Outcome.__slots__}


def run_op(side: KvmSide, op: Op, number: int) -> Outcome | str:
    """The outcome, or what the side's kernel reported."""
    try:
        return side.execute(op, number)
    except UsageError:
        raise
    except Exception as error:
        return died_of(error)


def died_of(error: Exception) -> str:
    """How a run ended that the side's kernel, or the model of it, does not survive."""
    if not isinstance(error, KernelSplat):
        return f"crash {crash('', error).location}"
    return OUT_OF_STEPS if error.where == OUT_OF_STEPS else f"splat {error.oracle}"


def first_difference(
    index: int, op: Op, seen: Sequence[Outcome | str], sides: list[KvmSide]
) -> Disagreement | None:
    """The first difference in what an operation did, and in what the sides have after it."""
    left, right = [fields_of(one) if isinstance(one, Outcome) else one for one in seen]
    if left != right:
        if isinstance(left, str) or isinstance(right, str):
            return Disagreement(index, "outcome", str(left), str(right))
        what = next(name for name in left if left[name] != right[name])
        return Disagreement(index, what, str(left[what]), str(right[what]))
    one, other = sides
    if one.kvm.mem.log or other.kvm.mem.log or op.kind >= Kind.MEMSLOT_CREATE:
        one.kvm.mem.log.clear()
        other.kvm.mem.log.clear()
        tables = [sorted(table_entries(side)) for side in sides]
        if tables[0] != tables[1]:
            return Disagreement(index, "tables", *_difference(*tables))
    for name in VM_STATS:
        values = [getattr(side.kvm.stat, name) for side in sides]
        if values[0] != values[1]:
            return Disagreement(index, name, str(values[0]), str(values[1]))
    if op.thread < MAX_VCPUS:
        return _vcpu_stats(index, op.thread, sides)
    return None


def _vcpu_stats(index: int, thread: int, sides: list[KvmSide]) -> Disagreement | None:
    if thread >= len(sides[0].kvm.vcpus):
        return None
    stats = [side.kvm.vcpus[thread].stat for side in sides]
    for name in VCPU_STATS:
        values = [getattr(stat, name) for stat in stats]
        if values[0] != values[1]:
            return Disagreement(index, name, str(values[0]), str(values[1]))
    return None


def table_entries(side: KvmSide) -> Iterator[tuple[int, int, int, int, int]]:
    """(address space, level, first gfn of the table, index, SPTE) of all tables that are in use.

    A pointer to a table has its address left out: the sides put their tables where they like.
    """
    for page in side.kvm.mem.pages.values():
        sp = page.sp
        if sp is None:
            continue
        role = sp.role
        level, as_id = role.level, int(role.smm)
        for index, spte in page.ent.items():
            if spte & SPTE_MMU_PRESENT_MASK and level > 1 and not spte & PT_PAGE_SIZE_MASK:
                spte &= ~SPTE_BASE_ADDR_MASK
            yield as_id, level, sp.gfn, index, spte


def _difference(
    left: list[tuple[int, int, int, int, int]], right: list[tuple[int, int, int, int, int]]
) -> tuple[str, str]:
    ours, theirs = (
        [entry for entry in one if entry not in set(other)]
        for one, other in ((left, right), (right, left))
    )
    return _show(ours), _show(theirs)


def _show(entries: list[tuple[int, int, int, int, int]]) -> str:
    if not entries:
        return "nothing"
    as_id, level, gfn, index, spte = entries[0]
    return f"as {as_id} level {level} table {gfn:#x} index {index}: {spte:#x}"


def end_of(side: KvmSide, number: int) -> str:
    """What is left when the VM is gone."""
    try:
        side.finish_faults(number)
        side.destroy()
    except UsageError:
        raise
    except Exception as error:
        return died_of(error)
    return f"{len(side.kvm.mem.pages)} tables, {len(side.mm.frames.leaked())} frames"
