# SPDX-License-Identifier: GPL-2.0-only
"""The retry oracle: R1 stale means retry, R2 retry means cause (R3 and R4 are in access.py).

Ground truth is what the harness saw: the invalidations that ran while a fault was parked, and the
operations that made roots obsolete meanwhile. In races each attempt to handle a fault is judged,
from the moment at which it read the sequence to that at which it took mmu_lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from difffuzz.facts.kvm import (
    KVM_REQ_MMU_FREE_OBSOLETE_ROOTS,
    RET_PF_FIXED,
    RET_PF_MAPPED,
    RET_PF_RETRY,
    answer_name,
)
from difffuzz.facts.paging import PT_PAGE_SIZE_MASK, PT_PRESENT_MASK
from difffuzz.facts.spte import (
    SPTE_BASE_ADDR_MASK,
    SPTE_MMU_PRESENT_MASK,
    is_frozen_spte,
)
from difffuzz.oracle.access import level_violations
from difffuzz.oracle.bookkeeping import mmio_generation, outlived
from difffuzz.oracle.invalidation_times import InvalidationTimes
from difffuzz.oracle.notifier import SilentNotifier
from difffuzz.oracle.running import Interval, Running, Threads
from difffuzz.oracle.verdict import Violation
from difffuzz.oracle.versions import CHANGES, MAP_BEGINS, MAP_ENDS, Versions
from difffuzz.program import Config, Kind, Op
from difffuzz.sched import Task
from difffuzz.sched.interleave import SNAPSHOTS, Interleaver
from difffuzz.sides.base import SIGBUS, Outcome
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap, Slot

RETRY = """R1: a fault during which its page was invalidated, or its root became obsolete, answers
RETRY.  R2: a RETRY has a cause.  R4: both sides answer the same RET_PF_* for the same access."""


ROOTS_CHANGE = CHANGES | {Kind.ZAP_GFN_RANGE, Kind.MMU_PAGES}


class Invalidations(SilentNotifier):
    """An mmu notifier that only notes the ranges it is told of."""

    __slots__ = ("open", "ranges")

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.open = 0
        """Invalidations that go on."""

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """The host changes the hvas [start, end)."""
        self.ranges.append((start, end))
        self.open += 1

    def invalidate_range_end(self, start: int, end: int) -> None:
        """The change is made."""
        self.open -= 1

    def ended_late(self, start: int, end: int) -> None:
        """An invalidation has ended that began some operations ago."""
        self.ranges.append((start, end))


class Flight:
    """What happened while a fault was parked.

    Of the invalidations, those from `begun` on may have come after the fault read the sequence;
    those from `parked` on surely did.
    """

    __slots__ = ("all_gfns", "begun", "hva", "parked", "root_obsolete")

    def __init__(self, hva: int, begun: int, parked: int) -> None:
        self.hva = hva
        self.begun = begun
        self.parked = parked
        self.root_obsolete = False
        self.all_gfns = False


def parked_violations(
    name: str,
    config: Config,
    memory: MemoryMap,
    flight: Flight,
    ranges: list[tuple[int, int]],
    outcome: Outcome,
    allowed: Counter[str],
) -> Iterator[Violation]:
    """Judges the answer of a fault that was parked; `ranges` were invalidated before it went on."""
    covered = any(start <= flight.hva < end for start, end in ranges[flight.parked :])
    relevant = any(memory.slots_over(start, end) for start, end in ranges[flight.begun :])
    must = flight.root_obsolete or flight.all_gfns or (covered and relevant)
    if must and outcome.parked_ret != RET_PF_RETRY:
        why = "root" if flight.root_obsolete else "page"
        text = f"stale {why}, but the fault answered {answer_name(outcome.parked_ret)}"
        yield Violation("retry", name, f"R1-{why}", text)
    elif outcome.parked_ret == RET_PF_RETRY and not must:
        if relevant:
            # mmu_invalidate_seq counts every invalidation of guest memory, whatever its range.
            allowed["any-invalidation"] += 1
        elif config.paging == "nonpaging":
            # PAE roots: KVM_REQ_MMU_FREE_OBSOLETE_ROOTS is a hint only.
            allowed["pae-root-request"] += 1
        else:
            yield Violation("retry", name, "R2", "the fault answered RETRY without a cause")


def causeless_retries(
    name: str, config: Config, outcome: Outcome, own: int, allowed: Counter[str]
) -> Iterable[Violation]:
    """With all else at rest, an attempt retries only for a page that is waited for or was replaced.

    `own` counts the invalidations that the access itself made, by breaking copy-on-write.
    """
    if RET_PF_RETRY not in outcome.rets:
        return ()
    retries = outcome.rets[outcome.parked_rets :].count(RET_PF_RETRY)
    if not retries or outcome.result == SIGBUS:
        return ()
    if retries <= own:
        allowed["own-copy-on-write"] += 1
    elif config.async_pf:
        allowed["async-page-fault"] += 1
    else:
        answers = ", ".join(map(answer_name, outcome.rets))
        return [Violation("retry", name, "R2", f"RETRY without a cause: {answers}")]
    return ()


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


class FaultAttempts:
    """Judges each attempt of a side's vCPUs to handle a fault.

    `changes`: operations on memslots and roots that are over; `zaps`: those of ranges, all of them.
    The level of the mapping that an attempt made is judged if nobody else ran between its taking
    mmu_lock and its answer, and one memory map was in force during all of it. The level was chosen
    under mmu_lock, by the memslot, by tracking, and by what the host mapped then: all of that is as
    it was. What others do before it took the lock makes it stale, or is what it saw.
    """

    def __init__(
        self,
        side: KvmSide,
        sched: Interleaver,
        config: Config,
        versions: Versions,
        invalidations: InvalidationTimes,
        threads: Threads,
        violations: list[tuple[Violation, Op]],
    ) -> None:
        self.changes: list[Interval] = []
        self.zaps: list[RangeZap] = []
        self.violations = violations
        self._side = side
        self._sched = sched
        self._config = config
        self._versions = versions
        self._invalidations = invalidations
        self._threads = threads

    def settle(self) -> None:
        """Nothing is going on: the past is forgotten."""
        self.changes.clear()
        self.zaps.clear()

    def begins(self, vcpu: int, gfn: int) -> None:
        """A fault is handed to KVM."""
        self._sched.touch(MAP_ENDS, False)
        run = self._threads.all[vcpu]
        run.tried = self._sched.steps
        run.locked = 0
        run.obsolete = False
        run.switches = self._sched.switches
        if self._config.gen_bias and self._side.kvm.masks.enable_mmio_caching:
            self._meets_old_mmio(vcpu, gfn)

    def locked(self, task: Task) -> None:
        """A task has taken mmu_lock."""
        if not 0 <= task.number < len(self._side.kvm.vcpus):
            op = self._threads.all[task.number].op if task.number >= 0 else None
            if op is not None and op.kind == Kind.ZAP_GFN_RANGE:
                self._sched.touch(SNAPSHOTS)
                self.zaps[-1].locked.append(self._sched.steps)
            return
        run = self._threads.all[task.number]
        run.locked = self._sched.steps
        run.alone = self._sched.switches
        run.obsolete = self._root_is_obsolete(task.number)

    def _root_is_obsolete(self, vcpu_id: int) -> bool:
        kvm = self._side.kvm
        page = kvm.mem.pages.get(kvm.vcpus[vcpu_id].mmu.root.hpa >> 12)
        if page is None or page.sp is None:
            return False
        sp = page.sp
        return bool(
            sp.role.invalid or (not sp.tdp_mmu_page and sp.mmu_valid_gen != kvm.mmu_valid_gen)
        )

    def ends(self, vcpu: int, gfn: int, ret: int) -> None:
        """KVM answered."""
        self._judge(vcpu, gfn, ret)
        self._threads.all[vcpu].entered = self._sched.switches

    def _judge(self, vcpu: int, gfn: int, ret: int) -> None:
        """R1 if the attempt mapped, R2 if it wants a retry."""
        run = self._threads.all[vcpu]
        self._sched.touch(MAP_BEGINS, False)
        now = self._sched.steps
        if run.op is None or (ret not in RET_PF_MAPPED and ret != RET_PF_RETRY):
            return
        slots = self._versions.slots(run.tried, now, self._threads.smm[vcpu], gfn)
        slot = slots[0]
        snapshot = self._sched.current.parked_at
        name = self._side.name
        if ret == RET_PF_RETRY:
            if len(slots) == 1 and not self._has_cause(vcpu, run, slot, gfn, now):
                text = f"gfn {gfn:#x}: RETRY without a cause"
                self.violations.append((Violation("retry", name, "R2", text), run.op))
        elif run.locked > snapshot >= run.tried:
            # A change of the map that leaves this page alone excuses nothing.
            hvas = {one.hva(gfn) if one is not None else -1 for one in slots}
            same = len(hvas) == 1 and slot is not None
            late = same and self._invalidations.must_retry(max(hvas), snapshot, run.locked)
            if run.obsolete or late:
                why = "root" if run.obsolete else "page"
                text = f"gfn {gfn:#x}: stale {why}, but the fault answered {answer_name(ret)}"
                self.violations.append((Violation("retry", name, f"R1-{why}", text), run.op))
            if ret == RET_PF_FIXED and same and run.alone == self._sched.switches:
                self._judge_level(vcpu, run, gfn)
            for zap in self.zaps:
                if zap.start <= gfn < zap.end:
                    zap.mapped.append((snapshot, run.locked, run.op))
                    self.zapped(zap)

    def _judge_level(self, vcpu: int, run: Running, gfn: int) -> None:
        maps = self._versions.during(run.tried, self._sched.steps)
        as_id = self._threads.smm[vcpu]
        slot = maps[0].slot_at(as_id, gfn)
        if len(maps) > 1 or slot is None or run.op is None or self._config.async_pf:
            return
        _ = self._side.kvm.active_mmu_pages  # brings a library's tables up to date
        for violation in level_violations(self._side, self._config, maps[0], as_id, gfn, slot):
            self.violations.append((violation, run.op))

    def zapped(self, zap: RangeZap) -> None:
        """Was anything mapped behind the back of a zap?"""
        for snapshot, locked, op in zap.mapped:
            if zap.missed(snapshot, locked):
                text = f"gfn {op.args[0]:#x}: mapped while or since its range is zapped"
                violation = Violation("retry", self._side.name, "R1-range", text)
                self.violations.append((violation, op))

    def _has_cause(self, vcpu: int, run: Running, slot: Slot | None, gfn: int, now: int) -> bool:
        kvm = self._side.kvm
        if run.obsolete or self._config.async_pf or kvm.vcpus[vcpu].sigbus:
            return True
        # What is stale is decided under mmu_lock.
        end = run.locked or now
        if slot is not None and self._invalidations.may_retry(slot.hva(gfn), gfn, run.tried, end):
            return True
        if self._threads.busy(self.changes, run.tried, ROOTS_CHANGE):
            return True
        if kvm.vcpus[vcpu].requests & KVM_REQ_MMU_FREE_OBSOLETE_ROOTS:
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
        return any(is_frozen_spte(spte) for _, spte in self._walk(vcpu, gfn))

    def _walk(self, vcpu: int, gfn: int) -> Iterator[tuple[int, int]]:
        """Where the entries for `gfn` are and what they are, from the vCPU's root down, the last
        that is none or a leaf too."""
        kvm = self._side.kvm
        mmu = kvm.vcpus[vcpu].mmu
        table, level = mmu.root.hpa, mmu.root_role.level
        while level:
            page = kvm.mem.pages.get(table >> 12)
            if page is None:
                return
            index = gfn >> 9 * (level - 1) & 511
            spte = page.ent.get(index, page.absent)
            yield (table & ~0xFFF) + 8 * index, spte
            # The four entries of a PAE root, which has no shadow page, are the hardware's.
            present = SPTE_MMU_PRESENT_MASK if page.sp is not None else PT_PRESENT_MASK
            if not spte & present or spte & PT_PAGE_SIZE_MASK:
                return
            table = spte & SPTE_BASE_ADDR_MASK
            level -= 1

    def _meets_old_mmio(self, vcpu: int, gfn: int) -> None:
        """No MMIO SPTE of before a wrap is there once the vCPU can see the generation after it.

        Those of the last generation before it excepted: see the rule mmio-generation-window.  The
        PAE roots of the kernel's own code are not seen.
        """
        kvm = self._side.kvm
        self._sched.touch("memslots", False)
        now = kvm.memslots[kvm.vcpus[vcpu].smm].generation & kvm.masks.mmio_gen_mask
        op = self._threads.all[vcpu].op
        for ptr, spte in self._walk(vcpu, gfn):
            self._sched.touch(ptr, False)
            found = mmio_generation(kvm.masks, spte)
            if op is not None and now < found <= kvm.masks.mmio_gen_mask - len(kvm.memslots):
                self.violations.append((outlived(self._side.name, found), op))
