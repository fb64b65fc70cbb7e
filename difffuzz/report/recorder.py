# SPDX-License-Identifier: GPL-2.0-only
"""Records a run: the note-taker that the engines are handed, and the recording that comes of it."""

from __future__ import annotations

from difffuzz.engine.noting import NoteTaker
from difffuzz.oracle import ORACLES, Verdict
from difffuzz.oracle.verdict import broken_alike
from difffuzz.program import Config, Op, Program, render, render_op
from difffuzz.program.limits import THREADS
from difffuzz.report.explain import allowed_lines
from difffuzz.report.noted_sched import NotedInterleaver, NotedScheduler
from difffuzz.report.noted_tables import NotedMem, Pool
from difffuzz.report.recording import Event, Objection, Recording, What
from difffuzz.report.recording import Side as RecordedSide
from difffuzz.report.side_notes import MOST_EVENTS, SideNotes
from difffuzz.sched.choice import Strategy
from difffuzz.sched.interleave import Interleaver
from difffuzz.sides import KvmFactory, NativeFactory, SideFactory, short_name
from difffuzz.sides.base import Outcome, Side
from difffuzz.sides.identity import identity
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.machine import PLAIN, Machine

NAMES = len(THREADS) + 1
"""Of threads: that of the main one, -1, comes last."""
MODEL, KERNEL, SPECIFICATION = "model", "kernel", "specification"
UNTOLD = {
    MODEL: [],
    KERNEL: [
        "Of the kernel's own code the function that was called is known, not those further in, and "
        "no line.",
        "RCU sections and requests to vCPUs are not told.",
        "Of locks, mmu_lock and the host's are told, mmu_lock in concurrent runs only.",
    ],
    SPECIFICATION: ["The specification has no page tables, no locks and no TLB."],
}

CUT = f"The run has more events than the {MOST_EVENTS} that are kept: its end is not shown."


class Recorder(NoteTaker):
    """Notes one run of a program."""

    def __init__(self) -> None:
        self._pool = Pool()
        self._events: list[Event] = []
        self._notes: dict[int, SideNotes] = {}
        self._code: dict[int, str] = {}
        self._concurrent = False

    def start(self, number: int, factory: SideFactory, config: Config) -> Side:
        """With a scheduler and a memory that tell."""
        notes = self._begin(number, factory)
        if not isinstance(factory, KvmFactory):
            side = factory.start(config)
            notes.attach(side, (), None)
            return side
        sched = NotedScheduler(notes)
        started = factory.start(config, sched, _machine(factory, notes))
        notes.attach(started, factory.code, None)
        return started

    def interleaver(self, number: int, strategy: Strategy, step_limit: int) -> Interleaver:
        """One that tells."""
        self._concurrent = True
        notes = SideNotes(number, self._pool, self._events)
        return NotedInterleaver(notes, strategy, step_limit)

    def start_among_others(
        self, number: int, factory: KvmFactory, config: Config, sched: Interleaver
    ) -> KvmSide:
        """With a memory that tells."""
        assert isinstance(sched, NotedInterleaver)
        notes = self._begin(number, factory)
        sched.looker = notes
        side = factory.start(config, sched, _machine(factory, notes))
        notes.attach(side, factory.code, lambda: sched.steps)
        return side

    def begins(self, number: int, index: int, op: Op) -> None:
        """Noted."""
        self._notes[number].begins(index, op)

    def ends(self, number: int, op: Op, outcome: Outcome | None) -> None:
        """Noted."""
        self._notes[number].ends(op, outcome)

    def recording(
        self, name: str, program: Program, sides: tuple[str, str], verdict: Verdict
    ) -> Recording:
        """What the run showed.  `name` is the program's; errors as from identity()."""
        recorded = []
        full = [CUT] if len(self._events) >= MOST_EVENTS else []
        for number, side in enumerate(sides):
            code = self._code.get(number, MODEL)
            notes = self._notes.get(number)
            threads = {event.thread for event in self._events if event.side == number}
            recorded.append(
                RecordedSide(
                    short_name(side),
                    identity(side),
                    code,
                    sorted(threads, key=lambda thread: thread % NAMES),
                    notes.vcpus if notes is not None else 0,
                    [*UNTOLD[code], *full],
                )
            )
        objections = [
            Objection(
                found.oracle,
                " ".join(ORACLES.get(found.oracle, "").split()),
                found.signature,
                found.detail,
                found.op_index if found.op_index is not None else -1,
            )
            for found in verdict.divergences
        ]
        events = self._events
        last = events[-1] if events else Event(0, 0, -1, What.FOUND)
        found_events = [
            Event(last.side, last.step, -1, What.FOUND, f"{one.oracle}: {one.detail}", one.op)
            for one in objections
        ]
        return Recording(
            name=name,
            program=render(program),
            operations=[render_op(op) for op in program.ops],
            threads=[*THREADS, "main"],
            concurrent=self._concurrent,
            sides=recorded,
            objections=objections,
            alike=broken_alike(verdict.divergences, *map(short_name, sides)),
            allowed=[line.strip() for line in allowed_lines(verdict)],
            entries=self._pool.entries,
            states=self._pool.states,
            events=[*events, *found_events],
        )

    def _begin(self, number: int, factory: SideFactory) -> SideNotes:
        """Notes anew: a run that had a limit may be run again without."""
        self._events[:] = [event for event in self._events if event.side != number]
        self._code[number] = KERNEL if isinstance(factory, NativeFactory) else SPECIFICATION
        if isinstance(factory, KvmFactory) and not isinstance(factory, NativeFactory):
            self._code[number] = MODEL
        notes = self._notes[number] = SideNotes(number, self._pool, self._events)
        return notes


def _machine(factory: KvmFactory, notes: SideNotes) -> Machine:
    if isinstance(factory, NativeFactory):
        return PLAIN
    return Machine(mem=lambda sched: NotedMem(sched, notes))
