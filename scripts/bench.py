# SPDX-License-Identifier: GPL-2.0-only
"""Measures how fast programs run, and how cost and memory grow.  Prints one JSON document.

Every figure that matters is a ratio of two measurements of the same run: times alone say more about
the machine than about the code.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from difffuzz import program
from difffuzz.engine.lockstep import Lockstep, run
from difffuzz.fuzz.mutation import ProgramMutation
from difffuzz.program import Config, Kind, Op, Program, SlotSpec
from difffuzz.program.limits import MAX_BYTES
from difffuzz.sides import open_side

sys.path.insert(0, str(Path(__file__).resolve().parent))
from bench_concurrent import concurrent_figures
from bench_hypothesis import hypothesis_rate
from bench_native import native_figures

LEGACY = open_side("legacy")
TDP = open_side("tdp")


def programs(count: int) -> list[Program]:
    """Generated programs, the same every time."""
    return [program.generate(random.Random(seed)) for seed in range(count)]


def lockstep_rate(seconds: float) -> dict[str, float]:
    """Programs and operations a second, decoded, mutated and run as the fuzzer does, unmarked."""
    rng = random.Random(1)
    mutation = ProgramMutation()
    pool = list(map(program.encode, programs(200)))
    done = operations = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        mutant = mutation.mutate(rng.choice(pool), MAX_BYTES, rng.randrange(1 << 31))
        verdict = run(mutation.decode(mutant), LEGACY, TDP)
        done += 1
        operations += verdict.operations
    spent = time.perf_counter() - begin
    return {"programs_per_second": done / spent, "operations_per_second": operations / spent}


def fuzz_rate(seconds: float) -> dict[str, float]:
    """The same under libFuzzer, with the model's branches marked."""
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-m", "difffuzz", "fuzz", "--time", str(seconds)]
        command += ["--mode", "lockstep", "--seed", "1", "--out", out, "--json"]
        result = subprocess.run(command, capture_output=True, check=True)
    figures = json.loads(result.stdout)
    return {
        "programs_per_second": figures["executions"] / figures["seconds"],
        "operations_per_second": figures["operations"] / figures["seconds"],
    }


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
    """Microseconds for one operation on a page, with that many 4K pages mapped beside it."""
    config = Config(slots=(SlotSpec(0, 0, 0, 0x40000, 1, 0),), areas=("4k",) * 4)
    lockstep = Lockstep(config, LEGACY, TDP, max_steps=1 << 30)
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
        run(program.mutate.mutate(rng.choice(pool), rng, rng.choice(pool)), LEGACY, TDP)
        if i + 1 == executions // 100:
            first = resident_kib()
    last = resident_kib()
    return {"executions": executions, "first_kib": first, "last_kib": last, "ratio": last / first}


def main() -> None:
    """Runs everything; a tenth of the time with --quick."""
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the time")
    scale = 0.1 if parser.parse_args().quick else 1.0
    result: dict[str, Any] = {"python": platform.python_version(), "scale": scale}
    seconds = 20 * scale
    result["lockstep"] = plain = lockstep_rate(seconds)
    result["lockstep_fuzz"] = fuzz_rate(max(seconds, 5))
    result["hypothesis"] = state_machine = hypothesis_rate(seconds)
    result["fuzz_to_hypothesis"] = {
        key: result["lockstep_fuzz"][key] / state_machine[key] for key in plain
    }
    result["lockstep_to_hypothesis"] = {key: plain[key] / state_machine[key] for key in plain}
    result["fuzz_to_lockstep"] = {key: result["lockstep_fuzz"][key] / plain[key] for key in plain}
    short, long = operation_cost(16, int(400 * scale)), operation_cost(256, int(25 * scale) or 2)
    result["operation_us"] = {"16": short, "256": long, "ratio": long / short}
    one, many = mapped_cost(1, int(4000 * scale)), mapped_cost(100_000, int(4000 * scale))
    result["mapped_pages_us"] = {"1": one, "100000": many, "ratio": many / one}
    result["concurrent"] = concurrent_figures(max(seconds / 2, 2), int(1_000_000 * scale))
    result["native"] = native_figures(max(seconds / 2, 2))
    result["memory"] = memory_growth(int(100_000 * scale))
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
