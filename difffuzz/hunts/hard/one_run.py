# SPDX-License-Identifier: GPL-2.0-only
"""One run of scripts/bench-feedback: one method, one seed, all bugs, up to a number of executions.

`python -m difffuzz.hunts.hard.one_run METHOD SEED EXECUTIONS WORK` prints one JSON object, a Run;
WORK is an empty folder.  The fuzzer is the product's own: its mutator, its feedback, libFuzzer's
corpus; only what a divergence means is decided here.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from ...errors import UsageError
from ...script import end
from .bugs import Attribution, hard_bugs, sides

METHODS: Final = ("random", "random-long", "difffuzz")
"""The generator alone, the same with programs that go on, the fuzzer."""
LONG: Final = 64
"""Operations of those, not 24."""


class Run(msgspec.Struct, kw_only=True):
    """What came of a run."""

    method: str
    seed: int
    limit: int
    """Executions after which it was given up."""
    executions: int = 0
    operations: int = 0
    cpu_seconds: float = 0.0
    """Attribution included."""
    first: dict[str, int] = {}
    """By bug: the execution that showed it first."""
    operators: dict[str, tuple[int, int]] = {}
    """By what made programs: how many, and how many of them reached something new."""


def generated(run: Run) -> None:
    """The generator's programs, one after the other."""
    from ...fuzz.stream import stream
    from ...program.generate import DEFAULT_OPS
    from ...running.policy import FUZZ_STEPS
    from ...running.runner import Runner

    bugs = hard_bugs()
    shown = Attribution(bugs)
    judged = Runner(*sides(bugs), "lockstep", FUZZ_STEPS)
    ops = LONG if run.method == "random-long" else DEFAULT_OPS
    for made in stream(run.seed, ("tdp",), ops=ops):
        verdict = judged(made.program)
        run.executions += 1
        run.operations += verdict.operations
        if verdict.divergences:
            shown.look(made.program, run.executions)
        if shown.complete or run.executions >= run.limit:
            break
    run.first = shown.first
    tell(run)


def fuzzed(run: Run, work: Path) -> NoReturn:
    """The fuzzer, from the general corpus without the programs of all these bugs."""
    from ...fuzz import instrument

    atheris = instrument.atheris_module()
    branches = instrument.install()
    from ...fuzz.corpus import prepare
    from ...fuzz.options import MEMORY_MB
    from ...fuzz.process import rss_limit_mb
    from ...fuzz.target import Target
    from ...program.limits import MAX_BYTES
    from ...running.policy import FUZZ_STEPS
    from ...running.runner import Runner
    from ..general_corpus import general_corpus

    bugs = hard_bugs()
    shown = Attribution(bugs)
    prepare(general_corpus(bugs, "", work / "general"), work / "seeds", run.seed, mode="lockstep")
    (work / "corpus").mkdir()
    runner = Runner(*sides(bugs), "lockstep", FUZZ_STEPS)
    target = Target(runner, atheris, branches, seed=run.seed)
    instrument.leave_off()

    def one_input(data: bytes) -> None:
        program, verdict, _ = target.execute(data)
        run.executions += 1
        if verdict is not None:
            run.operations += verdict.operations
            if verdict.divergences:
                shown.look(program, run.executions)
        if shown.complete or run.executions >= run.limit:
            run.first = shown.first
            made = target.operators.by_name
            run.operators = {name: (one.inputs, one.earned) for name, one in made.items()}
            tell(run)
            os._exit(0)

    flags = [f"-seed={run.seed + 1}", f"-max_len={MAX_BYTES}", "-len_control=0", "-reload=0"]
    flags += ["-prefer_small=0", f"-artifact_prefix={work}/", "-verbosity=0"]
    flags += [f"-rss_limit_mb={rss_limit_mb(MEMORY_MB)}"]
    target.fuzz(
        atheris, [sys.argv[0], *flags, str(work / "corpus"), str(work / "seeds")], one_input
    )


def tell(run: Run) -> None:
    """Prints it."""
    run.cpu_seconds = round(time.process_time(), 3)
    print(msgspec.json.encode(run).decode(), flush=True)


def main() -> int:
    """Runs, prints."""
    method, seed, limit, work = sys.argv[1:]
    if method not in METHODS:
        raise UsageError(f"method {method!r} is not one of {', '.join(METHODS)}")
    run = Run(method=method, seed=int(seed), limit=int(limit))
    if method == "difffuzz":
        fuzzed(run, Path(work))
    generated(run)
    return 0


if __name__ == "__main__":
    end("bench-feedback", main)
