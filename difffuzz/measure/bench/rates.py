# SPDX-License-Identifier: GPL-2.0-only
"""The part of the benchmark that is about rates of lockstep, as the fuzzer runs programs."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time

from ...engine.lockstep import run
from ...fuzz.mutation import ProgramMutation
from ...program import Program, encode, generate
from ...program.limits import MAX_BYTES
from ...sides import open_side


def programs(count: int) -> list[Program]:
    """Generated programs, the same every time."""
    return [generate(random.Random(seed)) for seed in range(count)]


def lockstep_rate(seconds: float) -> dict[str, float]:
    """Programs and operations a second, decoded, mutated and run as the fuzzer does, unmarked."""
    legacy, tdp = open_side("legacy"), open_side("tdp")
    rng = random.Random(1)
    mutation = ProgramMutation()
    pool = list(map(encode, programs(200)))
    done = operations = 0
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        mutant = mutation.mutate(rng.choice(pool), MAX_BYTES, rng.randrange(1 << 31))
        verdict = run(mutation.decode(mutant), legacy, tdp)
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
