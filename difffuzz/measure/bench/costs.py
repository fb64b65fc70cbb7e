# SPDX-License-Identifier: GPL-2.0-only
"""The part of the benchmark that is about how cost and memory grow."""

from __future__ import annotations

import gc
import random
import resource
import time
from pathlib import Path

from ...engine.lockstep import Lockstep, run
from ...program import Config, Kind, Op, SlotSpec, mutate
from ...sides import open_side
from .rates import programs

LEGACY = open_side("legacy")
TDP = open_side("tdp")


def operation_cost(length: int, repeats: int) -> float:
    """Microseconds for one operation in programs of that many; start and end are left out."""
    config = Config(slots=(SlotSpec(0, 0, 0, 0x800, 0, 0),))
    rng = random.Random(7)
    spent = 0.0
    for _ in range(repeats):
        lockstep = Lockstep(config, LEGACY, TDP)
        ops = [
            Op(Kind.DONTNEED, 4, (0, 0x200, 1))
            if i % 8 == 7
            else Op(rng.choice((Kind.READ, Kind.WRITE, Kind.EXEC)), 0, (rng.randrange(0x400),))
            for i in range(length)
        ]
        begin = time.perf_counter()
        for op in ops:
            lockstep.step(op)
        spent += time.perf_counter() - begin
        lockstep.finish()
    return spent / repeats / length * 1e6


def mapped_cost(pages: int, repeats: int) -> float:
    """Microseconds for one operation on a page, with that many 4K pages mapped beside it: so few
    that the run ends before its limit on steps."""
    config = Config(slots=(SlotSpec(0, 0, 0, 0x40000, 1, 0),), areas=("4k",) * 4)
    lockstep = Lockstep(config, LEGACY, TDP)
    for gfn in range(pages):
        lockstep.step(Op(Kind.WRITE, 0, (gfn,)))
    begin = time.perf_counter()
    for i in range(repeats):
        kind = (Kind.WRITE, Kind.READ, Kind.DONTNEED, Kind.EXEC)[i % 4]
        gfn = 0x3F000 + i // 4 % 64
        lockstep.step(Op(kind, 4, (1, gfn, 1)) if kind == Kind.DONTNEED else Op(kind, 0, (gfn,)))
    assert lockstep.verdict.operations == pages + repeats, "the run ended early"
    return (time.perf_counter() - begin) / repeats * 1e6


def resident_kib() -> int:
    """Memory that the process holds now."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024


def memory_growth(executions: int) -> dict[str, float]:
    """Memory after a hundredth of the executions and after all of them."""
    pool = programs(200)
    rng = random.Random(3)
    first = 0
    for i in range(executions):
        run(mutate.mutate(rng.choice(pool), rng, rng.choice(pool)), LEGACY, TDP)
        if i + 1 == executions // 100:
            first = resident_kib()
    last = resident_kib()
    return {"executions": executions, "first_kib": first, "last_kib": last, "ratio": last / first}
