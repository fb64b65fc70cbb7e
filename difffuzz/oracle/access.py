# SPDX-License-Identifier: GPL-2.0-only
"""Oracles about guest accesses: stale-access, progress, level of the mapping made, equality."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import product

from difffuzz.facts.errno import ENOSPC
from difffuzz.facts.kvm import (
    RET_PF_EMULATE,
    RET_PF_FIXED,
    RET_PF_INVALID,
    RET_PF_RETRY,
    RET_PF_SPURIOUS,
)
from difffuzz.machine.host import VM_WRITE
from difffuzz.machine.pageformat import WRITE
from difffuzz.oracle.pages import max_level
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config
from difffuzz.program.model import READONLY
from difffuzz.sides.base import ERROR, MMIO, OK, SIGBUS, STUCK, Outcome
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.memory_map import MemoryMap, Slot

STALE_ACCESS = """No guest access, TLB hit included, uses a frame the host has taken back."""
PROGRESS = """With all else at rest, an access completes within a fixed number of attempts, and so
do several accesses that are made by turns, and a prefault; what zaps every shadow page leaves
alone those made since it took mmu_lock first."""

LATE = (((RET_PF_FIXED,), (RET_PF_SPURIOUS,)), ((RET_PF_SPURIOUS,), (RET_PF_FIXED,)))


def access_violations(
    side: KvmSide,
    config: Config,
    memory: MemoryMap,
    as_id: int,
    gfn: int,
    access: int,
    outcome: Outcome,
) -> Iterable[Violation]:
    """What is wrong with one guest access on one side."""
    result = outcome.result
    if result == OK and outcome.pfn >= 0:
        return mapped_access_violations(side, config, memory, as_id, gfn, access, outcome)
    if result == STUCK:
        rets = ",".join(map(str, outcome.rets[-2:]))
        text = f"gfn {gfn:#x}: never completes"
        return [Violation("progress", side.name, f"rets-{rets}", text)]
    if result == MMIO:
        slot = memory.slot_at(as_id, gfn)
        write = access == WRITE
        if slot is not None and not (write and slot.flags & READONLY):
            if not (write and not side.mm.prot(slot.hva(gfn)) & VM_WRITE):
                text = f"gfn {gfn:#x}: MMIO exit where memory is"
                return [Violation("translation", side.name, "mmio", text)]
    return ()


def mapped_access_violations(
    side: KvmSide,
    config: Config,
    memory: MemoryMap,
    as_id: int,
    gfn: int,
    access: int,
    outcome: Outcome,
) -> Iterable[Violation]:
    """What is wrong with an access that used a frame."""
    name = side.name
    slot = memory.slot_at(as_id, gfn)
    if slot is None:
        text = f"gfn {gfn:#x}: used pfn {outcome.pfn:#x} without a memslot"
        return [Violation("stale-access", name, "no-slot", text)]
    found: list[Violation] = []
    if access == WRITE and slot.flags & READONLY:
        text = f"gfn {gfn:#x}: written in a read-only memslot"
        found.append(Violation("permission", name, "readonly-slot", text))
    if access == WRITE and gfn in slot.tracked:
        text = f"gfn {gfn:#x}: written although tracked"
        found.append(Violation("permission", name, "tracked", text))
    pte = side.mm.lookup(slot.hva(gfn))
    if not pte or pte >> 12 != outcome.pfn:
        where = "tlb" if not outcome.rets else "mapping"
        text = f"gfn {gfn:#x}: used pfn {outcome.pfn:#x}, which the host took back"
        found.append(Violation("stale-access", name, where, text))
    elif RET_PF_FIXED in outcome.rets and not outcome.fast:
        found += level_violations(side, config, memory, as_id, gfn, slot)
    return found


def level_violations(
    side: KvmSide, config: Config, memory: MemoryMap, as_id: int, gfn: int, slot: Slot
) -> Iterable[Violation]:
    """The level of the leaf that a demand fault made."""
    # Under the NX mitigation small pages may stand where a fetch needed them.
    if memory.nx:
        return ()
    expected = max_level(config, memory, side.mm, slot, gfn)
    levels = [leaf.level for _, leaf in side.tables.leaves_in(as_id, gfn, gfn + 1)]
    if not levels or expected in levels:
        return ()
    text = f"gfn {gfn:#x}: mapped at level {max(levels)}, level {expected} fits"
    return [Violation("level", side.name, f"{max(levels)}-not-{expected}", text)]


def alike(left: Outcome, right: Outcome) -> bool:
    """True if compare_outcomes() has nothing to say to two outcomes, as is mostly so."""
    return (
        left.result == right.result != ERROR
        and left.value == right.value
        and left.rets == right.rets
        and left.parked == right.parked
        and left.parked_rets == right.parked_rets
    )


def compare_outcomes(
    left_name: str,
    right_name: str,
    left: Outcome,
    right: Outcome,
    models: bool,
    nx: bool,
    may_be_absent: bool,
    allowed: Counter[str],
    shared: bool = False,
) -> Iterator[Violation]:
    """The same operation has the same effect on both sides, and the same RET_PF_* (R4).

    `models`: both sides have an MMU; `nx`: a fetch under the NX mitigation; `may_be_absent`: an
    access to a write-tracked page that one side may map and the other not; `shared`: one MMU may
    have tables below several roots (levels_differ()).
    """
    if -ENOSPC in (left.value, right.value) and ERROR in (left.result, right.result):
        allowed["no-mmu-pages"] += 1
        return
    if may_be_absent and emulated_at_once(left) != emulated_at_once(right):
        allowed["tracked-absent"] += 1
        return
    both = f"{left_name}/{right_name}"
    if left.result != right.result:
        if not models and {left.result, right.result} == {MMIO, ERROR}:
            allowed["emulated-or-not"] += 1
        elif failed_as_a_read(left, right) or failed_as_a_read(right, left):
            allowed["misconfig-is-a-read"] += 1
            return
        else:
            yield Violation(
                "translation",
                both,
                f"{left.result}-{right.result}",
                "the operation ended differently",
            )
    elif left.value != right.value:
        yield Violation("translation", both, "value", f"returned {left.value} and {right.value}")
    if models and left.parked == right.parked:
        one, other = left.parked_rets, right.parked_rets
        parked = left.rets[:one], right.rets[:other]
        yield from compare_attempts(both, *parked, "late-fault", allowed)
        rule = "nx-split" if nx else "tables-shared" if shared else ""
        yield from compare_attempts(both, left.rets[one:], right.rets[other:], rule, allowed)


def emulated_at_once(outcome: Outcome) -> bool:
    """True if the first attempt since the fault was parked, if it was, answered EMULATE."""
    return outcome.rets[outcome.parked_rets :][:1] == (RET_PF_EMULATE,)


def emulated_on_one_side(left: Outcome, right: Outcome) -> bool:
    """True if the outcomes are the same, but one side emulated at once what the other mapped."""
    if (left.result, left.value) != (right.result, right.value):
        return False
    return emulated_at_once(left) != emulated_at_once(right)


def met_stale_mmio(outcome: Outcome) -> bool:
    """True if the first attempt, or the first since the fault was parked, answered INVALID."""
    rets = outcome.rets
    return RET_PF_INVALID in (*rets[:1], *rets[outcome.parked_rets :][:1])


def failed_as_a_read(one: Outcome, other: Outcome) -> bool:
    """True if `one` met an MMIO SPTE out of date and ended differently for the read it was first.

    Only a write to a read-only slot is emulated where a read fails.  Only in a read-only VM_PFNMAP
    area is a write emulated that fails where no read gave the host's table an entry.
    """
    if not met_stale_mmio(one) or met_stale_mmio(other):
        return False
    if one.result in (ERROR, SIGBUS):
        return other.result == MMIO
    emulated = one.rets[-2:] == (RET_PF_FIXED, RET_PF_EMULATE)
    return one.result == MMIO and emulated and other.result == ERROR


def compare_attempts(
    both: str, left: tuple[int, ...], right: tuple[int, ...], late: str, allowed: Counter[str]
) -> Iterator[Violation]:
    """R4 for an access that faulted on both sides.

    `late`: the rule that lets one side make the mapping which the other finds made, if one does.
    """
    if left == right or not left or not right:
        return
    for ours, theirs in product(without_stale_mmio(left), without_stale_mmio(right)):
        if ours == theirs:
            allowed["stale-mmio-kept"] += 1
            return
        if late and ours[:-1] == theirs[:-1] and (ours[-1:], theirs[-1:]) in LATE:
            allowed[late] += 1
            return
    yield Violation("retry", both, "R4", f"RET_PF sequences differ: {left} and {right}")


def without_stale_mmio(rets: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The attempts as they would be if no MMIO SPTE out of date had been met.

    Meeting one is INVALID, and then an attempt; with EPT that attempt is handled as a read, so
    that the access itself may need one more, or two where the read got a page to be copied.  An
    attempt that answers RETRY leaves it where it is, so that it is met again.
    """
    if rets[0] != RET_PF_INVALID:
        return [rets]
    first = 3 if rets[2:3] == (RET_PF_RETRY,) else 2
    shorter = [rets[n:] for n in range(1, first + 1) if len(rets) > n]
    if rets[:3] == (RET_PF_INVALID, RET_PF_RETRY, RET_PF_INVALID):
        shorter.append((RET_PF_RETRY, *rets[3:]))
    return shorter
