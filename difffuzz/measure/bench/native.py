# SPDX-License-Identifier: GPL-2.0-only
"""The part of the benchmark that is about the kernel's own code; nothing without a build of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from ...engine import concurrent, lockstep
from ...errors import UsageError
from ...oracle import Verdict
from ...program import Program, generate, parse
from ...running.policy import FUZZ_STEPS
from ...running.runner import Runner
from ...sched import Scheduler
from ...sched.strategy import RandomWalk
from ...sides import KvmFactory, NativeFactory, open_side
from ...sides.encoded import Encoded, Threads
from ...sides.played import Player

TWO_THREADS = """\
difffuzz program v1
config vcpus=2
slot 0 gfn=0x0 pages=0x400 area=1
vcpu0: write gfn=0x1
vcpu0: read gfn=0x2
vcpu0: write gfn=0x3
vcpu0: read gfn=0x1
host0: dontneed area=1 page=0x0 n=0x8
host0: age area=1 page=0x0 n=0x8 flush=off
host0: dontneed area=1 page=0x1 n=0x1
host0: dontneed area=1 page=0x2 n=0x2
"""
CALLS = 20_000


def rate(run: Callable[[int], object], seconds: float) -> float:
    """Runs in a second of the processor: others may want it, too."""
    done = 0
    begin = time.process_time()
    while time.process_time() - begin < seconds:
        run(done)
        done += 1
    return done / (time.process_time() - begin)


def scheduled(side: KvmFactory, one: Program) -> Callable[[int], None]:
    """Runs a program's threads at once, each time otherwise, under all oracles."""

    def run(number: int) -> None:
        concurrent.run_side(
            one, side, 0, Verdict(), strategy=lambda _: RandomWalk(Random(number), 20.0)
        )

    return run


def native_figures(seconds: float) -> dict[str, float]:
    """Rates of the native sides, and against the models in the same run.

    Lockstep is what the fuzzer does with a program: decoded on both, neither mutated nor with
    coverage; `judged` is the engine with all oracles, which sees what is suspicious.
    """
    try:
        legacy, tdp = open_side("native:legacy"), open_side("native:tdp")
    except UsageError:
        return {}
    assert isinstance(legacy, NativeFactory)
    assert isinstance(tdp, NativeFactory)
    programs = [generate(Random(seed)) for seed in range(400)]
    programs = [one for one in programs if one.config.paging == "tdp"]
    models = open_side("legacy"), open_side("tdp")
    race = parse(TWO_THREADS)
    native_runner = Runner("native:legacy", "native:tdp", "lockstep", FUZZ_STEPS)
    model_runner = Runner("legacy", "tdp", "lockstep", FUZZ_STEPS)
    fast = native_runner.fast
    assert fast is not None

    def on(run: Callable[[Program], object]) -> float:
        return rate(lambda number: run(programs[number % len(programs)]), seconds)

    native, model = on(native_runner), on(model_runner)
    suspicious = sum(fast.reasons.values()) / fast.programs
    judged = on(lambda one: lockstep.run(one, legacy, tdp))
    mixed_runner = Runner("native:tdp", "tdp", "lockstep", FUZZ_STEPS)
    mixed = on(mixed_runner)
    judged_mixed = on(lambda one: lockstep.run(one, *mixed_runner.sides))
    assert isinstance(models[1], KvmFactory)
    player = Player(tdp.library, True, 0)
    at_once = rate(
        lambda number: player.play(Encoded(race, Threads(seed=number + 1)), FUZZ_STEPS), seconds
    )
    judged_at_once = rate(scheduled(tdp, race), seconds)
    model_at_once = rate(scheduled(models[1], race), seconds)
    library = tdp.library
    side = tdp.start(race.config)
    begin = time.perf_counter()
    for _ in range(CALLS):
        library.run("end_operation")
    call = (time.perf_counter() - begin) / CALLS * 1e6
    side.destroy()
    reset = 1e6 / rate(lambda _: library.reset(Scheduler(), ()), min(seconds, 1.0))
    return {
        "lockstep_programs_per_second": native,
        "lockstep_to_models": native / model,
        "suspicious": suspicious,
        "judged_lockstep_programs_per_second": judged,
        "against_a_model_programs_per_second": mixed,
        "against_a_model_to_judged": mixed / judged_mixed,
        "scheduled_runs_per_second": at_once,
        "judged_scheduled_runs_per_second": judged_at_once,
        "judged_scheduled_to_models": judged_at_once / model_at_once,
        "call_us": call,
        "reset_us": reset,
    }
