# SPDX-License-Identifier: GPL-2.0-only
"""The oracles of concurrent runs: linearizable and stale accesses, dirty log, R1 and R2.

They are told of every operation of one side when it begins and when it is over, of every guest
access at the moment it uses its frame, and of every attempt to handle a fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.facts.errno import ENOSPC
from difffuzz.machine.host import PTE_WRITE
from difffuzz.machine.pageformat import WRITE
from difffuzz.machine.pagetable import HOST_PAGE_TABLE
from difffuzz.oracle.answers import RaceAges
from difffuzz.oracle.contents import Contents
from difffuzz.oracle.dirty_log import DirtyLog, Key
from difffuzz.oracle.emptied import RaceEmptied
from difffuzz.oracle.invalidation_times import InvalidationTimes
from difffuzz.oracle.retry import ROOTS_CHANGE, FaultAttempts, RangeZap
from difffuzz.oracle.running import Interval, Threads
from difffuzz.oracle.sizes import RaceSizes
from difffuzz.oracle.verdict import Violation
from difffuzz.oracle.versions import CHANGES, MAP_BEGINS, MAP_ENDS, Versions
from difffuzz.oracle.zap_all_progress import WHOLE_KINDS, ZapAllProgress
from difffuzz.program import Config, Kind, Op
from difffuzz.program.limits import VMM_THREAD, WORKER_THREAD
from difffuzz.program.model import READONLY
from difffuzz.program.ops import HOST_KINDS
from difffuzz.sched import Task
from difffuzz.sched.interleave import Interleaver
from difffuzz.sides.base import ERROR, MMIO, OK, STUCK, Outcome
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import Slot

LINEARIZABLE = """Under concurrency each guest access sees a mapping that was legal at some moment
during it: memory of a memslot that was there, the host's page, the permission; MMIO and failures
only where there was a moment at which they were right."""

VMM_THREADS = (VMM_THREAD, WORKER_THREAD)
SLOT_KINDS = frozenset(
    {Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.MEMSLOT_FLAGS}
)
ACCESSES = frozenset({Kind.READ, Kind.WRITE, Kind.EXEC, Kind.BEGIN_FAULT})
TOUCHES = ACCESSES | {Kind.PREFAULT}


class RaceOracles:
    """Watches one side.  `violations` holds what it found and the operation it happened in."""

    def __init__(self, side: KvmSide, sched: Interleaver, config: Config) -> None:
        self.side = side
        self.config = config
        self.versions = Versions(config)
        self.threads = Threads()
        self.violations: list[tuple[Violation, Op]] = []
        self._sched = sched
        by_gfn = side.kvm.retries_by_gfn
        self._invalidations = InvalidationTimes(side.mm, sched, self.versions, by_gfn=by_gfn)
        self._log = DirtyLog(side.name, config)
        self._contents = Contents(side.name, config)
        self._taken: list[Op] = []
        """What the host does in this phase: which write was before it is not known."""
        self._emulated: set[int] = set()
        """Pages (hva) that somebody else wrote to in it, at some time."""
        self._attempts = FaultAttempts(
            side, sched, config, self.versions, self._invalidations, self.threads, self.violations
        )
        self._whole = ZapAllProgress(side, self.violations)
        self._emptied = RaceEmptied(side, self.violations)
        self._sizes = RaceSizes(side, config)
        self._ages = RaceAges(side, sched, self.violations)
        sched.on_mmu_lock = self._locked
        self.attempt_begins = self._attempts.begins
        self.attempt_ends = self._attempts.ends
        self._host: list[Interval] = []
        self._backed: dict[tuple[int, int], int] = {}
        self._overlapped = 0
        """Begin of the first operation that the change of memslots going on runs beside."""
        side.guests.observer = self

    # Operations

    def begins(self, op: Op) -> None:
        """An operation of a thread begins."""
        if op.kind <= Kind.BEGIN_FAULT:
            self._sched.touch(MAP_ENDS, False)
        elif op.kind in ROOTS_CHANGE:
            self._sched.touch(MAP_BEGINS)
        now = self._sched.steps
        run = self.threads.all[op.thread]
        run.op, run.begin = op, now
        run.entered = self._sched.switches
        if op.kind in SLOT_KINDS:
            self._overlapped = min(one.begin for one in self.threads.all if one.op is not None)
        self._ages.begins(op)
        if op.kind in ACCESSES:
            run.walks = self.side.kvm.vcpus[op.thread].cpu.walks
        if op.thread in VMM_THREADS:
            self._sizes.begins(op, self.versions.newest)
        if op.kind in CHANGES:
            self.versions.begin(op, now)
            self._backed.clear()
        # A change of slots may wrap the generation, which zaps all once more.
        if op.kind in WHOLE_KINDS or (self.config.gen_bias and op.kind in SLOT_KINDS):
            self._whole.begins(op, op.kind == Kind.NX or not self.config.gen_bias)
        if op.kind == Kind.ZAP_GFN_RANGE:
            start, end = op.args[0], op.args[0] + op.args[1]
            self._attempts.zaps.append(RangeZap(start, end))
            run.block = self._invalidations.block(start, end)
            if start < end and not self._busy(Kind.PREFAULT):
                ops = [one.op for one in self.threads.all if one.op is not None]
                self._emptied.begins(op, [one.args[0] for one in ops if one.kind in ACCESSES])
        elif op.kind in ACCESSES:
            self._emptied.accessed(op.args[0])
        elif op.kind == Kind.PREFAULT:
            self._emptied.disturbed()

    def ends(self, op: Op, outcome: Outcome) -> None:
        """The operation is over."""
        if op.kind <= Kind.BEGIN_FAULT:
            self._sched.touch(MAP_BEGINS, False)
        elif op.kind in ROOTS_CHANGE:
            self._sched.touch(MAP_ENDS)
        now = self._sched.steps
        run = self.threads.all[op.thread]
        begin = run.begin
        kind, thread, args = op
        if run.block is not None:
            self._invalidations.unblock(run.block)
            run.block = None
        if kind == Kind.ZAP_GFN_RANGE:
            self._emptied.ends()
        else:
            self._whole.ends(op)
        if kind <= Kind.BEGIN_FAULT:
            self._touched(thread, op, begin)
            access = args[1] if kind == Kind.BEGIN_FAULT else int(kind)
            as_id = self.threads.smm[thread]
            self._note(op, self._result(begin, now, as_id, args[0], access, outcome))
            if access == WRITE and outcome.result == OK and outcome.pfn < 0:
                slots = self.versions.slots(begin, now, as_id, args[0])
                self._emulated.update(slot.hva(args[0]) for slot in slots if slot is not None)
        elif kind == Kind.PREFAULT:
            gfn = args[0]
            self._touched(thread, op, begin)
            if outcome.result == STUCK:
                text = f"gfn {gfn:#x}: its prefault never completes"
                self._note(op, iter([Violation("progress", self.side.name, "prefault", text)]))
        elif kind == Kind.SMM:
            self.threads.smm[thread] = args[0]
        elif kind in ROOTS_CHANGE:
            self._attempts.changes.append((begin, now))
            if kind == Kind.ZAP_GFN_RANGE:
                self._attempts.zapped(self._attempts.zaps[-1])
            if kind in CHANGES:
                self.versions.finish(op, outcome.value, now)
                if kind in SLOT_KINDS:
                    self._changed(kind, (args[1], args[0]), self._forgets(op, begin))
        elif kind == Kind.DIRTY_GET:
            self._dirty_get(op, outcome, self._forgets(op, begin))
        elif kind == Kind.DIRTY_CLEAR and not outcome.value:
            self._log.cleared((args[1], args[0]), args[2], args[3], self._forgets(op, begin))
        elif kind in HOST_KINDS:
            self._host.append((begin, now))
            self._taken.append(op)
        self._ages.ends(op, outcome)
        if thread in VMM_THREADS:
            self._sizes.ends(op, outcome, self.versions.newest)
        run.op = None

    def _busy(self, kind: Kind) -> bool:
        """Is an operation of the kind going on?"""
        return any(one.op is not None and one.op.kind == kind for one in self.threads.all)

    def _locked(self, task: Task) -> None:
        """A task has taken mmu_lock."""
        self._whole.locked(task)
        self._emptied.locked(task)
        self._invalidations.locked(task)
        self._attempts.locked(task)

    def _forgets(self, op: Op, begin: int) -> int:
        """The step before which accesses are over for the log that the operation cleared or took.

        None are while another operation gets the log, for it may have read that before.
        """
        gets = (one.op for one in self.threads.all if one.op is not None and one.op is not op)
        return 0 if any(one.kind == Kind.DIRTY_GET for one in gets) else begin

    def _changed(self, kind: Kind, key: Key, since: int) -> None:
        """A slot was changed: its bitmap is gone, or goes with it."""
        slot = self.versions.newest.slots.get(key)
        if slot is None or not slot.dirty_log:
            self._log.gone(key, since)
        elif kind == Kind.MEMSLOT_MOVE:
            self._log.moved(key, self._overlapped)

    def _touched(self, thread: int, op: Op, begin: int) -> None:
        """An access or a prefault that began then may have mapped its pages until now."""
        now = self._sched.steps
        as_id = self.threads.smm[thread]
        gfn = op.args[0]
        if op.kind == Kind.PREFAULT:
            maps = self.versions.during(begin, now)
            self._log.touched_range(maps, as_id, gfn, gfn + op.args[1], now)
        else:
            self._log.touched(self.versions.slots(begin, now, as_id, gfn), gfn, now)

    def settle(self) -> Iterator[Violation]:
        """All threads have met: what is known of the past is forgotten, the dirty log judged."""
        self.versions.settle()
        self._invalidations.forget()
        self._attempts.settle()
        self._host.clear()
        self._backed.clear()
        for op in self._taken:
            self._contents.host(op)
        for hva in self._emulated:
            self._contents.unknown(hva)
        self._taken.clear()
        self._emulated.clear()
        for key, known in self.versions.newest.slots.items():
            slot = self.side.kvm.memslots[key[0]].id_hash.get(key[1])
            if known.dirty_log and slot is not None and slot.dirty_bitmap is not None:
                yield from self._log.violations(key, dict(slot.dirty_bitmap))
        yield from self._sizes.settled(self.versions.newest)
        yield from self._contents.settled(self.side.mm)

    def _note(self, op: Op, found: Iterator[Violation]) -> None:
        for violation in found:
            self.violations.append((violation, op))

    # Guest accesses

    def touched(self, vcpu: int, gfn: int, pfn: int, access: int, number: int) -> None:
        """The guest is about to use the frame: it must be the right one now."""
        run = self.threads.all[vcpu]
        if run.op is None:
            return
        self._sched.touch(MAP_BEGINS, False)
        self._sched.touch(HOST_PAGE_TABLE, False)
        as_id, now = self.threads.smm[vcpu], self._sched.steps
        write = access == WRITE
        side = self.side
        reason = "no-slot"
        for slot in self.versions.slots(run.begin, now, as_id, gfn):
            if slot is None:
                continue
            pte = side.mm.lookup(slot.hva(gfn))
            if not pte or pte >> 12 != pfn:
                reason = "freed" if side.mm.frames.is_free(pfn) else "other-page"
            elif write and slot.flags & READONLY:
                reason = "readonly-slot"
            elif write and not pte & PTE_WRITE:
                reason = "host-readonly"
            elif write and gfn in slot.tracked:
                reason = "tracked"
            else:
                if side.kvm.vcpus[vcpu].cpu.walks != run.walks:
                    self._ages.used(slot.hva(gfn), pfn, run.begin)
                if write:
                    self._contents.wrote(slot.hva(gfn), number)
                    key = slot.as_id, slot.slot
                    ways = (one.slots.get(key) for one in self.versions.during(run.begin, now))
                    self._log.written(slot, ways, gfn, now)
                if slot is self.versions.newest.slot_at(as_id, gfn):
                    self._backed.setdefault((as_id, gfn), now)
                return
        oracle = "stale-access" if reason in ("freed", "other-page") else "linearizable"
        text = f"gfn {gfn:#x}: uses pfn {pfn:#x}: {reason}"
        self.violations.append((Violation(oracle, side.name, reason, text), run.op))

    def _result(
        self, begin: int, end: int, as_id: int, gfn: int, access: int, outcome: Outcome
    ) -> Iterator[Violation]:
        """Was there a moment at which the access could end as it did?"""
        name = self.side.name
        if outcome.result == STUCK:
            rets = ",".join(map(str, outcome.rets[-2:]))
            yield Violation("progress", name, f"rets-{rets}", f"gfn {gfn:#x}: never completes")
            return
        if outcome.result not in (MMIO, ERROR) or outcome.value == -ENOSPC:
            return
        if self.threads.busy(self._host, begin, HOST_KINDS):
            return
        slots = self.versions.slots(begin, end, as_id, gfn)
        if outcome.result == MMIO:
            # Once a new slot was used, no access that begins later is before its creation.
            if self._backed.get((as_id, gfn), end) < begin:
                slots = [self.versions.newest.slot_at(as_id, gfn)]
            write = access == WRITE
            for slot in slots:
                if slot is None or (write and slot.flags & READONLY):
                    return
                if write and not self.side.mm.prot(slot.hva(gfn)) & 2:
                    return
            text = f"gfn {gfn:#x}: MMIO exit where memory is"
            yield Violation("linearizable", name, "mmio", text)
        elif not any(slot is not None and self._denied(slot, gfn, access) for slot in slots):
            text = f"gfn {gfn:#x}: fails with {outcome.value} where memory is"
            yield Violation("linearizable", name, "error", text)

    def _denied(self, slot: Slot, gfn: int, access: int) -> bool:
        prot = self.side.mm.prot(slot.hva(gfn))
        if not prot & 1 or (access == WRITE and not prot & 2):
            return True
        mm = self.side.mm
        return mm.frames.is_tail(mm.lookup(slot.hva(gfn)) >> 12)  # up to 6.12 KVM refuses those

    def _dirty_get(self, op: Op, outcome: Outcome, since: int) -> None:
        key = op.args[1], op.args[0]
        bitmap = outcome.bitmap
        if outcome.value or bitmap is None:
            return
        for number, run in enumerate(self.threads.all):
            if run.op is not None and run.op.kind in TOUCHES:
                self._touched(number, run.op, run.begin)
        self._note(op, self._log.untouched(key, bitmap))
        if not self.config.manual_protect:
            self._log.reported(key, bitmap, since)
