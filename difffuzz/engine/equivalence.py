# SPDX-License-Identifier: GPL-2.0-only
"""Two variants of the model under many programs: are they the same, and what was looked at?

Programs are those given, then generated ones and mutants of those that reached something new: a
changed statement, or a shape of effects.  Each runs one operation at a time; those with several
threads also under random schedules, and the small ones of them under all schedules with few
preemptions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from functools import partial
from random import Random
from typing import NamedTuple

from difffuzz.engine import strict
from difffuzz.engine.conform import Disagreement
from difffuzz.engine.strict import Seen
from difffuzz.program import Program, generate, mutate
from difffuzz.sides import KvmFactory
from difffuzz.variants import ChangedLines

SMALL = 8
"""Operations of a program whose schedules are explored."""
POOL = 400
FRESH = 0.7
"""Share of generated programs among those that are not given."""
DIFFERENCES = 5
"""Of one kind, after which programs are no longer looked for: the answer is clear."""


Run = Callable[[Program, KvmFactory, KvmFactory], Seen]
"""A way to run a program on both."""


class Budget(NamedTuple):
    """How much to look at: programs besides those given, how many programs of several threads run
    under random schedules, how many are explored, and schedules of each exploration."""

    runs: int
    schedules: int
    explored: int
    plans: int


class Difference(NamedTuple):
    """A program that shows a difference, shrunk; how its threads ran (one operation at a time, the
    seed of a random schedule, or a plan), and what differs."""

    program: Program
    how: str
    disagreement: Disagreement


class Comparison:
    """One MMU of both variants; grows while it is compared."""

    def __init__(
        self, left: KvmFactory, right: KvmFactory, marks: tuple[ChangedLines, ChangedLines]
    ) -> None:
        self.left = left
        self.right = right
        self.marks = marks
        self.programs = 0
        self.schedules = 0
        self.explored = 0
        self.complete = 0
        """Programs all of whose schedules with at most two preemptions were run."""
        self.agreed = 0
        self.cut = 0
        """Runs in which a side ran out of steps, and nothing differed up to there."""
        self.equal: Counter[str] = Counter()
        self.differences: list[Difference] = []
        self.stopped = False
        self._stop: Callable[[], bool] = lambda: False
        self._features: set[Hashable] = set()
        self._whats: Counter[str] = Counter()

    def run(
        self, given: Iterable[Program], budget: Budget, seed: int, stop: Callable[[], bool]
    ) -> None:
        """Compares until the budget is spent, or the same difference came too often.

        `stop` is asked again and again, between two runs: True ends it, with `stopped` set.
        """
        self._stop = stop
        rng = Random(seed)
        pool: list[Program] = []
        scheduled = explored = 0
        for program in self._programs(given, budget.runs, rng, pool):
            if self.left.tdp_mmu and program.config.paging != "tdp":
                continue  # a nonpaging guest needs the legacy MMU
            self.programs += 1
            new = self._compare(program, "lockstep", strict.in_lockstep)
            if len({op.thread for op in program.ops}) > 1:
                if scheduled < budget.schedules:
                    scheduled += 1
                    self.schedules += 1
                    number = rng.randrange(1 << 30)
                    run = partial(strict.at_random, seed=number)
                    new |= self._compare(program, f"random schedule {number}", run)
                if explored < budget.explored and len(program.ops) <= SMALL:
                    explored += 1
                    self._explore(program, budget.plans)
            if new:
                pool.append(program)
                del pool[:-POOL]
            if self._is_over():
                return
            if self._whats and max(self._whats.values()) >= DIFFERENCES:
                return

    def _programs(
        self, given: Iterable[Program], runs: int, rng: Random, pool: list[Program]
    ) -> Iterator[Program]:
        yield from given
        paging = ("tdp",) if self.left.tdp_mmu else ("tdp", "tdp", "tdp", "nonpaging")
        for _ in range(runs):
            if pool and rng.random() >= FRESH:
                yield mutate.mutate(rng.choice(pool), rng, rng.choice(pool))
            else:
                concurrent = rng.random() < 0.5
                yield generate(rng, paging=rng.choice(paging), concurrent=concurrent)

    def _explore(self, program: Program, plans: int) -> None:
        self.explored += 1
        exploration = strict.Exploration(program, self.left, self.right, plans)
        for plan, seen in exploration:
            self.schedules += 1
            self._note(program, f"plan {plan}", seen, partial(strict.under, plan=plan))
            if self._is_over():
                return
        self.complete += exploration.complete

    def _is_over(self) -> bool:
        self.stopped = self.stopped or self._stop()
        return self.stopped

    def _compare(self, program: Program, how: str, run: Run) -> bool:
        """Runs both; True if the program reached something new."""
        ran = sum(len(marks.ran) for marks in self.marks)
        seen = run(program, self.left, self.right)
        self._note(program, how, seen, run)
        new = not seen.features <= self._features
        self._features |= seen.features
        return new or sum(len(marks.ran) for marks in self.marks) > ran

    def _note(
        self,
        program: Program,
        how: str,
        seen: Seen,
        run: Run,
    ) -> None:
        self.equal += seen.equal
        found = seen.difference
        if found is None:
            self.cut += seen.cut
            self.agreed += not seen.cut
            return
        self._whats[found.what] += 1
        if self._whats[found.what] == 1:
            self.differences.append(Difference(program, how, found))
            program, found = self._shrink(program, found, run)
            self.differences[-1] = Difference(program, how, found)

    def _shrink(
        self,
        program: Program,
        found: Disagreement,
        run: Run,
    ) -> tuple[Program, Disagreement]:
        """Drops operations while the same thing differs under the same kind of schedule, until none
        can be dropped alone."""
        size = len(program.ops)
        while size:
            before = len(program.ops)
            start = 0
            while start < len(program.ops):
                if self._is_over():
                    return program, found
                smaller = program._replace(ops=program.ops[:start] + program.ops[start + size :])
                difference = run(smaller, self.left, self.right).difference
                if difference is not None and difference.what == found.what:
                    program, found = smaller, difference
                else:
                    start += size
            if size > 1 or len(program.ops) == before:
                size //= 2
        return program, found
