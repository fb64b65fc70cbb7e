# SPDX-License-Identifier: GPL-2.0-only
"""What a model says that a booted kernel will show of a program, and the first thing it did not."""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Final, NamedTuple

from difffuzz.booted.doable import Adapted, nothing
from difffuzz.booted.observed import Fault, Run, Seen, tag_of
from difffuzz.engine.conform import run_op
from difffuzz.engine.newer_host import RULES as NEWER_HOST
from difffuzz.engine.newer_host import Excuses, each_vma
from difffuzz.facts.kvm import answer_name
from difffuzz.facts.paging import PT_WRITABLE_MASK
from difffuzz.machine.mmap import isolate, round_out
from difffuzz.machine.vma import area_of
from difffuzz.program import Kind, Op
from difffuzz.program.limits import HOST_THREADS, VCPU_THREADS, area_base
from difffuzz.program.ops import IS_HOST
from difffuzz.sides import KvmFactory
from difffuzz.sides.base import DONE, NOTHING, Outcome
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap

NX: Final = 1 << 63
CODE_PAGES: Final = 2
"""4K pages of the guest's own code, in each address space."""
FEW_MMU_PAGES: Final = 11
"""KVM_MIN_FREE_MMU_PAGES, and those that map the guest's own code in both address spaces."""
ENDS: Final = (Kind.READ, Kind.WRITE, Kind.EXEC, Kind.END_FAULT)
MERGES_UNFAULTED: Final = (6, 16)
"""Kernels from here on merge a VMA that has an anon_vma with one that has none."""
RETURNS: Final = (
    Kind.MEMSLOT_CREATE,
    Kind.MEMSLOT_DELETE,
    Kind.MEMSLOT_MOVE,
    Kind.MEMSLOT_FLAGS,
    Kind.DIRTY_GET,
    Kind.DIRTY_CLEAR,
    Kind.MMU_PAGES,
    Kind.MREMAP,
    Kind.COLLAPSE,
    Kind.UFFD,
)
RULES: Final = {
    "not-done": "the kernel could not do it, and says why: the model does not do it either",
    "mmio-at-gfn-0": "vcpu_match_mmio_gpa() takes gfn 0 for none, so that an emulation lets the "
    "guest try the access once more",
    "mmu-page-limit": "the guest's own code needs shadow pages, too: after a limit was set, or "
    "when few are left, the legacy MMU recycles others, so that only data, dirty logs and results "
    "are compared",
    "parked-before-its-page": "userfaultfd parks a fault before it has a pfn, the models after: "
    "what took the page away meanwhile is met at once",
    "second-on-its-page": "of two VMs on the same memory the second one's fault finds the page "
    "that the first one's brought: no invalidation is inside of it",
    **{name: rule.why for name, rule in NEWER_HOST.items()},
}
"""What may differ, by name."""
EXACT: Final = ("nx_lpage_splits",)
"""Statistics that the guest's own code has no part in."""


class Difference(NamedTuple):
    """The first difference: the operation's index, what differs, what was said and what came."""

    at: int
    what: str
    predicted: str
    shown: str

    @property
    def text(self) -> str:
        """One line."""
        return f"operation {self.at}: {self.what}: {self.predicted} predicted, {self.shown} shown"


class Compared(NamedTuple):
    """A comparison; `rules` counts what is different by a named rule."""

    difference: Difference | None
    compared: int
    """Operations that were looked at."""
    warns: bool
    """The model warns, too."""
    rules: tuple[str, ...]


def compare(one: Adapted, factory: KvmFactory, run: Run) -> Compared:
    """Runs the program on the model and compares what the kernel showed of it.

    What the kernel was not able to do (its notes say so) the model does not do either.
    """
    side = factory.start(one.program.config)
    memory = MemoryMap(one.program.config)
    rules: list[str] = []
    limits = [0] if one.program.config.mmu_pages else []
    excuses = Excuses(one.kernel, one.program.config.areas)
    parked: dict[int, tuple[int, list[Fault]]] = {}
    for index, (op, seen) in enumerate(zip(one.program.ops, run.seen, strict=True)):
        if seen.note:
            op = nothing()
            rules.append("not-done")
        number = index + 1
        for vcpu in _ended_by(op, parked):
            # What a parked write writes was in its register before it began to wait.
            begun, faults = parked.pop(vcpu)
            if op.kind == Kind.END_FAULT:
                number = begun
                seen.faults[:0] = faults
            else:
                run_op(side, Op(Kind.END_FAULT, vcpu, ()), begun)
        if op.kind == Kind.FORK or (seen.parked and op.kind == Kind.BEGIN_FAULT):
            _isolated(side, op, memory, one.kernel)
        outcome = _done(side, op, number, one.kernel)
        if op.kind == Kind.BEGIN_FAULT and seen.parked:
            parked.setdefault(op.thread, (index + 1, seen.faults))
        if isinstance(outcome, str):
            died = Difference(index, "outcome", outcome, seen.result)
            return Compared(died, index, True, tuple(rules))
        excuses.note(op)
        if op.kind == Kind.COW_WRITE and seen.value:
            rules.extend(filter(None, [_found_shared(side, op, number, excuses)]))
        second = run.is_second(index)
        comparison = _Comparison(
            index, op, outcome, seen, side, memory, rules, limits, excuses, second
        )
        found = comparison.first()
        if found is not None:
            return Compared(found, index + 1, bool(side.kvm.splats), tuple(rules))
        memory.apply(op, outcome.value)
    return Compared(None, len(one.program.ops), bool(side.kvm.splats), tuple(rules))


def _done(side: KvmSide, op: Op, number: int, kernel: tuple[int, int]) -> Outcome | str:
    """The operation, as that kernel does it; it ends with the first part that fails."""
    parts, answer = each_vma(side.mm, op, kernel)
    for part in parts:
        outcome = run_op(side, part, number)
        if isinstance(outcome, str) or outcome.value or (part is parts[-1] and not answer):
            return outcome
    return Outcome(DONE, answer)


def _found_shared(side: KvmSide, op: Op, number: int, excuses: Excuses) -> str:
    """The rule by which the host wrote to a page that is not shared on the model: it does, too."""
    area, page = op.args
    if side.mm.host_read(area_base(area) + (page << 12)) == number or not excuses.shared(area):
        return ""
    run_op(side, Op(Kind.HOST_WRITE, op.thread, (area, page)), number)
    return excuses.shared(area)


def _ended_by(op: Op, parked: Container[int]) -> list[int]:
    """vCPUs whose parked faults end before the operation, or by it."""
    if Kind.MEMSLOT_CREATE <= op.kind <= Kind.MEMSLOT_FLAGS:
        return [vcpu for vcpu in VCPU_THREADS if vcpu in parked]
    own = (op.kind <= Kind.RELOAD and op.kind != Kind.BEGIN_FAULT) or op.kind == Kind.PREFAULT
    return [op.thread] if own and op.thread in parked else []


def _isolated(side: KvmSide, op: Op, memory: MemoryMap, kernel: tuple[int, int]) -> None:
    """The range is a VMA of its own for a moment: MADV_DONTFORK on all else, or what userfaultfd
    waits for.  A huge entry at its edges is split, and told to notifiers even if it is none.

    What userfaultfd gave a page has an anon_vma, and stays alone beside what has none
    (is_mergeable_anon_vma()).
    """
    if op.kind == Kind.FORK:
        area, page, n = op.args
        start = area_base(area) + (page << 12)
    else:
        slot = memory.slot_at(memory.smm[op.thread], op.args[0])
        assert slot is not None
        start, n = slot.hva(op.args[0]), 1
    mm = side.mm

    def isolate_all() -> None:
        first, last = round_out(mm, start, start + (n << 12))
        mm.mmap_lock.down_write()
        for vma in mm.vmas.overlapping(first, last):
            part = isolate(mm, vma, first, last)
            # UFFDIO_COPY and UFFDIO_ZEROPAGE see to that, so that fork() copies it.
            part.anon_vma |= op.kind == Kind.BEGIN_FAULT
        for edge in (first, last):
            sides = [mm.vmas.find(edge - 1), mm.vmas.find(edge)]
            faulted = {vma.anon_vma for vma in sides if vma is not None}
            if op.kind == Kind.FORK or kernel >= MERGES_UNFAULTED or faulted == {True}:
                mm.vmas.merge(edge, edge)
        mm.mmap_lock.up_write()

    side.sched.run_as(side.task(HOST_THREADS[0]), isolate_all)


class _Comparison:
    """Of one operation."""

    def __init__(
        self,
        index: int,
        op: Op,
        outcome: Outcome,
        seen: Seen,
        side: KvmSide,
        memory: MemoryMap,
        rules: list[str],
        limits: list[int],
        excuses: Excuses,
        second: bool,
    ) -> None:
        self._index = index
        self._op = op
        self._outcome = outcome
        self._seen = seen
        self._side = side
        self._memory = memory
        self._rules = rules
        self._limits = limits
        self._excuses = excuses
        self._second = second

    def first(self) -> Difference | None:
        """The first difference in what the operation did, and in what there is after it."""
        checks: tuple[Callable[[], Difference | None], ...] = ()
        kind = self._op.kind
        if kind in ENDS and self._outcome.result != NOTHING:
            checks = (self._answers, self._result, self._leaf)
        elif kind == Kind.BEGIN_FAULT:
            checks = (self._parked,)
        elif kind in RETURNS:
            checks = (self._returned, self._bitmap)
        elif kind == Kind.PREFAULT:
            checks = (self._result, self._returned)
        elif kind == Kind.HOST_READ:
            checks = (self._host_read,)
        if self._limited():
            self._rules.append("mmu-page-limit")
            checks = tuple(check for check in checks if check not in (self._answers, self._leaf))
        elif not self._excuses.relaxed:
            checks = (*checks, self._statistics)
        for check in checks:
            found = check()
            if found is not None:
                return found
        return None

    def _limited(self) -> bool:
        """The legacy MMU has a limit of pages: what it recycles depends on the guest's own code."""
        kvm = self._side.kvm
        few = kvm.n_max_mmu_pages - kvm.n_used_mmu_pages < FEW_MMU_PAGES
        if few or (self._op.kind == Kind.MMU_PAGES and self._op.args[0]):
            self._limits.append(self._index)
        return bool(self._limits) and not kvm.tdp_mmu_enabled

    def _differs(self, what: str, predicted: object, shown: object) -> Difference | None:
        if predicted == shown:
            return None
        return Difference(self._index, what, str(predicted), str(shown))

    @property
    def _gfn(self) -> int:
        return self._outcome.fault_gfn if self._op.kind == Kind.END_FAULT else self._op.args[0]

    @property
    def _area(self) -> int:
        """Of the host's memory that is behind the gfn; -1: none."""
        slot = self._memory.slot_at(self._memory.smm[self._op.thread], self._gfn)
        return -1 if slot is None else area_of(slot.hva(self._gfn))

    def _excused(self, rule: str) -> bool:
        if rule:
            self._rules.append(rule)
        return bool(rule)

    def _answers(self) -> Difference | None:
        """RET_PF_* of each fault at the gfn."""
        if self._area in self._excuses.relaxed:
            return None
        said = [*map(answer_name, self._outcome.rets)]
        shown = [fault.answer for fault in self._seen.faults if fault.gfn == self._gfn]
        if self._gfn == 0 and said[-1:] == ["EMULATE"] and shown == [*said, "EMULATE"]:
            self._rules.append("mmio-at-gfn-0")
            return None
        if self._op.kind == Kind.END_FAULT and said[:1] == ["RETRY"] and said[1:] == shown:
            self._rules.append("parked-before-its-page")
            return None
        if self._second and "RETRY" in said and said[said.index("RETRY") + 1 :] == shown:
            self._rules.append("second-on-its-page")
            return None
        if said != shown and self._excused(self._excuses.answers(self._area, said, shown)):
            return None
        return self._differs("RET_PF", said, shown)

    def _result(self) -> Difference | None:
        """How the access ended, and the data."""
        outcome, seen = self._outcome, self._seen
        found = self._differs("result", outcome.result, seen.result)
        if found is not None or outcome.result != "ok":
            return found
        value = tag_of(outcome.value) if outcome.value else 0
        return self._differs("data", value, seen.value)

    def _leaf(self) -> Difference | None:
        """Level and permissions of the SPTE that was set last for the gfn."""
        gfn = self._gfn
        if self._area in self._excuses.relaxed:
            return None
        sets = [
            one for one in self._seen.sets if one.gfn == gfn & -(1 << (9 * (one.level - 1)))
        ] or [one for one in self._seen.sets if one.gfn == gfn]
        if not sets:
            return None
        as_id = self._memory.smm[self._op.thread]
        leaves = self._side.tables.leaves_in(as_id, gfn, gfn + 1)
        said = sorted({(leaf.level, leaf.writable, leaf.executable) for _, leaf in leaves})
        last = sets[-1]
        shown = (last.level, last.spte & PT_WRITABLE_MASK != 0, not last.spte & NX)
        if not last.spte & 1:  # an MMIO SPTE
            return self._differs("SPTE", said, [])
        if len(said) == 1 and said != [shown]:
            if self._excused(self._excuses.leaf(self._area, said[0], shown)):
                return None
        return self._differs("SPTE", said, [shown])

    def _parked(self) -> Difference | None:
        return self._differs("parked", self._outcome.parked, self._seen.parked)

    def _returned(self) -> Difference | None:
        said, shown = self._outcome.value, self._seen.ret
        if said != shown and IS_HOST[self._op.kind]:
            if self._excused(self._excuses.returned(self._op.args[0], said, shown)):
                return None
        return self._differs("returned", said, shown)

    def _bitmap(self) -> Difference | None:
        if self._op.kind != Kind.DIRTY_GET or self._outcome.value:
            return None
        said = {index: word for index, word in (self._outcome.bitmap or {}).items() if word}
        if said != self._seen.bitmap and self._undirtied(said):
            return None
        return self._differs("dirty log", _hex(said), _hex(self._seen.bitmap))

    def _undirtied(self, said: dict[int, int]) -> bool:
        """The log has less than was said, and a rule for each page that it lacks."""
        slot = self._memory.slots.get((self._op.args[1], self._op.args[0]))
        shown = self._seen.bitmap
        if slot is None or any(word & ~said.get(at, 0) for at, word in shown.items()):
            return False
        lacked = [(at, word & ~shown.get(at, 0)) for at, word in said.items()]
        pages = [64 * at + bit for at, word in lacked for bit in range(64) if word >> bit & 1]
        gfns = [slot.gfn + page for page in pages]
        rules = [self._excuses.undirtied(area_of(slot.hva(gfn)), gfn) for gfn in gfns]
        return all(map(self._excused, rules))

    def _host_read(self) -> Difference | None:
        value = self._outcome.value
        said = "a signal" if value < 0 else tag_of(value) if value else 0
        return self._differs("host data", said, "a signal" if self._seen.ret else self._seen.value)

    def _statistics(self) -> Difference | None:
        found = self._counted()
        if found is not None and self._excused(self._excuses.statistics()):
            return None
        return found

    def _counted(self) -> Difference | None:
        """Leaves of each level; those of the guest's code are at most a few of 4K."""
        stat, shown = self._side.kvm.stat, self._seen.stats
        pages = list(stat.pages)
        for level, name in ((2, "pages_2m"), (3, "pages_1g")):
            found = self._differs(name, pages[level - 1], shown[name])
            if found is not None:
                return found
        extra = shown["pages_4k"] - pages[0]
        if not 0 <= extra <= CODE_PAGES * (2 if any(self._memory.smm) or extra > 2 else 1):
            return self._differs("pages_4k", pages[0], shown["pages_4k"])
        for name in EXACT:
            found = self._differs(name, getattr(stat, name), shown[name])
            if found is not None:
                return found
        return None


def _hex(bitmap: dict[int, int]) -> dict[int, str]:
    return {index: hex(word) for index, word in sorted(bitmap.items())}
