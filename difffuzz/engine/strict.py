# SPDX-License-Identifier: GPL-2.0-only
"""Are two variants of the model the same, to the last effect?  "No functional change", checked.

Beyond what conform.py compares (outcomes with every RET_PF_*, tables, statistics) every effect must
be equal, in its order: see effects.py.  A program runs one operation at a time, under a random
schedule, or under all schedules with few preemptions; a place to preempt is one before a store, a
lock, a request or a change of a root's count, and one after a store.
"""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Hashable, Iterator
from functools import partial
from itertools import zip_longest
from typing import NamedTuple

from difffuzz.engine import effects
from difffuzz.engine.concurrent import phases
from difffuzz.engine.conform import (
    MOST_STEPS,
    SCHEDULED_STEPS,
    VM_STATS,
    Disagreement,
    died_of,
    end_of,
    first_difference,
    run_op,
    table_entries,
)
from difffuzz.engine.effects import Effect, EffectScheduler
from difffuzz.errors import UsageError
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK
from difffuzz.program import Op, Program
from difffuzz.program.limits import MAX_VCPUS
from difffuzz.sched import Task
from difffuzz.sched.choice import Moment, Strategy
from difffuzz.sched.core import OUT_OF_STEPS, STEP_LIMIT
from difffuzz.sides import KvmFactory
from difffuzz.sides.base import Outcome
from difffuzz.sides.kvm_side import KvmSide

DEATHS = frozenset({"splat", "crash"})
"""What a run ends with that its kernel, or the model of it, does not survive."""
PREEMPTIONS = 2
"""Of a plan that is explored, at most."""
Plan = tuple[tuple[int, int], ...]
"""Decisions that are not the usual ones: (number of the decision, position of the task that goes on
among the others)."""


class Seen(NamedTuple):
    """What a comparison saw: the first difference, and how much of what kind was equal."""

    difference: Disagreement | None
    equal: Counter[str]
    features: set[Hashable]
    """Shapes of effects: what a program reached, for whoever chooses programs."""
    cut: bool = False
    """A side ran out of steps: up to there nothing differs."""


class Decisions:
    """A strategy that counts what it is asked, and takes the tasks that a plan or chance says.

    With a plan a task goes on, and the first one where none can, unless the plan has another;
    without one it is as likely as not that another task gets its turn after `gap` decisions.
    """

    next_step = 0

    def __init__(self, plan: Plan = (), rng: random.Random | None = None, gap: float = 8.0) -> None:
        self._plan = dict(plan)
        self._rng = rng
        self._share = 1 / gap
        self.choices: list[tuple[int, bool]] = []
        """Of each decision: how many others there were, and whether one of them would preempt."""

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """The running task, or the one that is to come in."""
        current = sched.current
        others = [task for task in enabled if task is not current]
        if self._rng is None:
            return self._planned(current, others, True)
        if not others:
            return current
        return self._rng.choice(others) if self._rng.random() < self._share else current

    def pick(self, sched: Moment, enabled: list[Task]) -> Task:
        """Who goes on where the running task cannot."""
        if self._rng is None:
            return self._planned(enabled[0], enabled[1:], False)
        return self._rng.choice(enabled)

    def _planned(self, usual: Task, others: list[Task], preempts: bool) -> Task:
        at = self._plan.get(len(self.choices), -1)
        self.choices.append((len(others), preempts))
        return others[at] if 0 <= at < len(others) else usual


def in_lockstep(program: Program, left: KvmFactory, right: KvmFactory) -> Seen:
    """One operation at a time."""
    scheds = [EffectScheduler(Decisions()) for _ in range(2)]
    sides = [
        effects.start(factory, program.config, sched)
        for factory, sched in zip((left, right), scheds, strict=True)
    ]
    for side in sides:
        side.sched.budget = MOST_STEPS
    equal: Counter[str] = Counter()
    features: set[Hashable] = set()

    def seen(difference: Disagreement | None, cut: bool = False) -> Seen:
        return Seen(difference, equal, features, cut)

    for index, op in enumerate(program.ops):
        outcomes = [run_op(side, op, index + 1) for side in sides]
        one, other = (sched.take() for sched in scheds)
        if OUT_OF_STEPS in outcomes:
            cut = [what == OUT_OF_STEPS for what in outcomes]
            return seen(_cut_short(index, one, other, cut), True)
        found = first_difference(index, op, outcomes, sides) or _difference(index, one, other)
        found = found or _shared(index, scheds)
        if found is not None:
            return seen(found)
        equal["operation"] += 1
        if isinstance(outcomes[0], Outcome):
            equal["RET_PF"] += len(outcomes[0].rets)
            features.add((int(op.kind), outcomes[0].rets, outcomes[0].result))
        _count(one, int(op.kind), equal, features)
    for side in sides:
        side.sched.budget = STEP_LIMIT
    ends = [end_of(side, len(program.ops) + 1) for side in sides]
    if ends[0] != ends[1]:
        return seen(Disagreement(-1, "the end", *ends))
    one, other = (sched.take() for sched in scheds)
    return seen(_difference(-1, one, other))


def at_random(program: Program, left: KvmFactory, right: KvmFactory, seed: int) -> Seen:
    """The program's threads at once, under a random schedule that the seed determines."""
    return _at_once(program, left, right, lambda: Decisions(rng=random.Random(seed)))[0]


def under(program: Program, left: KvmFactory, right: KvmFactory, plan: Plan) -> Seen:
    """The program's threads at once, under a plan."""
    return _at_once(program, left, right, lambda: Decisions(plan))[0]


class Exploration:
    """Runs every plan, those with the fewest preemptions first, up to `limit` plans in all.

    Iterating yields each plan and what was seen, and ends with the first difference.
    """

    def __init__(self, program: Program, left: KvmFactory, right: KvmFactory, limit: int) -> None:
        self._sides = program, left, right
        self._limit = limit
        self.complete = False
        """No plan is left: each was run to its end, without a difference."""

    def __iter__(self) -> Iterator[tuple[Plan, Seen]]:
        queues: list[deque[Plan]] = [deque([()]), *(deque() for _ in range(PREEMPTIONS))]
        whole = True
        for _ in range(self._limit):
            spent = next((at for at, queue in enumerate(queues) if queue), None)
            if spent is None:
                break
            plan = queues[spent].popleft()
            seen, choices = _at_once(*self._sides, partial(Decisions, plan))
            whole &= not seen.cut
            yield plan, seen
            if seen.difference is not None:
                return
            for number in range(plan[-1][0] + 1 if plan else 0, len(choices)):
                others, preempts = choices[number]
                if spent + preempts <= PREEMPTIONS:
                    more = [(*plan, (number, at)) for at in range(others)]
                    queues[spent + preempts] += more
        self.complete = whole and not any(queues)


def _at_once(
    program: Program, left: KvmFactory, right: KvmFactory, make: Callable[[], Decisions]
) -> tuple[Seen, list[tuple[int, bool]]]:
    """Runs both under strategies of the same kind; what was seen, and the left one's choices."""
    strategies = [make(), make()]
    one, other = (
        _events(program, factory, strategy)
        for factory, strategy in zip((left, right), strategies, strict=True)
    )
    equal: Counter[str] = Counter()
    features: set[Hashable] = set()
    cut = [events[-1][0] == OUT_OF_STEPS for events in (one, other)]
    if any(cut):
        left_ended, right_ended = one[: len(one) - cut[0]], other[: len(other) - cut[1]]
        return Seen(_cut_short(0, left_ended, right_ended, cut), equal, features, True), []
    found = _difference(0, one, other)
    if found is None:
        _count(one, -1, equal, features)
    return Seen(found, equal, features), strategies[0].choices


def _events(program: Program, factory: KvmFactory, strategy: Strategy) -> list[Effect]:
    """Effects and outcomes in their order, tables and statistics where all threads meet."""
    sched = EffectScheduler(strategy, SCHEDULED_STEPS)
    side = effects.start(factory, program.config, sched)
    sched.restart()
    try:
        for phase in phases(program.ops):
            threads: dict[int, list[tuple[int, Op]]] = {}
            for index, op in phase:
                threads.setdefault(op.thread, []).append((index, op))
            bodies = [
                (side.task(thread), partial(_thread, side, sched, threads[thread]))
                for thread in sorted(threads)
            ]
            sched.run(bodies)
            side.kvm.rcu.run_callbacks()
            sched.add("tables", str(sorted(table_entries(side))))
            sched.add("shared", *_shared_state(sched))
            sched.add("statistics", *(str(getattr(side.kvm.stat, name)) for name in VM_STATS))
            side.kvm.mem.log.clear()
        sched.add("end", end_of(side, len(program.ops) + 1))
    except UsageError:
        raise
    except Exception as error:
        events, how = sched.take(), died_of(error)
        events.append((OUT_OF_STEPS,) if how == OUT_OF_STEPS else tuple(how.split(" ", 1)))
        return events
    return sched.take()


def _thread(side: KvmSide, sched: EffectScheduler, ops: list[tuple[int, Op]]) -> None:
    for index, op in ops:
        if op.thread >= MAX_VCPUS or op.thread < len(side.kvm.vcpus):
            sched.point("operation")
            outcome = side.execute_among_others(op, index + 1)
            details = (f"{name} {getattr(outcome, name)}" for name in Outcome.__slots__)
            sched.add("outcome", index, *details)


def _difference(at: int, left: list[Effect], right: list[Effect]) -> Disagreement | None:
    """The first; if a side died there it is named so, whatever the other does in its place."""
    if left == right:
        return None
    for one, other in zip_longest(left, right):
        if one != other:
            names = [str(effect[0]) for effect in (one, other) if effect is not None]
            what = next((name for name in names if name in DEATHS), names[0])
            return Disagreement(at, what, _show(one), _show(other))
    return None


def _shared(at: int, scheds: list[EffectScheduler]) -> Disagreement | None:
    """A difference in what no effect has the value of."""
    one, other = map(_shared_state, scheds)
    return None if one == other else Disagreement(at, "shared", str(one), str(other))


def _shared_state(sched: EffectScheduler) -> tuple[Hashable, ...]:
    """The sequence and range of invalidations, and the dirty bitmap of each memslot."""
    kvm = sched.kvm
    assert kvm is not None
    bitmaps = [
        (as_id, slot.id, tuple(sorted(one for one in slot.dirty_bitmap.items() if one[1])))
        for as_id, slots in enumerate(kvm.memslots)
        for slot in slots.id_hash.values()
        if slot.dirty_bitmap is not None
    ]
    return (
        kvm.mmu_invalidate_seq,
        kvm.mmu_invalidate_in_progress,
        kvm.mmu_invalidate_range_start,
        kvm.mmu_invalidate_range_end,
        tuple(sorted(bitmaps)),
    )


def _cut_short(
    at: int, left: list[Effect], right: list[Effect], cut: list[bool]
) -> Disagreement | None:
    """The difference up to where a side ran out of steps: the other may only have gone on."""
    if cut[0]:
        right = right[: len(left)]
    if cut[1]:
        left = left[: len(right)]
    return _difference(at, left, right)


def _show(effect: Effect | None) -> str:
    if effect is None:
        return "nothing"
    return " ".join(hex(part) if type(part) is int and part > 9 else str(part) for part in effect)


def _count(events: list[Effect], kind: int, equal: Counter[str], features: set[Hashable]) -> None:
    """Adds what was equal, and the shapes of the effects: two that follow one another."""
    before: Hashable = None
    for effect in events:
        equal[str(effect[0])] += 1
        shape = _shape(effect)
        features.add((kind, before, shape))
        before = shape


def _shape(effect: Effect) -> Hashable:
    """What is new for whoever chooses programs: not which gfn or vCPU it was."""
    name = effect[0]
    if name == "spte":
        _, _, place, _, old, new, *under = effect
        assert isinstance(old, int)
        assert isinstance(new, int)
        level = place[1] if isinstance(place, tuple) else place
        return (name, level, _bits(old), _bits(new), *under)
    if name in ("lock", "unlock"):
        return (name, *effect[2:])
    return name


def _bits(spte: int) -> int:
    """An SPTE without its address."""
    return spte & ~SPTE_BASE_ADDR_MASK
