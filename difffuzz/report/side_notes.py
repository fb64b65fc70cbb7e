# SPDX-License-Identifier: GPL-2.0-only
"""The events of one side of a run that is recorded, in the order in which they happen."""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable

from difffuzz.engine.place import functions_at, place_of
from difffuzz.facts import kvm as facts
from difffuzz.facts.paging import PAGE_SHIFT
from difffuzz.kvm.kvm_host import KvmMmuPage
from difffuzz.machine.pageformat import PERM_R, PERM_W, PERM_X
from difffuzz.machine.spt import PtPage
from difffuzz.machine.tlb import TlbEntry
from difffuzz.machine.vma import area_base, area_of
from difffuzz.native.kvm import NativeKvm
from difffuzz.oracle.answers import AGING
from difffuzz.oracle.notifier import SilentNotifier
from difffuzz.program import Op, render_op
from difffuzz.program.limits import THREADS
from difffuzz.report.explain import LEVEL, outcome_text, young_text
from difffuzz.report.noted_tables import (
    NativeTables,
    NotedMem,
    Pool,
    Tables,
    Told,
    place_of_table,
)
from difffuzz.report.recording import Change, Event, What
from difffuzz.sched import Scheduler, Task
from difffuzz.sides.base import Outcome, Side
from difffuzz.sides.kvm_side import KvmSide

MACHINE = ("difffuzz.machine",)
REQUESTS = {
    value: name.removeprefix("KVM_REQ_")
    for name, value in vars(facts).items()
    if name.startswith("KVM_REQ_")
}


MOST_EVENTS = 20_000
"""Of a run; an endless loop has any number, and nobody steps through more."""


class SideNotes:
    """Takes the notes of side `number` and adds them to `events`."""

    def __init__(self, number: int, pool: Pool, events: list[Event]) -> None:
        self._number = number
        self._pool = pool
        self._events = events
        self._code: tuple[str, ...] = MACHINE
        self._sched = Scheduler()
        self._step: Callable[[], int] = lambda: 0
        self._points = 0
        self._begun = False
        self._side: KvmSide | None = None
        self._tables: Tables | None = None
        self._native: NativeTables | None = None
        self._ops: dict[int, int] = {}
        self._inside: set[int] = set()
        """Threads in an RCU read section."""
        self._tlbs: dict[int, list[TlbEntry]] = {}
        self._owed: dict[int, int] = {}
        self.vcpus = 0

    def attach(self, side: Side, code: tuple[str, ...], step: Callable[[], int] | None) -> None:
        """The side is made, and notes begin.  `step` counts, if not its preemption points."""
        self._step = step if step is not None else lambda: self._points
        self._sched = side.sched
        self._points = 0
        self._begun = True
        side.mm.register(Windows(self))
        if not isinstance(side, KvmSide):
            return
        self._side, self._code = side, code
        kvm = side.kvm
        self.vcpus = len(kvm.vcpus)
        self._tables = Tables(self._pool, kvm.masks)
        if isinstance(kvm, NativeKvm):
            self._native = NativeTables(kvm, self._tables)
        else:
            for pfn in list(kvm.mem.pages):
                self.filled(pfn)

    # What the engine tells

    def begins(self, index: int, op: Op) -> None:
        """An operation of the program."""
        self._ops[op.thread] = index
        self._add(What.BEGINS, render_op(op).partition(": ")[2], op.thread)

    def ends(self, op: Op, outcome: Outcome | None) -> None:
        """Its end."""
        self.look()
        told = young_text(outcome) if op.kind in AGING else ""
        self._add(What.ENDS, told or outcome_text(outcome, ()), op.thread)

    # What the scheduler tells

    def look(self) -> None:
        """Whatever is not told of itself."""
        self._points += 1
        if self.full:
            return
        task, side = self._sched.current, self._side
        if (task.rcu_depth > 0) != (task.number in self._inside):
            self._inside ^= {task.number}
            self._add(What.RCU if task.rcu_depth else What.RCU_ENDS)
        self._look_at_native()
        if side is None:
            return
        for vcpu in side.kvm.vcpus:
            number = vcpu.vcpu_id
            if self._native is None:
                requests = vcpu.requests
                if requests != self._owed.get(number, 0):
                    self._owed[number] = requests
                    event = self._add(What.OWED)
                    event.vcpu = number
                    event.owed = [name for bit, name in REQUESTS.items() if requests & bit]
            cached = list(vcpu.cpu.tlb.entries())
            if cached != self._tlbs.get(number, []):
                self._tlbs[number] = cached
                event = self._add(What.TLB)
                event.vcpu = number
                event.tlb = [tlb_text(entry) for entry in cached]

    def takes(self, lock: str, exclusive: bool) -> None:
        """A lock."""
        self._look_at_native()
        event = self._add(What.LOCK)
        event.lock, event.exclusive = lock, exclusive

    def releases(self, lock: str, exclusive: bool) -> None:
        """A lock."""
        self._look_at_native()
        event = self._add(What.UNLOCK)
        event.lock, event.exclusive = lock, exclusive

    def waits(self, task: Task, what: str) -> None:
        """A lock, or something else."""
        self._add(What.WAITS, what).lock = what

    def goes_on(self, task: Task, instead: Task, what: Hashable) -> None:
        """A switch."""
        side = self._side
        if side is None or self.full:
            return
        place = place_of(side, self._code, what, sys._getframe())
        stands = THREADS[instead.number] if instead.number >= 0 else instead.name
        text = f"{stands} stands before {place.what}" if place.what else f"{stands} stands"
        self._add(What.GOES_ON, text, task.number)

    def _look_at_native(self) -> None:
        if self._native is not None and not self.full:
            self._native.look(self._tell)

    # What a model's memory tells

    def stored(self, pfn: int, index: int, old: int) -> None:
        """An entry was `old`."""
        page = self._page(pfn)
        if page is not None and self._tables is not None:
            where = place_of_table(page.sp, page.absent)
            self._tell(self._tables.holds(pfn, where, page.ent, {index: old}))

    def filled(self, pfn: int) -> None:
        """A table as a whole."""
        page = self._page(pfn)
        if page is not None and self._tables is not None:
            where = place_of_table(page.sp, page.absent)
            self._tell(self._tables.holds(pfn, where, page.ent, {}))

    def freed(self, pfn: int) -> None:
        """A table went."""
        if self._tables is not None:
            self._tell(self._tables.goes(pfn))

    # What the host tells

    def window(self, opens: bool, start: int, end: int) -> None:
        """An invalidation of the hvas [start, end) begins or ends."""
        area = area_of(start)
        page = (start - area_base(area)) >> PAGE_SHIFT
        text = f"area={area} page={page:#x} n={(end - start) >> PAGE_SHIFT:#x}"
        self._add(What.INVALIDATES if opens else What.INVALIDATED, text)

    @property
    def full(self) -> bool:
        """Nothing more is noted."""
        return len(self._events) >= MOST_EVENTS

    def _page(self, pfn: int) -> PtPage[KvmMmuPage] | None:
        if self._side is None or self.full:
            return None
        mem = self._side.kvm.mem
        assert isinstance(mem, NotedMem)
        return mem.pages.get(pfn)

    def _tell(self, told: Told) -> None:
        changes, states, gone = told
        if not (changes or states or gone):
            return
        if changes and self._joins(changes, states):
            return
        event = self._add(What.SPTE if changes else What.TABLE)
        event.changes, event.tables, event.gone = changes, states, gone

    def _joins(self, changes: list[Change], states: list[int]) -> bool:
        """One more of a row of SPTEs that the thread changes alike, with nothing in between."""
        before = self._events[-1] if self._events else None
        if before is None or before.what is not What.SPTE or before.side != self._number:
            return False
        if before.thread != self._sched.current.number or len(changes) != 1:
            return False
        last, new = before.changes[-1], changes[0]
        size = last.count << 9 * (last.level - 1)
        if (last.level, last.smm, last.gfn + size) != (new.level, new.smm, new.gfn):
            return False
        entries = self._pool.entries
        for one, other in ((last.old, new.old), (last.new, new.new)):
            if (entries[one].kind, entries[one].bits) != (entries[other].kind, entries[other].bits):
                return False
        last.count += 1
        before.tables[-1:] = states
        return True

    def _add(self, what: What, text: str = "", thread: int | None = None) -> Event:
        if thread is None:
            thread = self._sched.current.number
        event = Event(self._number, self._step(), thread, what, text, self._ops.get(thread, -1))
        if self._begun and not self.full:
            if what not in (What.BEGINS, What.ENDS):
                event.functions = functions_at(sys._getframe(), self._code)
            self._events.append(event)
        return event


class Windows(SilentNotifier):
    """Hears of invalidations."""

    def __init__(self, notes: SideNotes) -> None:
        self._notes = notes

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """KVM has heard of it."""
        self._notes.window(True, start, end)

    def invalidate_range_end(self, start: int, end: int) -> None:
        """KVM has heard of that, too."""
        self._notes.window(False, start, end)


def tlb_text(entry: TlbEntry) -> str:
    """An entry of a TLB."""
    perms = "".join(
        letter if entry.perms & bit else "-"
        for letter, bit in (("r", PERM_R), ("w", PERM_W), ("x", PERM_X))
    )
    dirty = " dirty" if entry.dirty else ""
    return f"gfn {entry.gfn:#x} {LEVEL[entry.level]} pfn {entry.pfn:#x} {perms}{dirty}"
