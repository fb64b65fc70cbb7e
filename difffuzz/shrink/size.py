# SPDX-License-Identifier: GPL-2.0-only
"""What "smaller" means: a total order of programs, so that what shows the same ends as the same."""

from __future__ import annotations

from typing import Final

from ..program import OPS, Config, Kind, Program, is_concurrent
from ..program.model import CONFIG_CHOICES, RUN_TO_BLOCK

PLAINEST: Final = (
    (Kind.END_FAULT, Kind.READ, Kind.WRITE, Kind.EXEC, Kind.RELOAD),
    (
        Kind.DONTNEED,
        Kind.MUNMAP,
        Kind.MMAP,
        Kind.ZAP_GFN_RANGE,
        Kind.COW_WRITE,
        Kind.MIGRATE,
        Kind.SWAP_OUT,
        Kind.PAGEOUT,
        Kind.PUNCH_HOLE,
        Kind.MREMAP,
        Kind.UFFD,
        Kind.MPROTECT,
        Kind.FORK,
        Kind.LAZY_FREE,
        Kind.WRITEBACK,
        Kind.KSM_MERGE,
        Kind.THP_SPLIT,
        Kind.THP_COLLAPSE,
        Kind.COLLAPSE,
        Kind.HWPOISON,
    ),
    (Kind.MEMSLOT_FLAGS, Kind.NX, Kind.MEMSLOT_DELETE, Kind.MEMSLOT_MOVE),
    (Kind.TEST_AGE, Kind.AGE, Kind.COLD),
    (Kind.HOST_READ, Kind.HOST_WRITE),
    (Kind.DIRTY_GET, Kind.DIRTY_CLEAR),
)
"""Kinds that may stand for each other, the plainest first: what they do to a page or to the
tables is the same, or less of it."""
ROW: Final = {kind: row for row in PLAINEST for kind in row}
_RANK: Final = {kind: row.index(kind) for kind, row in ROW.items()}
_USUAL: Final = Config()


def size(program: Program) -> tuple[object, ...]:
    """Smaller is better: one operation at a time before threads at once, then operations,
    preemptions, slots, configuration, kinds, threads, ranges, numbers.  Only the same program is
    equal."""
    config = program.config
    unusual = sum(value != usual for value, usual in zip(config, _USUAL, strict=True))
    unusual += sum(a != b for a, b in zip(config.areas, _USUAL.areas, strict=True))
    return (
        is_concurrent(program),
        len(program.ops),
        preemptions(program),
        len(config.slots),
        unusual,
        sum(choices.index(getattr(config, name)) for name, choices in CONFIG_CHOICES.items()),
        sum(_RANK.get(op.kind, 0) for op in program.ops),
        len({op.thread for op in program.ops}),
        sum(op.thread for op in program.ops),
        sum(op.args[count] for op in program.ops for _, count, _ in OPS[op.kind].spans),
        sum(value for op in program.ops for value in op.args),
        sum(value for slot in config.slots for value in slot),
        program.schedule,
        program.ops,
        repr(config),
    )


def preemptions(program: Program) -> int:
    """The switches of its schedule; none if it says to run to block."""
    return 0 if program.schedule == RUN_TO_BLOCK else len(program.schedule)
