# SPDX-License-Identifier: GPL-2.0-only
"""Measures the filter of native lockstep (engine/fast_lockstep.py) against the engine that judges.

For the kernel as it is, and with each known bug that shows without a schedule put back, programs
run both ways: the catalogue's program of the bug, mutants of it, and generated programs.  A program
with a divergence that the filter calls clean is hidden: the exit status is 1 if there is one.  What
is suspicious without a divergence costs time only.  With --guest the bugs are those of shadow
paging (harness/native/guest_patches), and the programs have such a guest.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator

from ..engine import guest_lockstep, lockstep
from ..engine.lockstep_filter import lockstep_filter
from ..native.tree import KernelTree
from ..program import Program, generate, mutate, parse, render
from ..program.generate_guest import generate_guest
from ..program.model import GUESTS
from ..running.policy import FUZZ_STEPS, POLICY
from ..script import end
from ..shipped import CORPUS
from ..sides import open_side
from . import guest_bugs
from .kernel import PLAIN, build_plain, build_with, chosen, fetched_tree, is_race

COLUMNS = "{:<26} {:>6} {:>8} {:>6} {:>7}  {}"
STEPS = FUZZ_STEPS * POLICY.native_steps


class Tally:
    """Of one build: programs, those with a divergence, suspicious and hidden ones."""

    def __init__(self, name: str) -> None:
        self._sides = open_side(f"native:{name}:legacy"), open_side(f"native:{name}:tdp")
        fast = lockstep_filter(*self._sides)
        assert fast is not None
        self._fast = fast
        self.programs = self.diverged = self.false_alarms = self.hidden = 0
        self.seen: list[str] = []

    def run(self, one: Program) -> tuple[bool, bool]:
        """Both ways: (does it diverge, is it suspicious)."""
        suspicious = self._fast.run(one, STEPS) is None
        judge = lockstep.run if one.config.guest == "none" else guest_lockstep.run
        verdict = judge(one, *self._sides, max_steps=STEPS)
        diverged = bool(verdict.divergences)
        self.programs += 1
        self.diverged += diverged
        self.false_alarms += suspicious and not diverged
        if diverged and not suspicious:
            self.hidden += 1
            self.seen.append(f"{verdict.divergences[0].signature}\n{render(one)}")
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


def generated(seed: int, count: int, guest: str) -> Iterator[Program]:
    """Programs of the generator."""
    rng = random.Random(seed)
    for _ in range(count):
        one = generate(rng) if guest == "none" else generate_guest(rng, guest)
        if one.config.paging == "tdp":
            yield one


def report(name: str, tally: Tally, shown: str) -> None:
    """One row, and what was hidden."""
    row = name, tally.programs, tally.diverged, tally.false_alarms, tally.hidden, shown
    print(COLUMNS.format(*row), flush=True)
    for text in tally.seen:
        print(text, flush=True)


def filtered(name: str, options: argparse.Namespace, first: Program | None) -> int:
    """One build: its row, and how many of its programs were hidden."""
    tally = Tally(name)
    if first is None:
        for one in generated(options.seed, 10 * options.programs, options.guest):
            tally.run(one)
        report(name, tally, "")
        return tally.hidden
    diverged, suspicious = tally.run(first)
    for one in mutants(first, options.seed, options.mutants):
        tally.run(one)
    for one in generated(options.seed, options.programs, options.guest):
        tally.run(one)
    shown = "shown" if diverged else "quiet"
    name = name.removeprefix("bug-").removeprefix("guest-")
    report(name, tally, f"{shown}, {'suspected' if suspicious else 'clean'}")
    return tally.hidden


def guests_filtered(options: argparse.Namespace, tree: KernelTree) -> int:
    """The same for bugs of shadow paging; how many programs were hidden."""
    patches = guest_bugs.fitting(options.ids, tree)
    build_plain(tree)
    hidden = filtered(PLAIN, options, None)
    for patch in patches:
        path = CORPUS / "guests" / f"{patch.stem}.difffuzz"
        first = parse(path.read_text(), path.name)
        hidden += filtered(guest_bugs.build_with(patch, tree), options, first)
    return hidden


def main() -> int:
    """Build, run, print."""
    parser = argparse.ArgumentParser(
        prog="scripts/native-filter", description="Measure the filter of native lockstep."
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="default: all without a schedule")
    parser.add_argument("--mutants", type=int, default=100, help="of each litmus program")
    parser.add_argument("--programs", type=int, default=100, help="generated, for each build")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--guest", choices=GUESTS, default=GUESTS[0])
    options = parser.parse_args()
    tree = fetched_tree()
    print(COLUMNS.format("build", "runs", "diverge", "false", "hidden", "litmus"))
    if options.guest != "none":
        return 1 if guests_filtered(options, tree) else 0
    bugs = chosen(options.ids, tree)
    build_plain(tree)
    hidden = filtered(PLAIN, options, None)
    for bug in bugs:
        first = parse(bug.program_on(""), bug.id)
        if not is_race(bug) and first.config.paging == "tdp":
            hidden += filtered(build_with(bug, tree), options, first)
    return 1 if hidden else 0


if __name__ == "__main__":
    end("native-filter", main)
