# SPDX-License-Identifier: GPL-2.0-only
"""Measures the filter of native lockstep (engine/fast_lockstep.py) against the engine that judges.

For the kernel as it is, and with each known bug that shows without a schedule put back, programs
run both ways: the catalogue's program of the bug, mutants of it, and generated programs.  A program
with a divergence that the filter calls clean is hidden: the exit status is 1 if there is one.  What
is suspicious without a divergence costs time only.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Iterator

from native_bugs import PLAIN, chosen, is_race

from difffuzz import program
from difffuzz.engine import lockstep
from difffuzz.engine.fast_lockstep import fast_lockstep
from difffuzz.errors import UsageError
from difffuzz.native.build import Wish, build
from difffuzz.native.cache import default_cache
from difffuzz.native.fetch import source_path
from difffuzz.native.tree import open_tree
from difffuzz.program import Program, mutate
from difffuzz.running.policy import FUZZ_STEPS, POLICY
from difffuzz.sides import open_side

COLUMNS = "{:<13} {:>6} {:>8} {:>6} {:>7}  {}"
STEPS = FUZZ_STEPS * POLICY.native_steps


class Tally:
    """Of one build: programs, those with a divergence, suspicious and hidden ones."""

    def __init__(self, name: str) -> None:
        self._sides = open_side(f"native:{name}:legacy"), open_side(f"native:{name}:tdp")
        fast = fast_lockstep(*self._sides)
        assert fast is not None
        self._fast = fast
        self.programs = self.diverged = self.false_alarms = self.hidden = 0
        self.seen: list[str] = []

    def run(self, one: Program) -> tuple[bool, bool]:
        """Both ways: (does it diverge, is it suspicious)."""
        suspicious = self._fast.run(one, STEPS) is None
        verdict = lockstep.run(one, *self._sides, max_steps=STEPS)
        diverged = bool(verdict.divergences)
        self.programs += 1
        self.diverged += diverged
        self.false_alarms += suspicious and not diverged
        if diverged and not suspicious:
            self.hidden += 1
            self.seen.append(f"{verdict.divergences[0].signature}\n{program.render(one)}")
        return diverged, suspicious


def mutants(first: Program, seed: int, count: int) -> Iterator[Program]:
    """Programs near one, each a few mutations away."""
    rng = random.Random(seed)
    for _ in range(count):
        one = first
        for _ in range(rng.randint(1, 4)):
            one = mutate.mutate(one, rng, None, concurrent=False)
        if one.config.paging == "tdp":
            yield one


def generated(seed: int, count: int) -> Iterator[Program]:
    """Programs of the generator."""
    rng = random.Random(seed)
    for _ in range(count):
        one = program.generate(rng)
        if one.config.paging == "tdp":
            yield one


def report(name: str, tally: Tally, shown: str) -> None:
    """One row, and what was hidden."""
    row = name, tally.programs, tally.diverged, tally.false_alarms, tally.hidden, shown
    print(COLUMNS.format(*row), flush=True)
    for text in tally.seen:
        print(text, flush=True)


def main() -> int:
    """Build, run, print."""
    parser = argparse.ArgumentParser(description="Measure the filter of native lockstep.")
    parser.add_argument("ids", nargs="*", metavar="ID", help="default: all without a schedule")
    parser.add_argument("--mutants", type=int, default=100, help="of each litmus program")
    parser.add_argument("--programs", type=int, default=100, help="generated, for each build")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    cache = default_cache()
    tree = open_tree(source_path(cache))
    print(COLUMNS.format("build", "runs", "diverge", "false", "hidden", "litmus"))
    hidden = 0
    build(Wish(tree=tree.root, name=PLAIN), cache, lambda line: None)
    tally = Tally(PLAIN)
    for one in generated(options.seed, 10 * options.programs):
        tally.run(one)
    report(PLAIN, tally, "")
    hidden += tally.hidden
    for bug, patch in chosen(options.ids, tree):
        if is_race(bug):
            continue
        name = f"bug-{bug.id}"
        build(Wish(tree=tree.root, patches=(patch,), name=name), cache, lambda line: None)
        tally = Tally(name)
        first = program.parse(bug.program, bug.id)
        if first.config.paging != "tdp":
            continue
        diverged, suspicious = tally.run(first)
        for one in mutants(first, options.seed, options.mutants):
            tally.run(one)
        for one in generated(options.seed, options.programs):
            tally.run(one)
        shown = "shown" if diverged else "quiet"
        report(bug.id, tally, f"{shown}, {'suspected' if suspicious else 'clean'}")
        hidden += tally.hidden
    return 1 if hidden else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as error:
        print(f"native-filter: {error}", file=sys.stderr)
        sys.exit(2)
