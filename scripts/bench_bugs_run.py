# SPDX-License-Identifier: GPL-2.0-only
"""One run of scripts/bench-bugs: one bug, one method, one seed, until the bug is found.

A process of its own, so that its time on a CPU is the run's.  Prints one JSON object.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from random import Random

import msgspec
from bench_uniform import uniform

from difffuzz.fuzz.corpus import read_program
from difffuzz.fuzz.findings import Finding
from difffuzz.fuzz.options import FuzzOptions
from difffuzz.fuzz.parent import fuzz
from difffuzz.program import Program, generate, parse, render
from difffuzz.running.policy import FUZZ_STEPS
from difffuzz.running.runner import Runner
from difffuzz.variants.catalogue import Bug, catalogue, find

ROOT = Path(__file__).resolve().parents[1]
CORPORA = ("seeds", "concurrent")
"""Of corpus/; regressions are left out, some are the very program of a bug."""
WITHOUT = {
    "difffuzz": (),
    "raw-bytes": ("mutator",),
    "no-states": ("states",),
}
METHODS = (*WITHOUT, "random", "uniform", "hypothesis", "native")
"""difffuzz; without all that knows programs (mutator, generator); without state coverage; the
generator alone; every choice of a program drawn evenly; a Hypothesis state machine; difffuzz on the
kernel's own code with the bug put back."""
GRACE = 3.0
"""Times as long on the clock as on a CPU a run may take."""


class Run(msgspec.Struct):
    """A run's outcome.  Not found: `executions` and `cpu_seconds` are what was spent."""

    bug: str
    method: str
    seed: int
    concurrent: bool
    budget: float
    kernel: str = ""
    found: bool = False
    executions: int = 0
    cpu_seconds: float = 0.0
    signature: str = ""
    worker_seconds: float = 0.0
    """Of `cpu_seconds`, what processes of the fuzzer took."""

    @property
    def over(self) -> bool:
        """Found, or the budget is spent."""
        return self.found or self.cpu_seconds >= self.budget

    def take(self, signature: str) -> None:
        """An execution, and what it showed."""
        self.executions += 1
        self.found, self.signature = bool(signature), signature
        self.cpu_seconds = round(time.process_time(), 3)


class Judge:
    """Tells the bug from what the same program shows without the patch."""

    def __init__(self, sides: tuple[str, str], plain: tuple[str, str], mode: str) -> None:
        self.run = Runner(*sides, mode, FUZZ_STEPS, explores=True)
        self._plain = Runner(*plain, mode)

    def is_the_bug(self, program: Program) -> bool:
        """True if the unpatched sides do not show anything."""
        return not self._plain(program).divergences

    def shown(self, program: Program) -> str:
        """The signature, if the program shows the bug."""
        found = self.run(program).divergences
        return found[0].signature if found and self.is_the_bug(program) else ""

    def accept(self, finding: Finding) -> bool:
        """The same for a finding of a fuzzing run."""
        return self.is_the_bug(read_program(Path(finding.program)))


def may_be_nonpaging(bug: Bug) -> bool:
    """With the TDP MMU enabled there are no nonpaging guests."""
    return not any(side.startswith("tdp") for side in bug.plain_sides())


def mode_of(bug: Bug) -> str:
    """How the bug is hunted."""
    return "concurrent" if bug.concurrent else "lockstep"


def general_corpus(bug: Bug, kernel: str, out: Path) -> Path:
    """Seeds and the programs of all other bugs, but for those that do the same as the bug's own."""
    out.mkdir()
    own = parse(bug.program_on(kernel), bug.id).ops
    for name in CORPORA:
        for path in (ROOT / "corpus" / name).glob("*.difffuzz"):
            (out / f"{name}-{path.name}").write_text(path.read_text())
    for other in catalogue():
        program = parse(other.program_on(kernel), other.id) if not other.held else None
        if program is not None and program.ops != own:
            (out / f"{other.id}.difffuzz").write_text(render(program))
    return out


def by_fuzzing(bug: Bug, run: Run, sides: tuple[str, str], plain: tuple[str, str]) -> None:
    """The fuzzer, whole or without a part of it, from the general corpus."""
    judge = Judge(sides, plain, mode_of(bug))
    budget = run.budget - run.cpu_seconds
    with tempfile.TemporaryDirectory(prefix="difffuzz-bench-") as work:
        options = FuzzOptions(
            *sides,
            mode_of(bug),
            time=budget * GRACE,
            seed=run.seed,
            corpus=general_corpus(bug, run.kernel, Path(work) / "general"),
            out=Path(work) / "out",
            stop_on_finding=True,
            without=WITHOUT.get(run.method, ()),
            cpu_seconds=budget,
        )
        summary = fuzz(options, accept=judge.accept)
    spent = summary.executions, summary.cpu_seconds
    for first in summary.findings[:1]:
        run.found, run.signature = True, first.signature
        spent = first.executions, first.cpu_seconds
    run.executions += spent[0]
    run.worker_seconds += spent[1]
    run.cpu_seconds = round(time.process_time() + run.worker_seconds, 3)


def at_random(bug: Bug, run: Run, sides: tuple[str, str], plain: tuple[str, str]) -> None:
    """Programs from nothing, one after the other: the generator's, or without what it knows."""
    judge = Judge(sides, plain, mode_of(bug))
    rng = Random(run.seed)
    pagings = ("tdp", "nonpaging") if may_be_nonpaging(bug) else ("tdp",)

    def make() -> Program:
        if run.method == "uniform":
            return uniform(rng, rng.choice(pagings), bug.concurrent)
        return generate(rng, paging=rng.choice(pagings), concurrent=bug.concurrent)

    while not run.over:
        run.take(judge.shown(make()))


def on_native(bug: Bug, run: Run) -> None:
    """The fuzzer on the kernel's own code, its MMUs against each other, then against the model."""
    from native_bugs import build_for, sides

    name, plain = build_for(bug)
    for pair in sides(bug, name, "@v6.1"):
        one, other = (side.replace(f"native:{name}:", f"native:{plain}:") for side in pair)
        by_fuzzing(bug, run, pair, (one, other))
        if run.over:
            return


def main(bug_id: str, method: str, seed: int, budget: float, kernel: str = "") -> None:
    """Runs, prints."""
    bug = find(bug_id)
    run = Run(bug.id, method, seed, bug.concurrent, budget, kernel)
    sides, plain = bug.sides(kernel), bug.plain_sides(kernel)
    if method in ("random", "uniform"):
        at_random(bug, run, sides, plain)
    elif method == "hypothesis":
        from bench_hypothesis import hunt_with_hypothesis  # its time counts for this method only

        judge = Judge(sides, plain, mode_of(bug))
        hunt_with_hypothesis(run, judge, may_be_nonpaging(bug))
    elif method == "native":
        on_native(bug, run)
    else:
        by_fuzzing(bug, run, sides, plain)
    print(msgspec.json.encode(run).decode())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), float(sys.argv[4]), *sys.argv[5:])
