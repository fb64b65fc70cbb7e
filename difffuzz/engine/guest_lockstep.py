# SPDX-License-Identifier: GPL-2.0-only
"""Lockstep of guests with page tables of their own: shadow paging against nested paging.

The same guest program runs on both sides, one operation at a time.  Each is judged by its own
oracles; the two are compared where the guest's tables leave one answer only.
"""

from __future__ import annotations

from difffuzz.engine.guest_trace import walk_lines
from difffuzz.engine.judged_guest_side import JudgedGuestSide, made_by
from difffuzz.engine.judged_side import crash
from difffuzz.engine.lockstep import Step, without_collector
from difffuzz.engine.noting import NoteTaker
from difffuzz.errors import UsageError
from difffuzz.oracle import Verdict, Violation
from difffuzz.program import Kind, Op, Program
from difffuzz.sched import KernelSplat
from difffuzz.sched.core import STEP_LIMIT
from difffuzz.sides import SideFactory, without_guests
from difffuzz.sides.base import NOTHING, OK, Outcome
from difffuzz.sides.guest_side import GuestSide, is_left_out
from difffuzz.sides.memory_map import MemoryMap

WRITES = (Kind.GVA_WRITE, Kind.WRITE, Kind.PTE)


def run(
    program: Program,
    left: SideFactory,
    right: SideFactory,
    *,
    trace: bool = False,
    notes: NoteTaker | None = None,
    max_steps: int = STEP_LIMIT,
) -> Verdict:
    """Runs a program on two sides, up to the first operation after which an oracle objects.

    UsageError if a side has no guests with page tables, or notes are to be taken.
    """
    if notes is not None:
        raise UsageError(
            "a guest with page tables cannot be drawn: difffuzz explain without --html"
        )
    with without_collector():
        lockstep = GuestLockstep(program, left, right, trace, max_steps)
        for index, op in enumerate(program.ops):
            if not lockstep.step(index, op):
                break
        return lockstep.finish()


class GuestLockstep:
    """One run.  `comparable`: both guests had the same to go on so far."""

    def __init__(
        self, program: Program, left: SideFactory, right: SideFactory, trace: bool, max_steps: int
    ) -> None:
        self.verdict = Verdict()
        self.comparable = True
        self._trace = trace
        self._guest = program.config.guest
        self._memory = MemoryMap(program.config)
        self._sides: list[JudgedGuestSide] = []
        self._budgets: list[int] = []
        for number, factory in enumerate((left, right)):
            self._start(number, factory, program, max_steps)

    def _start(self, number: int, factory: SideFactory, program: Program, max_steps: int) -> None:
        config = program.config
        try:
            side = factory.start(config)
            if not isinstance(side, GuestSide):
                raise UsageError(without_guests(factory.name, config))
            limit = max_steps if max_steps < STEP_LIMIT else factory.step_limit
            side.sched.budget += limit - STEP_LIMIT
            self._budgets.append(side.sched.budget)
            allowed, features = self.verdict.allowed, self.verdict.features
            judged = JudgedGuestSide(number, side, config, self._memory, allowed, features)
            self._sides.append(judged)
            if judged.tables.foreign:
                self.comparable = False
                allowed["foreign-tables"] += number == 0
        except KernelSplat as splat:
            violation = Violation(splat.oracle, factory.name, splat.where, splat.text)
            self.verdict.report(violation, "start", None)
        except UsageError:
            raise
        except Exception as error:
            self.verdict.report(crash(factory.name, error), "start", None)

    def step(self, index: int, op: Op) -> bool:
        """One operation on both sides; False if that ended the run."""
        if len(self._sides) < 2:
            return False
        if op.kind == Kind.TRACK_REMOVE and not self._is_tracked(*op.args):
            return True
        before = [judged.tables.foreign for judged in self._sides]
        outcomes = [judged.execute(op, index + 1) for judged in self._sides]
        left, right = outcomes
        left_out = is_left_out(op.kind, op.args, self._guest)
        if left is not None and right is not None and not left_out:
            self._memory.apply(op, left.value)
        for judged, outcome in zip(self._sides, outcomes, strict=True):
            if outcome is not None:
                judged.after(op, outcome, self._memory)
        if any(judged.abandoned for judged in self._sides):
            self.verdict.allowed["abandoned"] += 1
            return False
        for judged in self._sides:
            self._report(judged, op, index)
        if left is not None and right is not None and not self.verdict.divergences:
            self._compare(op, index, left, right)
        for judged, was in zip(self._sides, before, strict=True):
            if judged.tables.foreign and not was:
                self.comparable = False
                self.verdict.allowed["foreign-tables"] += judged.index == 0
        if self._trace or self.verdict.divergences:
            found = tuple(self.verdict.divergences)
            walks = tuple(walk_lines(judged.side, judged.tables, op) for judged in self._sides)
            self.verdict.trace.append(Step(index, op, left, right, ((), ()), found, walks))
        self.verdict.operations += not self.verdict.divergences
        return not self.verdict.divergences

    def _is_tracked(self, as_id: int, gfn: int) -> bool:
        """Who tracks writes removes only what it added, not what KVM tracks for itself."""
        slot = self._memory.slot_at(as_id, gfn)
        return slot is not None and gfn in slot.tracked

    def _report(self, judged: JudgedGuestSide, op: Op, index: int) -> None:
        for violation in judged.violations:
            self.verdict.report(violation, op.kind.name.lower(), index)
        judged.violations.clear()

    def _compare(self, op: Op, index: int, left: Outcome, right: Outcome) -> None:
        """The same access has the same effect, where the tables leave no choice."""
        made = made_by(op)
        if made is None or NOTHING in (left.result, right.result) or not self.comparable:
            return
        sides = zip(self._sides, (left, right), strict=True)
        alike = left.result == right.result and left.value == right.value
        if not all(judged.tables.comparable(op.thread, made, one) for judged, one in sides):
            if op.kind in WRITES and OK in (left.result, right.result):
                # It may have gone two ways: what is in memory may differ from here on.
                self.comparable = False
                self.verdict.allowed["stale-translation"] += 1
            return
        if not alike:
            both = "/".join(judged.side.name for judged in self._sides)
            what = "value" if left.result == right.result else f"{left.result}-{right.result}"
            text = f"gva {made.gva:#x}: {_told(left)} and {_told(right)}"
            violation = Violation("translation", both, f"guest-{what}", text)
            self.verdict.report(violation, op.kind.name.lower(), index)

    def finish(self) -> Verdict:
        """After the last operation: the VMs are destroyed, unless a divergence ended the run."""
        verdict = self.verdict
        verdict.steps = sum(
            budget - judged.side.sched.budget
            for budget, judged in zip(self._budgets, self._sides, strict=True)
        )
        if not verdict.divergences and not verdict.allowed["abandoned"]:
            for judged in self._sides:
                judged.side.sched.budget += STEP_LIMIT
                judged.finish()
                for violation in judged.violations:
                    verdict.report(violation, "end", None)
        return verdict


def _told(outcome: Outcome) -> str:
    return f"{outcome.result} {outcome.value:#x}" if outcome.value >= 0 else outcome.result
