# SPDX-License-Identifier: GPL-2.0-only
"""Programs made of a trace: faults are accesses, invalidations and aging are the host's."""

from __future__ import annotations

from collections import Counter
from typing import Final, NamedTuple

from difffuzz.program import Config, Kind, Op, Program, normalise
from difffuzz.program.limits import HOST_THREADS, MAX_OPS, MAX_VCPUS

from .asked import AskedBefore
from .events import Aged, Event, PageFault, Unmap, VmIoctl
from .faults import Fault
from .layout import NPT, pages
from .lines import Lost
from .placed import KINDS, Placed, Placement
from .reading import Trace
from .vmm import Memslots, protects

ACCESSES: Final = {"read": Kind.READ, "write": Kind.WRITE, "exec": Kind.EXEC}
MIGRATORS: Final = ("kcompactd", "migration/")
"""Tasks that move pages."""
MOST_MOVED: Final = 64
"""Pages of one invalidation that are moved one by one."""
MAX_PROGRAMS: Final = 1000
"""Programs of one trace; what would be behind is left out, and counted."""


class Expected(NamedTuple):
    """What the trace shows of an access: operation's index, answers, level (0: not told)."""

    op: int
    line: int
    gfn: int
    """Of the program."""
    answers: tuple[str, ...]
    level: int


class Rebuilt(NamedTuple):
    """One program, and what its trace showed."""

    program: Program
    expected: list[Expected]
    lines: tuple[int, int]
    """First and last line of the trace that it is made of."""


class Rebuild:
    """What came of a trace.  `left_out`: what is in no program, by the reason."""

    def __init__(self) -> None:
        self.programs: list[Rebuilt] = []
        self.left_out: Counter[str] = Counter()
        self.vcpus = 1
        self.notes: list[str] = []


class _Access:
    """Faults of one vCPU that are one access: RETRY lets the guest try it again."""

    def __init__(self, thread: int, kind: Kind, gfn: int, fault: Fault) -> None:
        self.thread, self.kind, self.gfn = thread, kind, gfn
        self.faults = [fault]


def rebuild(trace: Trace, placement: Placement) -> Rebuild:
    """Cuts where a program is full: the next begins with a VM of its own."""
    made = Rebuild()
    threads = _threads(trace, made)
    config = Config(
        vcpus=made.vcpus,
        layout="npt" if trace.layout is NPT else "ept",
        areas=KINDS,
    )
    config = protects(trace.events, config)
    writer = _Writer(trace, placement, config, made)
    accesses = _accesses(trace, placement, threads, made)
    ends = {access.faults[-1].last: access for access in accesses.values()}
    for event in trace.events:
        if isinstance(event, Lost):
            made.left_out["places where events were lost"] += 1
            continue
        number = event.line.number
        if isinstance(event, PageFault) and number in accesses:
            writer.begins(accesses[number])
        elif isinstance(event, Unmap | Aged):
            writer.host(event)
        elif isinstance(event, VmIoctl):
            writer.vmm(event)
        if number in ends:
            writer.ends(ends[number])
    writer.cut()
    return made


def _threads(trace: Trace, made: Rebuild) -> dict[int, int]:
    """By task: its vCPU in the program."""
    tasks: dict[int, int] = {}
    for fault in trace.faults:
        tasks.setdefault(fault.first.line.pid, len(tasks))
    if len(tasks) > MAX_VCPUS:
        made.notes.append(f"{len(tasks)} tasks with faults are folded into {MAX_VCPUS} vCPUs")
    made.vcpus = max(1, min(len(tasks), MAX_VCPUS))
    return {pid: number % MAX_VCPUS for pid, number in tasks.items()}


def _accesses(
    trace: Trace, placement: Placement, threads: dict[int, int], made: Rebuild
) -> dict[int, _Access]:
    """By the line of the first fault."""
    found: dict[int, _Access] = {}
    last: dict[int, _Access] = {}
    for fault in trace.faults:
        gfn = placement.gfn_of(fault.gfn)
        pid = fault.first.line.pid
        if gfn is None:
            made.left_out["faults outside of all slots"] += 1
            last.pop(pid, None)
            continue
        kind = ACCESSES[fault.access(trace.intel)]
        before = last.get(pid)
        if before is not None and (before.gfn, before.kind) == (gfn, kind):
            ret = before.faults[-1].ret
            if ret is not None and trace.answer(ret) == "RETRY":
                before.faults.append(fault)
                continue
        last[pid] = found[fault.first.line.number] = _Access(threads[pid], kind, gfn, fault)
    return found


class _Writer:
    """Writes operations in the order in which the trace ends them, a new program when one is full.

    An access is written where its last fault ends: what came before has happened.  One that was
    told to try again had its page before an invalidation came in between, and is parked there.
    """

    def __init__(self, trace: Trace, placement: Placement, config: Config, made: Rebuild) -> None:
        self._trace = trace
        self._placement = placement
        self._config = config
        self._made = made
        self._asked = AskedBefore(trace.events)
        self._memslots = Memslots(placement, trace.events)
        self._slots = self._memslots.specs
        self._ops: list[Op] = []
        self._expected: list[Expected] = []
        self._lines: list[int] = []
        self._running: dict[int, _Access] = {}
        """By vCPU."""
        self._parked: set[int] = set()

    def begins(self, access: _Access) -> None:
        """Its first fault."""
        self._running[access.thread] = access

    def ends(self, access: _Access) -> None:
        """Its last fault is over."""
        if self._running.get(access.thread) is not access:
            return
        del self._running[access.thread]
        first = access.faults[0].first
        if access.thread in self._parked:
            self._parked.remove(access.thread)
            self._add(Op(Kind.END_FAULT, access.thread), first)
        else:
            self._room(1)
            self._add(Op(access.kind, access.thread, (access.gfn,)), first)
        answers = self._answers(access)
        done = access.faults[-1].set_for_it()
        level = done.level if done is not None else 0
        if all(fault.whole for fault in access.faults) and (answers or level):
            at = len(self._ops) - 1
            self._expected.append(Expected(at, first.line.number, access.gfn, answers, level))

    def host(self, event: Unmap | Aged) -> None:
        """What the host does to the slots' memory."""
        ranges = self._placement.ranges(event.start, event.end)
        if not ranges:
            self._made.left_out["events of the host at hvas of no known slot"] += 1
        for slot, page, n in ranges:
            if isinstance(event, Aged):
                ops = _aged(event, slot, page, n)
            else:
                ops = self._unmapped(event, slot, page, n)
            self._room(len(ops) + len(self._running))
            if isinstance(event, Unmap):
                self._park()
            for op in ops:
                self._add(op, event)

    def vmm(self, event: VmIoctl) -> None:
        """What user space does to the VM."""
        if self._memslots.another_vm(event):
            self.cut()
            self._memslots.begin_again()
            self._slots = ()
        ops = self._memslots.operations(event)
        if not ops:
            return
        if not self._ops and not self._running:
            self._slots = self._memslots.specs  # before anything else: the program begins with it
            return
        self._room(len(ops))
        for op in ops:
            self._add(op, event)

    def _park(self) -> None:
        for thread, access in self._running.items():
            told = self._answers(access)
            if thread not in self._parked and told[:1] == ("RETRY",):
                self._parked.add(thread)
                op = Op(Kind.BEGIN_FAULT, thread, (access.gfn, int(access.kind)))
                self._add(op, access.faults[0].first)

    def _answers(self, access: _Access) -> tuple[str, ...]:
        rets = [fault.ret for fault in access.faults]
        return tuple(self._trace.answer(ret) for ret in rets if ret is not None)

    def _unmapped(self, event: Unmap, slot: Placed, page: int, n: int) -> list[Op]:
        """An invalidation does not say why.  The task may, and the pages that come next."""
        thread = HOST_THREADS[0]
        comm = event.line.comm
        if comm == "khugepaged" and n >= pages(2):
            return [Op(Kind.THP_COLLAPSE, thread, (slot.area, page))]
        if comm.startswith(MIGRATORS) and n <= MOST_MOVED:
            return [Op(Kind.MIGRATE, thread, (slot.area, page + i)) for i in range(n)]
        first = slot.traced.gfn + page - slot.page
        before, after = self._asked.around(event.line.number, first, first + n)
        if before and after and before.level > 1 and after.level == 1:
            return [Op(Kind.THP_SPLIT, thread, (slot.area, page))]
        if before and after and before.gfn - before.pfn == after.gfn - after.pfn:
            return [Op(Kind.INVALIDATE, thread, (slot.area, page, n, 0))]
        return [Op(Kind.DONTNEED, thread, (slot.area, page, n))]

    def _room(self, n: int) -> None:
        """Begins a new program unless n more fit, with the ends of what is parked."""
        if len(self._ops) + n + len(self._parked) > MAX_OPS and not self._parked:
            self.cut()

    def _add(self, op: Op, event: Event) -> None:
        if len(self._ops) >= MAX_OPS:
            self._made.left_out["operations that did not fit beside a parked fault"] += 1
            return
        self._ops.append(op)
        self._lines.append(event.line.number)

    def cut(self) -> None:
        """The program so far is one; what follows begins anew."""
        if not self._ops:
            return
        if len(self._made.programs) >= MAX_PROGRAMS:
            self._made.left_out["operations behind the last program"] += len(self._ops)
        else:
            config = self._config._replace(slots=self._slots)
            program = normalise(Program(config, tuple(self._ops)))
            lines = (min(self._lines), max(self._lines))
            self._made.programs.append(Rebuilt(program, self._expected, lines))
        self._ops, self._expected, self._lines = [], [], []
        self._slots = self._memslots.specs


def _aged(event: Aged, slot: Placed, page: int, n: int) -> list[Op]:
    thread = HOST_THREADS[0]
    if event.tested:
        return [Op(Kind.TEST_AGE, thread, (slot.area, page))]
    # Both of clear_flush_young and clear_young write the event.
    return [Op(Kind.AGE, thread, (slot.area, page, n, 0))]
