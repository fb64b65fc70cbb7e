# SPDX-License-Identifier: GPL-2.0-only
"""Threads at once of a guest with page tables: what must hold whatever the order was.

Whose translation an access may use depends on who came first, so that accesses are judged for
safety only: no frame that the host took back, an end to each, no WARN, no broken lock.  Where all
threads meet, KVM's books must be right, and a shadow page that is in sync must follow the guest's
table, which nothing maps writable.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from difffuzz.engine.concurrent import (
    Abandoned,
    Event,
    MakeStrategy,
    RunOf,
    RunOfASide,
    SideRun,
    phases,
)
from difffuzz.engine.concurrent import run as run_sides
from difffuzz.engine.features import answer, transition
from difffuzz.engine.judged_guest_side import REMAPS, TABLES_OF
from difffuzz.engine.judged_side import crash
from difffuzz.engine.noting import NoteTaker
from difffuzz.engine.place import NOWHERE
from difffuzz.errors import UsageError
from difffuzz.machine.frames import FREED_DATA
from difffuzz.native.kvm import NativeKvm
from difffuzz.oracle import Verdict, Violation
from difffuzz.oracle.bookkeeping import (
    accounting_violations,
    leak_violations,
    root_violations,
    unprotected_violations,
)
from difffuzz.oracle.guest_shadow import shadow_violations
from difffuzz.oracle.nested_tables import EPT_FORMAT_NO_AD
from difffuzz.program import Kind, Op, Program
from difffuzz.program.model import NESTED
from difffuzz.program.ops import IS_HOST
from difffuzz.sched import KernelSplat, Task
from difffuzz.sched.core import OUT_OF_STEPS, STEP_LIMIT
from difffuzz.sched.interleave import Interleaver
from difffuzz.sides import KvmFactory, SideFactory
from difffuzz.sides.base import NOTHING, OK, STUCK, Outcome
from difffuzz.sides.guest_side import is_left_out
from difffuzz.sides.machine import PLAIN, Machine
from difffuzz.sides.memory_map import MemoryMap


def run(
    program: Program,
    left: SideFactory,
    right: SideFactory,
    *,
    strategy: MakeStrategy | None = None,
    trace: bool = False,
    notes: NoteTaker | None = None,
    max_steps: int = STEP_LIMIT,
    delays: bool = False,
) -> Verdict:
    """Runs a program on two sides under its own schedule, or under `strategy`.

    UsageError if a side has no guests with page tables, or notes are to be taken.
    """
    if notes is not None:
        raise UsageError(
            "a guest with page tables cannot be drawn: difffuzz explain without --html"
        )
    return run_sides(
        program,
        left,
        right,
        strategy=strategy,
        trace=trace,
        max_steps=max_steps,
        run_of=GuestSideRun,
        delays=delays,
    )


def run_of(program: Program) -> RunOf | None:
    """Who runs and judges a side of it; None: SideRun."""
    return None if program.config.guest == "none" else GuestSideRun


def side_run(
    program: Program,
    factory: KvmFactory,
    number: int,
    verdict: Verdict,
    sched: Interleaver,
    machine: Machine = PLAIN,
) -> RunOfASide:
    """One side's run of a program, whatever its guest is.  `machine`: of a model only."""
    if program.config.guest == "none":
        return SideRun(program, factory, number, verdict, sched, machine=machine)
    return GuestSideRun(program, factory, number, verdict, sched)


class GuestSideRun:
    """One side's run of a program."""

    __slots__ = (
        "_host_wrote",
        "_limit",
        "_memory",
        "_number",
        "_program",
        "_sched",
        "_shadowed",
        "_tables",
        "_trace",
        "_verdict",
        "side",
    )

    def __init__(
        self,
        program: Program,
        factory: KvmFactory,
        number: int,
        verdict: Verdict,
        sched: Interleaver,
        trace: bool = False,
    ) -> None:
        config = program.config
        self._program = program
        self._number = number
        self._verdict = verdict
        self._sched = sched
        self._trace = trace
        self._limit = factory.step_limit
        self._host_wrote = False
        self.side = factory.start_guest(config, sched)
        self._memory = MemoryMap(config)
        self._shadowed = config.guest in NESTED or not self.side.kvm.tdp_mmu_enabled
        self._tables = TABLES_OF[config.guest](
            self.side.name, self.side.mm, self._memory, verdict.allowed
        )
        if config.guest == "ept12" and not config.ad:
            self._tables.format = EPT_FORMAT_NO_AD
        self._tables.settle()
        sched.restart()

    def run(self) -> list[str]:
        """All phases, the end of the VM; stops at the first violation.  There are no probes."""
        verdict, sched = self._verdict, self._sched
        try:
            for phase in phases(self._program.ops):
                self._phase(phase)
                self._settle()
                if verdict.divergences:
                    return []
            self._finish()
        except KernelSplat as splat:
            if splat.where == OUT_OF_STEPS and sched.steps < self._limit:
                if not verdict.divergences:
                    raise Abandoned(False) from None
            else:
                self._found(Violation(splat.oracle, self.side.name, splat.where, splat.text))
        except UsageError:
            raise
        except Exception as error:  # a crash of the harness is a finding
            self._found(crash(self.side.name, error))
        finally:
            verdict.steps += sched.steps
        return []

    def _phase(self, phase: list[tuple[int, Op]]) -> None:
        threads: dict[int, list[tuple[int, Op]]] = {}
        for index, op in phase:
            threads.setdefault(op.thread, []).append((index, op))
        bodies: list[tuple[Task, Callable[[], None]]] = [
            (self.side.task(thread), self._body(threads[thread])) for thread in sorted(threads)
        ]
        self._sched.run(bodies)

    def _body(self, ops: list[tuple[int, Op]]) -> Callable[[], None]:
        def body() -> None:
            for index, op in ops:
                self._op(index, op)

        return body

    def _op(self, index: int, op: Op) -> None:
        side, sched = self.side, self._sched
        if op.thread < 4 and op.thread >= len(side.kvm.vcpus):
            return
        current = sched.current
        current.relaxed_at = -1
        current.operation = index
        sched.point("operation", False)
        if op.kind == Kind.TRACK_REMOVE and not self._is_tracked(*op.args):
            return
        if self._trace:
            self._event(op, None)
        outcome = side.execute_among_others(op, index + 1)
        sched.fence()  # whoever is told that it is over sees what it stored
        if not is_left_out(op.kind, op.args, self._program.config.guest):
            self._memory.apply(op, outcome.value)
        if self._trace:
            self._event(op, outcome)
        self._judge(op, index, outcome)
        self._changed(op.kind)

    def _is_tracked(self, as_id: int, gfn: int) -> bool:
        """Who tracks writes removes only what it added, not what KVM tracks for itself."""
        slot = self._memory.slot_at(as_id, gfn)
        return slot is not None and gfn in slot.tracked

    def _judge(self, op: Op, index: int, outcome: Outcome) -> None:
        """What can be told though others are at work."""
        if outcome.result == OK and outcome.pfn >= 0 and outcome.value == FREED_DATA:
            text = f"used pfn {outcome.pfn:#x}, which the host took back"
            self._found(Violation("stale-access", self.side.name, "guest", text), op, index)
        if outcome.result == STUCK:
            rets = ",".join(map(str, outcome.rets[-2:]))
            violation = Violation("progress", self.side.name, f"guest-{rets}", "never completes")
            self._found(violation, op, index)
        tables = self._tables
        if op.kind in REMAPS:
            tables.remapped()
        tables.foreign |= op.kind == Kind.DMA and outcome.result != NOTHING
        self._host_wrote |= bool(IS_HOST[op.kind])
        self._verdict.features.add(answer(self._number, op.kind, outcome))

    def _changed(self, kind: Kind) -> None:
        """Features of what the operation changed."""
        mem = self.side.kvm.mem
        for ptr, old, new in mem.log:
            page = mem.pages.get(ptr >> 12)
            if page is not None and page.sp is not None:
                role = page.sp.role
                level = role.level + 4 * (not getattr(role, "direct", True))
                self._verdict.features.add(transition(self._number, kind, level & 7, old, new))
        mem.log.clear()

    def _settle(self) -> None:
        """Nothing is going on: what is in sync must be so."""
        side, tables = self.side, self._tables
        kvm = cast(NativeKvm, side.kvm)
        kvm.rcu.run_callbacks()
        self._splats()
        for violation in (*accounting_violations(side), *root_violations(side)):
            self._found(violation)
        # What the host wrote to tables of the guest's KVM need not know.
        tables.foreign |= tables.changed() and self._host_wrote
        self._host_wrote = False
        if self._shadowed and not tables.foreign:
            memory, fmt = tables.memory(), tables.format
            for violation in shadow_violations(side.name, kvm, side.mm, self._memory, memory, fmt):
                self._found(violation)
        kvm.mem.log.clear()
        side.mm.changed.clear()

    def _finish(self) -> None:
        side = self.side
        side.destroy()
        self._splats()
        if not self._verdict.divergences:
            for violation in (*leak_violations(side), *unprotected_violations(side)):
                self._found(violation)

    def _splats(self) -> None:
        for where, text in self.side.kvm.splats:
            self._found(Violation("warn", self.side.name, where, text))
        self.side.kvm.splats.clear()

    def _event(self, op: Op, outcome: Outcome | None) -> None:
        event = Event(self._number, self._sched.steps, op.thread, op, outcome, NOWHERE)
        self._verdict.trace.append(event)

    def _found(self, violation: Violation, op: Op | None = None, index: int | None = None) -> None:
        operation = op.kind.name.lower() if op is not None else "meeting"
        self._verdict.report(violation, operation, index)
