# SPDX-License-Identifier: GPL-2.0-only
"""The oracles of concurrent runs: linearizable and stale accesses, dirty log, R1 and R2.

A witness is told of every operation of one side when it begins and when it is over, of every guest
access at the moment it uses its frame, and of every attempt to handle a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from difffuzz.machine.host import PTE_WRITE
from difffuzz.oracle.brackets import Bracket, Brackets
from difffuzz.oracle.verdict import Violation
from difffuzz.oracle.versions import CHANGES, Versions
from difffuzz.program import Config, Kind, Op
from difffuzz.program.model import READONLY
from difffuzz.sched import Task
from difffuzz.sched.interleave import GROUND_TRUTH, Interleaver
from difffuzz.sides.base import ERROR, MMIO, STUCK, Outcome
from difffuzz.sides.memory_map import Slot
from difffuzz.sides.model import ModelSide

LINEARIZABLE = """Under concurrency each guest access sees a mapping that was legal at some moment
during it: memory of a memslot that was there, the host's page, the permission; MMIO and failures
only where there was a moment at which they were right."""

RET_PF_RETRY = 1
WRITE = 1
ENOSPC = 28
EFAULT = 14
MAPPED = frozenset({4, 5})
"""RET_PF_FIXED and RET_PF_SPURIOUS."""
ROOTS_CHANGE = CHANGES | {Kind.ZAP_GFN_RANGE, Kind.MMU_PAGES}
REQ_FREE_OBSOLETE_ROOTS = 1 << 2
FROZEN = 0x5A0
PRESENT = 1 << 11
LARGE = 1 << 7
ADDRESS = ((1 << 52) - 1) & ~0xFFF


class Running:
    """What a thread is doing: its operation, when it began, and its attempt if it is in one."""

    __slots__ = ("begin", "block", "entered", "locked", "obsolete", "op", "switches", "tried")

    def __init__(self) -> None:
        self.op: Op | None = None
        self.begin = 0
        self.block: Bracket | None = None
        self.tried = 0
        self.locked = 0
        self.obsolete = False
        self.switches = 0
        self.entered = 0


class RangeZap:
    """A zap of the gfns [start, end): when it had mmu_lock, and what was mapped meanwhile."""

    __slots__ = ("end", "locked", "mapped", "start")

    def __init__(self, start: int, end: int) -> None:
        self.start = start
        self.end = end
        self.locked: list[int] = []
        self.mapped: list[tuple[int, int, Op]] = []

    def missed(self, snapshot: int, locked: int) -> bool:
        """R1: did a fault that took mmu_lock at `locked` map behind the zap's back?

        The zap is in progress from its first to its last turn with mmu_lock; the end of the last
        makes every snapshot taken before stale.
        """
        if not self.locked or locked < self.locked[0]:
            return False
        return locked < self.locked[-1] or snapshot < self.locked[-1]


class Witness:
    """Watches one side.  `violations` holds what it found and the operation it happened in."""

    def __init__(self, side: ModelSide, sched: Interleaver, config: Config) -> None:
        self.side = side
        self.config = config
        self.versions = Versions(config)
        self.brackets = Brackets(side.mm, sched)
        self.smm = [0, 0, 0, 0]
        self.violations: list[tuple[Violation, Op]] = []
        self.running = [Running() for _ in range(8)]
        self._sched = sched
        self._changes: list[tuple[int, int]] = []
        self._host: list[tuple[int, int]] = []
        self._pending: dict[tuple[int, int], dict[int, int]] = {}
        self._touched: dict[tuple[int, int], dict[int, int]] = {}
        self._zaps: list[RangeZap] = []
        self._backed: dict[tuple[int, int], int] = {}
        side.observer = self
        sched.on_mmu_lock = self._mmu_lock

    # Operations

    def begins(self, op: Op) -> None:
        """An operation of a thread begins."""
        self._sched.touch(GROUND_TRUTH, op.kind in ROOTS_CHANGE)
        now = self._sched.steps
        run = self.running[op.thread]
        run.op, run.begin = op, now
        run.entered = self._sched.switches
        if op.kind in CHANGES:
            self.versions.begin(op, now)
            self._backed.clear()
        if op.kind == Kind.ZAP_GFN_RANGE:
            self._zaps.append(RangeZap(op.args[0], op.args[0] + op.args[1]))
        if op.kind == Kind.ZAP_GFN_RANGE:
            run.block = self.brackets.block_all()

    def ends(self, op: Op, outcome: Outcome) -> None:
        """The operation is over."""
        self._sched.touch(GROUND_TRUTH, op.kind in ROOTS_CHANGE)
        now = self._sched.steps
        run = self.running[op.thread]
        begin = run.begin
        kind, thread, args = op
        if run.block is not None:
            self.brackets.unblock(run.block)
            run.block = None
        if kind <= Kind.BEGIN_FAULT:
            self._touches(op, begin, now)
            access = args[1] if kind == Kind.BEGIN_FAULT else int(kind)
            self._note(op, self._result(begin, now, self.smm[thread], args[0], access, outcome))
        elif kind == Kind.SMM:
            self.smm[thread] = args[0]
        elif kind in ROOTS_CHANGE:
            self._changes.append((begin, now))
            if kind == Kind.ZAP_GFN_RANGE:
                self._zapped(self._zaps[-1])
            if kind in CHANGES:
                self.versions.finish(now)
                if kind in (Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE, Kind.MEMSLOT_FLAGS):
                    self._pending.pop((args[1], args[0]), None)
        elif kind == Kind.DIRTY_GET:
            self._dirty_get(op, outcome)
        elif kind == Kind.DIRTY_CLEAR and not outcome.value:
            cleared = range(args[2], args[2] + args[3])
            self._drop((args[1], args[0]), cleared.__contains__)
        elif Kind.MUNMAP <= kind <= Kind.TEST_AGE:
            self._host.append((begin, now))
        run.op = None

    def settle(self) -> Iterator[Violation]:
        """All threads have met: what is known of the past is forgotten, the dirty log judged."""
        self.versions.settle()
        self.brackets.forget()
        self._changes.clear()
        self._host.clear()
        self._zaps.clear()
        self._backed.clear()
        for key, pages in self._pending.items():
            slot = self.side.kvm.memslots[key[0]].id_hash.get(key[1])
            if slot is None or slot.dirty_bitmap is None:
                continue
            for page in pages:
                if not slot.dirty_bitmap.get(page >> 6, 0) >> (page & 63) & 1:
                    text = f"slot {key[1]} page {page:#x}: written, and not in the log"
                    yield Violation("dirty-log", self.side.name, "lost", text)
                    return

    def _touches(self, op: Op, begin: int, now: int) -> None:
        """The pages that an access may have touched."""
        for slot in self.versions.slots(begin, now, self.smm[op.thread], op.args[0]):
            if slot is not None:
                key = slot.as_id, slot.slot
                words = self._touched.setdefault(key, {})
                page = op.args[0] - slot.gfn
                words[page >> 6] = words.get(page >> 6, 0) | 1 << (page & 63)

    def _note(self, op: Op, found: Iterator[Violation]) -> None:
        for violation in found:
            self.violations.append((violation, op))

    def _busy(
        self, past: list[tuple[int, int]], begin: int, kinds: range | frozenset[Kind]
    ) -> bool:
        """Was an operation of these kinds going on at some moment since `begin`?"""
        if past and past[-1][1] >= begin:
            return True
        return any(run.op is not None and run.op.kind in kinds for run in self.running)

    # Guest accesses

    def touched(self, vcpu: int, gfn: int, pfn: int, access: int) -> None:
        """The guest is about to use the frame: it must be the right one now."""
        run = self.running[vcpu]
        if run.op is None:
            return
        self._sched.touch(GROUND_TRUTH, False)
        self._sched.touch("host page table", False)
        as_id, now = self.smm[vcpu], self._sched.steps
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
                if write:
                    self._written(slot, gfn, run.begin, now)
                if slot is self.versions.newest.slot_at(as_id, gfn):
                    self._backed.setdefault((as_id, gfn), now)
                return
        oracle = "stale-access" if reason in ("freed", "other-page") else "linearizable"
        text = f"gfn {gfn:#x}: uses pfn {pfn:#x}: {reason}"
        self.violations.append((Violation(oracle, side.name, reason, text), run.op))

    def _written(self, slot: Slot, gfn: int, begin: int, now: int) -> None:
        key = slot.as_id, slot.slot
        slots = [memory.slots.get(key) for memory in self.versions.during(begin, now)]
        if all(one is not None and one.dirty_log for one in slots):
            self._pending.setdefault(key, {})[gfn - slot.gfn] = now

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
        if self._busy(self._host, begin, range(Kind.MUNMAP, Kind.TEST_AGE + 1)):
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
        return not prot & 1 or (access == WRITE and not prot & 2)

    # Dirty log

    def _dirty_get(self, op: Op, outcome: Outcome) -> None:
        key = op.args[1], op.args[0]
        bitmap = outcome.bitmap
        if outcome.value or bitmap is None:
            return
        if not self.config.init_set:
            for run in self.running:
                if run.op is not None and run.op.kind <= Kind.BEGIN_FAULT:
                    self._touches(run.op, run.begin, self._sched.steps)
            touched = self._touched.get(key, {})
            for word, mask in bitmap.items():
                extra = mask & ~touched.get(word, 0)
                if extra:
                    page = (word << 6) + extra.bit_length() - 1
                    text = f"slot {key[1]} page {page:#x}: in the log, never touched"
                    violation = Violation("dirty-log", self.side.name, "untouched", text)
                    self.violations.append((violation, op))
                    break
        if not self.config.manual_protect:
            self._drop(key, lambda page: bool(bitmap.get(page >> 6, 0) >> (page & 63) & 1))

    def _drop(self, key: tuple[int, int], gone: Callable[[int], bool]) -> None:
        """These pages were reported or cleared: writes up to now need not be in the log again."""
        pending = self._pending.get(key)
        if pending:
            for page in [page for page in pending if gone(page)]:
                del pending[page]

    # Attempts

    def attempt_begins(self, vcpu: int, gfn: int) -> None:
        """A fault is handed to KVM."""
        run = self.running[vcpu]
        run.tried = self._sched.steps
        run.locked = 0
        run.obsolete = False
        run.switches = self._sched.switches

    def _mmu_lock(self, task: Task) -> None:
        if not 0 <= task.number < len(self.side.kvm.vcpus):
            op = self.running[task.number].op if task.number >= 0 else None
            if op is not None and op.kind == Kind.ZAP_GFN_RANGE:
                self._zaps[-1].locked.append(self._sched.steps)
            return
        run = self.running[task.number]
        run.locked = self._sched.steps
        run.obsolete = self._root_is_obsolete(task.number)

    def _root_is_obsolete(self, vcpu_id: int) -> bool:
        kvm = self.side.kvm
        page = kvm.mem.pages.get(kvm.vcpus[vcpu_id].mmu.root.hpa >> 12)
        if page is None or page.sp is None:
            return False
        sp = page.sp
        return bool(
            sp.role.invalid or (not sp.tdp_mmu_page and sp.mmu_valid_gen != kvm.mmu_valid_gen)
        )

    def attempt_ends(self, vcpu: int, gfn: int, ret: int) -> None:
        """KVM answered."""
        self._judge(vcpu, gfn, ret)
        self.running[vcpu].entered = self._sched.switches

    def _judge(self, vcpu: int, gfn: int, ret: int) -> None:
        """R1 if the attempt mapped, R2 if it wants a retry."""
        run = self.running[vcpu]
        now = self._sched.steps
        if run.op is None or (ret not in MAPPED and ret != RET_PF_RETRY):
            return
        slots = self.versions.slots(run.tried, now, self.smm[vcpu], gfn)
        slot = slots[0]
        snapshot = self._sched.current.parked_at
        name = self.side.name
        if ret == RET_PF_RETRY:
            if len(slots) == 1 and not self._has_cause(vcpu, run, slot, gfn, now):
                text = f"gfn {gfn:#x}: RETRY without a cause"
                self.violations.append((Violation("retry", name, "R2", text), run.op))
        elif run.locked > snapshot >= run.tried:
            # A change of the map that leaves this page alone excuses nothing.
            hvas = {one.hva(gfn) if one is not None else -1 for one in slots}
            same = len(hvas) == 1 and slot is not None
            late = same and self.brackets.must_retry(max(hvas), snapshot, run.locked)
            if run.obsolete or late:
                why = "root" if run.obsolete else "page"
                text = f"gfn {gfn:#x}: stale {why}, but the fault answered {ret}"
                self.violations.append((Violation("retry", name, f"R1-{why}", text), run.op))
            for zap in self._zaps:
                if zap.start <= gfn < zap.end:
                    zap.mapped.append((snapshot, run.locked, run.op))
                    self._zapped(zap)

    def _zapped(self, zap: RangeZap) -> None:
        for snapshot, locked, op in zap.mapped:
            if zap.missed(snapshot, locked):
                text = f"gfn {op.args[0]:#x}: mapped while or since its range is zapped"
                violation = Violation("retry", self.side.name, "R1-range", text)
                self.violations.append((violation, op))

    def _has_cause(self, vcpu: int, run: Running, slot: Slot | None, gfn: int, now: int) -> bool:
        kvm = self.side.kvm
        if run.obsolete or self.config.async_pf or kvm.vcpus[vcpu].sigbus:
            return True
        if slot is not None and self.brackets.may_retry(slot.hva(gfn), run.tried, now):
            return True
        if self._busy(self._changes, run.tried, ROOTS_CHANGE):
            return True
        if kvm.vcpus[vcpu].requests & REQ_FREE_OBSOLETE_ROOTS:
            return True
        if not run.locked and run.entered != self._sched.switches:
            # The MMIO SPTE that the CPU met is gone.
            return True
        if run.switches == self._sched.switches:
            return self._frozen(vcpu, gfn)
        # Others ran meanwhile: in the TDP MMU a lost cmpxchg.
        return bool(kvm.tdp_mmu_enabled)

    def _frozen(self, vcpu: int, gfn: int) -> bool:
        """Is there a frozen SPTE on the walk for `gfn`?"""
        kvm = self.side.kvm
        mmu = kvm.vcpus[vcpu].mmu
        table, level = mmu.root.hpa, mmu.root_role.level
        while level:
            page = kvm.mem.pages.get(table >> 12)
            if page is None:
                return False
            spte = page.ent.get(gfn >> 9 * (level - 1) & 511, page.absent)
            if spte == FROZEN:
                return True
            if not spte & PRESENT or spte & LARGE:
                return False
            table = spte & ADDRESS
            level -= 1
        return False
