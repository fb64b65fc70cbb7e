# SPDX-License-Identifier: GPL-2.0-only
"""What is wrong with a program's runs on a booted kernel, whatever a model would say of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from difffuzz.booted.doable import Adapted
from difffuzz.booted.observed import Run, Seen, Set
from difffuzz.booted.session import Died, Lane, Session, splats
from difffuzz.engine.predict import ENDS, RETURNS, compare
from difffuzz.facts.paging import PT_PRESENT_MASK
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK
from difffuzz.oracle.dirty_log import DirtyLog
from difffuzz.program import Config, Kind, Op
from difffuzz.sides import KvmFactory
from difffuzz.sides.memory_map import MemoryMap


class Wrong(NamedTuple):
    """Something that is wrong; `mmu` is empty where the MMUs differ from each other."""

    oracle: str
    mmu: str
    at: int
    """Index of the operation."""
    kind: str
    """The operation, by name."""
    detail: str

    @property
    def signature(self) -> str:
        """The same for what is the same bug."""
        return f"{self.oracle}:kernel:{self.mmu or 'both'}:{self.kind}"


Runs = dict[Lane, "Run | Died"]
"""Of one program, by MMU."""


def run_batch(session: Session, batch: Sequence[Adapted], lanes: Sequence[Lane]) -> list[Runs]:
    """Runs all programs with one MMU, then with the other: loading KVM anew takes seconds.

    Where both are together, program by program.
    """
    if session.together:
        return [session.runs(one, lanes) for one in batch]
    runs: list[Runs] = [{} for _ in batch]
    for lane in lanes:
        for one, its in zip(batch, runs, strict=True):
            its.update(session.runs(one, (lane,)))
    return runs


def judge(one: Adapted, runs: Runs, models: dict[str, KvmFactory] | None = None) -> list[Wrong]:
    """What is wrong with its runs; with models, also by what they predict."""
    found: list[Wrong] = []
    last = len(one.program.ops) - 1
    lived: list[Run] = []
    for lane, run in runs.items():
        if isinstance(run, Died):
            found.append(Wrong("crash", lane.mmu, last, "end", str(run)))
            continue
        lived.append(run)
        found += _of_one(one, lane, run)
        if models is not None and not found:
            difference = compare(one, models[lane.mmu], run).difference
            if difference is not None:
                op = one.program.ops[difference.at]
                told = f"model {difference.what}".replace(" ", "-")
                found.append(
                    Wrong(told, lane.mmu, difference.at, op.kind.name.lower(), difference.text)
                )
    if len(lived) == 2 and not found:
        found += _between(one, lived[0], lived[1])
        if not found and lived[0].second is not None:
            found += _on_the_same_memory(one, lived[0], lived[1])
    return found


def run_and_judge(
    session: Session,
    one: Adapted,
    lanes: Sequence[Lane],
    models: dict[str, KvmFactory] | None = None,
) -> list[Wrong]:
    """Runs the program with each MMU and judges; with models, also by what they predict."""
    [runs] = run_batch(session, [one], lanes)
    return judge(one, runs, models)


def _of_one(one: Adapted, lane: Lane, run: Run) -> Iterator[Wrong]:
    """The kernel's log, and writes that the dirty log does not have."""
    last = len(one.program.ops) - 1
    for line in splats(run)[:1]:
        yield Wrong("warn", lane.mmu, last, "log", line)
    config = one.program.config
    memory, log = MemoryMap(config), DirtyLog(lane.mmu, config)
    begun: dict[int, Op] = {}
    for index, (op, seen) in enumerate(zip(one.program.ops, run.seen, strict=True)):
        told = _logged(op, index, seen, config, memory, log, begun)
        if told:
            yield Wrong("dirty-log", lane.mmu, index, op.kind.name.lower(), told)
            return
        memory.apply(op, seen.ret)


def _logged(
    op: Op,
    index: int,
    seen: Seen,
    config: Config,
    memory: MemoryMap,
    log: DirtyLog,
    begun: dict[int, Op],
) -> str:
    """What a dirty log lacks, or has too much."""
    kind, args = op.kind, op.args
    if kind == Kind.BEGIN_FAULT and seen.parked:
        begun[op.thread] = op
    if kind in ENDS:
        parked = begun.pop(op.thread, None)
        for access in (parked, op if kind != Kind.END_FAULT else None):
            if access is not None:
                _note(access, index, seen, memory, log)
    elif kind == Kind.DIRTY_CLEAR and not seen.ret:
        log.cleared((args[1], args[0]), args[2], args[3], index)
    elif kind in (Kind.MEMSLOT_FLAGS, Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE) and not seen.ret:
        begun.clear()
        flags = args[2] if kind == Kind.MEMSLOT_FLAGS else args[-1]
        if kind == Kind.MEMSLOT_DELETE or not flags & 1:
            log.gone((args[1], args[0]), index)
    elif kind == Kind.DIRTY_GET and not seen.ret:
        key = args[1], args[0]
        if key not in memory.slots:
            return ""
        for violation in log.violations(key, seen.bitmap):
            # What is prefetched, or parked and ended unseen, may be in the log besides.
            if violation.location == "lost":
                return violation.detail
        if not config.manual_protect:
            log.reported(key, seen.bitmap, index)
    return ""


def _note(access: Op, index: int, seen: Seen, memory: MemoryMap, log: DirtyLog) -> None:
    gfn = access.args[0]
    writes = access.kind == Kind.WRITE or (
        access.kind == Kind.BEGIN_FAULT and access.args[1] == int(Kind.WRITE)
    )
    slot = memory.slot_at(memory.smm[access.thread], gfn)
    log.touched((slot,), gfn, index)
    if slot is not None and writes and seen.result == "ok":
        log.written(slot, (slot,), gfn, index)


def _on_the_same_memory(one: Adapted, left: Run, right: Run) -> Iterator[Wrong]:
    """The page that each MMU maps for a gfn, in an operation in which both map it."""
    for index, op in enumerate(one.program.ops):
        if op.kind not in (Kind.READ, Kind.WRITE, Kind.EXEC):
            continue
        pair = [_pfn_of(run.seen[index].sets, op.args[0]) for run in (left, right)]
        if None not in pair and pair[0] != pair[1]:
            detail = f"legacy maps pfn {pair[0]:#x}, tdp pfn {pair[1]:#x}"
            yield Wrong("translation", "", index, op.kind.name.lower(), detail)
            return


def _pfn_of(sets: Sequence[Set], gfn: int) -> int | None:
    """The page behind the gfn, by the SPTE that was set last for it; None: none, or MMIO."""
    for one in reversed(sets):
        within = gfn - one.gfn
        if one.spte & PT_PRESENT_MASK and 0 <= within < 1 << (9 * (one.level - 1)):
            return ((one.spte & SPTE_BASE_ADDR_MASK) >> 12) + within
    return None


def _between(one: Adapted, left: Run, right: Run) -> Iterator[Wrong]:
    """What the guest and user space saw, up to what only one of them was able to do."""
    for index, op in enumerate(one.program.ops):
        legacy, tdp = left.seen[index], right.seen[index]
        if bool(legacy.note) != bool(tdp.note):
            return
        if op.kind in ENDS:
            pair = [(seen.result, seen.value) for seen in (legacy, tdp)]
        elif op.kind in RETURNS or op.kind == Kind.HOST_READ:
            pair = [(str(seen.ret), seen.value) for seen in (legacy, tdp)]
        else:
            continue
        if pair[0] != pair[1]:
            kind = op.kind.name.lower()
            detail = f"legacy: {pair[0][0]} {pair[0][1]}, tdp: {pair[1][0]} {pair[1][1]}"
            yield Wrong("translation", "", index, kind, detail)
            return
