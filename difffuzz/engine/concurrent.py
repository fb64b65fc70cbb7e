# SPDX-License-Identifier: GPL-2.0-only
"""Concurrent runs: each side runs the program's threads under a schedule, compared where all meet.

`sync` operations cut a program into phases.  Within one, each thread runs its operations in their
order while the others do the same; between two, nothing is going on, and the page tables must be
as exact as in lockstep.  docs/concurrency.md argues what may differ between the sides and why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from typing import NamedTuple, Protocol, cast

from difffuzz.engine.conflicts import Conflicts, changed, ended, feature
from difffuzz.engine.features import answer, transition
from difffuzz.engine.judged_side import ACCESS_KINDS, CIRCLE_STEPS, crash
from difffuzz.engine.lockstep import MEMSLOT_UPDATES
from difffuzz.engine.noting import NoteTaker
from difffuzz.engine.place import NOWHERE, Place, place_of
from difffuzz.errors import UsageError
from difffuzz.facts.errno import ENOSPC
from difffuzz.oracle import Verdict, Violation
from difffuzz.oracle.access import access_violations
from difffuzz.oracle.bookkeeping import (
    accounting_violations,
    leak_violations,
    mmio_violations,
    root_violations,
    unprotected_violations,
)
from difffuzz.oracle.emptied import release_violations
from difffuzz.oracle.pages import leaf_violations
from difffuzz.oracle.races import RaceOracles
from difffuzz.program import Kind, Op, Program
from difffuzz.program.limits import (
    FEATURES,
    HOST_THREADS,
    MAX_SCHEDULE,
    VMM_THREAD,
    WORKER_THREAD,
)
from difffuzz.program.model import RUN_TO_BLOCK
from difffuzz.sched import KernelSplat, Task
from difffuzz.sched.core import OUT_OF_STEPS, STEP_LIMIT
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.store_buffer import FIRST_BUFFER
from difffuzz.sched.strategy import Record, ScheduleStrategy, Strategy
from difffuzz.sides import KvmFactory, NativeFactory, SideFactory
from difffuzz.sides.base import ERROR, Outcome
from difffuzz.sides.machine import BUFFERED, PLAIN, Machine

HOST0, HOST1 = HOST_THREADS
FAULT_KINDS = frozenset({*ACCESS_KINDS, Kind.BEGIN_FAULT, Kind.PREFAULT})
PROBES = 6
"""Pages that are read on both sides when all is over, to compare what the guest sees."""

NO_PAGES = "no pages"
"""How a probe ends for which the legacy MMU has no shadow page; the TDP MMU needs none."""

MakeStrategy = Callable[[Program], Strategy]


class Event(NamedTuple):
    """One line of the trace of side 0 or 1: at this step the thread began (no outcome) or ended the
    operation; or, without an operation, it went on in place of another, which stands at `place`.

    `store`: nobody went on, but the thread's store to `place.what` is "delayed" or "visible"."""

    side: int
    step: int
    thread: int
    op: Op | None
    outcome: Outcome | None
    place: Place
    store: str = ""


class RunOfASide(Protocol):
    """A run of a program on one side."""

    def run(self) -> list[str]:
        """All of it; how its probes ended, for comparison."""


RunOf = Callable[[Program, KvmFactory, int, Verdict, Interleaver, bool], RunOfASide]
"""Makes one: of the side with that number, what is found goes into the verdict; traced or not."""


class Abandoned(Exception):
    """The run takes more steps than its caller wants to spend.

    `circles`: it may be going in circles, for nearly nothing was written all the while.
    """

    def __init__(self, circles: bool) -> None:
        super().__init__("out of steps")
        self.circles = circles


def run(
    program: Program,
    left: SideFactory,
    right: SideFactory,
    *,
    strategy: MakeStrategy | None = None,
    trace: bool = False,
    notes: NoteTaker | None = None,
    max_steps: int = STEP_LIMIT,
    run_of: RunOf | None = None,
    delays: bool = False,
) -> Verdict:
    """Runs a program on two sides under its own schedule, or under `strategy`.

    `delays`: stores may be delayed, as on x86; if the program's schedule delays some,
    they may anyway.  `run_of`: who runs and judges a side, where it is not SideRun.  UsageError if
    a side is not a model, or cannot run the program's configuration.
    """
    verdict = Verdict()
    ends: list[list[str]] = []
    for number, factory in enumerate((left, right)):
        try:
            ends.append(
                run_side(
                    program,
                    factory,
                    number,
                    verdict,
                    strategy,
                    trace,
                    notes,
                    max_steps,
                    run_of,
                    delays,
                )
            )
        except Abandoned:
            verdict.allowed["abandoned"] += 1
            return verdict
        if verdict.divergences or verdict.allowed["unclear-order"]:
            return verdict
    both = f"{left.name}/{right.name}"
    for at, (one, other) in enumerate(zip(*ends, strict=True)):
        if NO_PAGES in (one, other):
            verdict.allowed["no-mmu-pages"] += 1
        elif one != other:
            text = f"probe {at}: the access ended as {one} and as {other}"
            verdict.report(Violation("translation", both, f"{one}-{other}", text), "probe", None)
            break
    verdict.operations = len(program.ops)
    return verdict


def run_side(
    program: Program,
    factory: SideFactory,
    number: int,
    verdict: Verdict,
    strategy: MakeStrategy | None = None,
    trace: bool = False,
    notes: NoteTaker | None = None,
    max_steps: int = STEP_LIMIT,
    run_of: RunOf | None = None,
    delays: bool = False,
) -> list[str]:
    """Runs a program on one side; returns how its probes ended, for comparison."""
    if not isinstance(factory, KvmFactory):
        raise UsageError(f"side {factory.name!r} cannot run concurrently: it has no threads")
    made = strategy(program) if strategy is not None else ScheduleStrategy(program.schedule)
    record = Record(made)
    if max_steps >= STEP_LIMIT:
        max_steps = factory.step_limit
    if notes is not None:
        sched = notes.interleaver(number, record, max_steps)
    else:
        sched = Interleaver(record, max_steps)
    sched.delays = delays or any(number >= FIRST_BUFFER for _, number in program.schedule)
    try:
        if run_of is not None:
            ends = run_of(program, factory, number, verdict, sched, trace).run()
        else:
            machine = machine_for(factory, sched)
            side_run = SideRun(program, factory, number, verdict, sched, trace, machine, notes)
            ends = side_run.run()
    except Abandoned as abandoned:
        if not abandoned.circles:
            raise
        # Only without a limit can circles be told from a long way.
        return run_side(
            program,
            factory,
            number,
            verdict,
            strategy,
            trace,
            notes,
            run_of=run_of,
            delays=delays,
        )
    if verdict.divergences:
        verdict.schedule = schedule_of(record)
    return ends


def machine_for(factory: KvmFactory, sched: Interleaver) -> Machine:
    """What a side's VM runs on: where stores may be delayed, so are those to page tables."""
    return BUFFERED if sched.delays and not isinstance(factory, NativeFactory) else PLAIN


def schedule_of(record: Record) -> tuple[tuple[int, int], ...]:
    """The schedule that repeats a run, as a program may hold it."""
    return tuple(record.switches[:MAX_SCHEDULE]) or RUN_TO_BLOCK


def split_exit(program: Program) -> tuple[list[list[tuple[int, Op]]], list[tuple[int, Op]]]:
    """The phases, and what goes on beside the exit of the process (Config.exit_races).

    That is what others than the process do to the VM: writes of nx_huge_pages, which go through
    all VMs, until kvm_destroy_vm() takes this one off vm_list.
    """
    found = phases(program.ops)
    if not program.config.exit_races or not found:
        return found, []
    beside = [(at, op) for at, op in found[-1] if (op.kind, op.thread) == (Kind.NX, WORKER_THREAD)]
    last = [one for one in found[-1] if one not in beside]
    return [*found[:-1], *([last] if last else [])], beside


class SideRun:
    """One side's run of a program."""

    __slots__ = (
        "_at",
        "_code",
        "_conflicts",
        "_hosts_raced",
        "_levels",
        "_limit",
        "_looked_at",
        "_notes",
        "_number",
        "_program",
        "_sched",
        "_trace",
        "_updates_raced",
        "_verdict",
        "oracles",
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
        machine: Machine = PLAIN,
        notes: NoteTaker | None = None,
    ) -> None:
        self._program = program
        self._number = number
        self._verdict = verdict
        self._sched = sched
        self._trace = trace
        self._notes = notes
        if notes is not None:
            self.side = notes.start_among_others(number, factory, program.config, sched)
        else:
            self.side = factory.start(program.config, sched, machine)
        self.oracles = RaceOracles(self.side, sched, program.config)
        self._code = factory.code
        self._limit = factory.step_limit
        self._at = [0] * 8
        self._updates_raced = False
        self._hosts_raced = False
        self._looked_at = 0
        self._levels: dict[int, int] = {}
        self._conflicts = Conflicts()
        sched.restart()
        sched.on_switch = self._switched
        if trace:
            sched.on_store = self._stored

    def run(self) -> list[str]:
        """All phases, the probes, the end of the VM; stops at the first violation."""
        ends: list[str] = []
        verdict = self._verdict
        try:
            before, beside = split_exit(self._program)
            for phase in before:
                self._phase(phase)
                self._take_violations()
                if self.oracles.versions.unclear and not verdict.divergences:
                    verdict.allowed["unclear-order"] += 1
                    return ends
                self._settle()
                if verdict.divergences:
                    return ends
            ends = self._probes()
            if not verdict.divergences and beside:
                self._exit(beside)
            if not verdict.divergences:
                self._finish()
        except KernelSplat as splat:
            self._take_violations()
            if splat.where != OUT_OF_STEPS or self._sched.steps >= self._limit:
                self._found(
                    Violation(splat.oracle, self.side.name, splat.where, splat.text),
                    self._current(),
                )
            else:
                self._splats()
                if not verdict.divergences:
                    raise Abandoned(self._in_circles()) from None
        except UsageError:
            raise
        except Exception as error:  # a crash of the model is a finding
            self._take_violations()
            self._found(crash(self.side.name, error), self._current())
        finally:
            verdict.steps += self._sched.steps
            self._let_go()
        return ends

    def _let_go(self) -> None:
        """Who was told of this run no longer is: without circles its objects go by themselves."""
        sched, side = self._sched, self.side
        sched.on_switch = sched.on_store = sched.on_mmu_lock = None
        side.guests.observer = None
        side.mm.notifiers.clear()
        cast(list[object], side.kvm.vcpus).clear()  # each has its VM, which may not be destroyed
        for task in sched.tasks:
            task.held.clear()

    # Phases

    def _phase(self, phase: list[tuple[int, Op]]) -> None:
        threads: dict[int, list[tuple[int, Op]]] = {}
        for index, op in phase:
            threads.setdefault(op.thread, []).append((index, op))
        side = self.side
        kinds = {op.kind for _, op in phase}
        self._updates_raced |= not (
            kinds.isdisjoint(MEMSLOT_UPDATES) or kinds.isdisjoint(FAULT_KINDS)
        )
        self._hosts_raced |= {HOST0, HOST1} <= threads.keys()
        bodies: list[tuple[Task, Callable[[], None]]] = []
        for thread in sorted(threads):
            bodies.append((side.task(thread), self._body(threads[thread])))
        self._sched.run(bodies)

    def _body(self, ops: list[tuple[int, Op]]) -> Callable[[], None]:
        def body() -> None:
            for index, op in ops:
                self._op(index, op)

        return body

    def _op(self, index: int, op: Op) -> None:
        side, oracles, verdict = self.side, self.oracles, self._verdict
        if op.thread < 4 and op.thread >= len(side.kvm.vcpus):
            return
        self._at[op.thread] = index
        current = self._sched.current
        current.relaxed_at = -1
        current.operation = index
        self._sched.point("operation", False)
        oracles.begins(op)
        if self._trace:
            self._event(op.thread, op, None)
        if self._notes is not None:
            self._notes.begins(self._number, index, op)
        outcome = side.execute_among_others(op, index + 1)
        self._sched.fence()  # whoever is told that it is over sees what it stored
        oracles.ends(op, outcome)
        if self._trace:
            self._event(op.thread, op, outcome)
        if self._notes is not None:
            self._notes.ends(self._number, op, outcome)
        verdict.features.add(answer(self._number, op.kind, outcome))
        self._changed(op)
        self._conflicts.note(0, op.thread, ended(op.kind, outcome))
        side.kvm.mem.log.clear()
        self._looked_at = 0

    def _changed(self, op: Op) -> None:
        """Features of what the operation changed since it went on."""
        mem, levels = self.side.kvm.mem, self._levels
        for ptr, old, new in mem.log[self._looked_at :]:
            page = mem.pages.get(ptr >> 12)
            if page is not None and page.sp is not None:
                levels[ptr >> 12] = page.sp.role.level
            level = levels.get(ptr >> 12)  # a table that is gone by now had one, too
            if level is not None:
                self._verdict.features.add(transition(self._number, op.kind, level, old, new))
                self._conflicts.note(ptr, op.thread, changed(op.kind, level, old, new))
        self._looked_at = len(mem.log)

    def _switched(self, task: Task, what: Hashable, following: Task) -> None:
        """Feature of a switch: which operation was interrupted where, by which."""
        if self._trace:
            place = place_of(self.side, self._code, what, sys._getframe())
            self._event(following.number, None, None, place)
        if isinstance(what, tuple):
            what = what[0]
        elif isinstance(what, int):
            what = "spte"
        running = self.oracles.threads.all
        interrupted = running[task.number].op if task.number >= 0 else None
        if interrupted is not None:
            self._changed(interrupted)
        word = self._number
        for one in (task, following):
            op = running[one.number].op if one.number >= 0 else None
            word = word * 64 + (int(op.kind) if op is not None else 63)
        word = word * 1021 + sum(map(ord, str(what)))
        self._verdict.features.add((word * 2654435761 >> 9) % FEATURES)

    def _stored(self, task: Task, what: Hashable, visible: bool) -> None:
        """A store is delayed, or no longer."""
        place = place_of(self.side, self._code, what, sys._getframe())
        store = "visible" if visible else "delayed"
        event = Event(self._number, self._sched.steps, task.number, None, None, place, store)
        self._verdict.trace.append(event)

    def _event(
        self, thread: int, op: Op | None, outcome: Outcome | None, place: Place = NOWHERE
    ) -> None:
        event = Event(self._number, self._sched.steps, thread, op, outcome, place)
        self._verdict.trace.append(event)

    def _take_violations(self) -> None:
        """What the oracles found: they saw it before the tables showed it.

        Nothing where it cannot know which map was in force.
        """
        if self.oracles.versions.unclear:
            self.oracles.violations.clear()
        for violation, where in self.oracles.violations:
            self._found(violation, where)
        self.oracles.violations.clear()

    def _in_circles(self) -> bool:
        """Out of steps: has an operation gone on for long, while nearly nothing was written?"""
        now = self._sched.steps
        begun = [run.begin for run in self.oracles.threads.all if run.op is not None]
        if not begun or now - min(begun) < CIRCLE_STEPS:
            return False
        return len(self.side.kvm.mem.log) < (now - min(begun)) // 1000

    # Where all meet

    def _settle(self) -> None:
        """Nothing is going on: the tables must be exact."""
        side, oracles, config = self.side, self.oracles, self._program.config
        side.kvm.rcu.run_callbacks()
        for violation in oracles.settle():
            self._found(violation, None)
        self._splats()
        memory = oracles.versions.newest
        memory.smm[:] = oracles.threads.smm
        for as_id, gfn, leaf in side.tables.all_leaves():
            for violation in leaf_violations(side, config, memory, as_id, gfn, leaf):
                self._found(violation, None)
        for violation in (*accounting_violations(side), *root_violations(side)):
            self._found(violation, None)
        if side.kvm.masks.enable_mmio_caching:
            self._old_mmio()
        met = self._conflicts.take()
        self._verdict.conflicts |= met
        self._verdict.features.update(map(feature, met))
        side.kvm.mem.log.clear()
        side.mm.changed.clear()

    def _old_mmio(self) -> None:
        """MMIO SPTEs across a wrap of the generation.

        A fault that comes between the zap and the new generation installs one of the old: no later
        kernel prevents that, and half a million updates later it would count as current.
        """
        found = list(mmio_violations(self.side))
        if found and self._updates_raced:
            self._verdict.allowed["mmio-generation-window"] += 1
            return
        for violation in found:
            self._found(violation, None)

    def _probes(self) -> list[str]:
        """Reads of the pages that the program touched, one at a time, with all else at rest."""
        side, oracles, config = self.side, self.oracles, self._program.config
        ends: list[str] = []
        if self._hosts_raced or any(op.kind == Kind.HWPOISON for op in self._program.ops):
            # What the host has depends on who came first there.
            return ends
        memory = oracles.versions.newest
        for gfn in probed(self._program):
            op = Op(Kind.READ, 0, (gfn,))
            outcome = side.execute(op, 0)
            as_id = oracles.threads.smm[0]
            for violation in access_violations(side, config, memory, as_id, gfn, 0, outcome):
                self._found(violation, op)
            failed = outcome.result == ERROR and outcome.value == -ENOSPC
            ends.append(NO_PAGES if failed else outcome.result)
        return ends

    def _exit(self, beside: list[tuple[int, Op]]) -> None:
        """The process exits, whose threads have all left KVM; what `beside` does goes on."""
        side = self.side
        exits = (side.task(VMM_THREAD), side.exit)
        self._sched.run([exits, (side.task(WORKER_THREAD), self._body(beside))])
        self._take_violations()
        side.kvm.rcu.run_callbacks()
        for violation in (*release_violations(side), *accounting_violations(side)):
            self._found(violation, None)

    def _finish(self) -> None:
        side = self.side
        side.exit()
        for violation in release_violations(side):
            self._found(violation, None)
        side.destroy()
        self._splats()
        if not self._verdict.divergences:
            for violation in (*leak_violations(side), *unprotected_violations(side)):
                self._found(violation, None)

    # Findings

    def _splats(self) -> None:
        side = self.side
        for where, text in side.kvm.splats:
            self._found(Violation("warn", side.name, where, text), None)
        side.kvm.splats.clear()

    def _current(self) -> Op | None:
        number = self._sched.last.number
        return self.oracles.threads.all[number].op if number >= 0 else None

    def _found(self, violation: Violation, op: Op | None) -> None:
        operation = op.kind.name.lower() if op is not None else "meeting"
        index = self._at[op.thread] if op is not None else None
        self._verdict.report(violation, operation, index)


def phases(ops: tuple[Op, ...]) -> list[list[tuple[int, Op]]]:
    """The operations with their indices, cut at each sync."""
    found: list[list[tuple[int, Op]]] = [[]]
    for index, op in enumerate(ops):
        if op.kind == Kind.SYNC:
            found.append([])
        else:
            found[-1].append((index, op))
    return [phase for phase in found if phase]


def probed(program: Program) -> list[int]:
    """The first few different gfns that the program's vCPUs touch."""
    gfns: dict[int, None] = {}
    for op in program.ops:
        if op.kind <= Kind.BEGIN_FAULT:
            gfns[op.args[0]] = None
            if len(gfns) == PROBES:
                break
    return list(gfns)
