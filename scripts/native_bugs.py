# SPDX-License-Identifier: GPL-2.0-only
"""Hunts known bugs in the kernel's own code, each brought back by a patch; prints a table.

For each harness/native/patches/ID.toml the kernel's MMU code is built with and without the patch,
and fuzzed from the general corpus: its two MMUs against each other, then each MMU that has the bug
against the model.  What the same program shows without the patch, too, is not the bug.  The exit
status is 1 if a bug was not found.

--litmus runs the catalogue's program instead of the fuzzer: one that needs a schedule under many.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from difffuzz import program
from difffuzz.errors import MissingTool, UsageError
from difffuzz.fuzz.corpus import read_program
from difffuzz.fuzz.findings import Finding
from difffuzz.fuzz.options import FuzzOptions
from difffuzz.fuzz.parent import fuzz
from difffuzz.native.build import Wish, build
from difffuzz.native.cache import default_cache
from difffuzz.native.fetch import source_path
from difffuzz.native.named_change import read_changes
from difffuzz.native.tree import KernelTree, open_tree
from difffuzz.native.units import meant_for
from difffuzz.program import Program
from difffuzz.running.runner import Runner
from difffuzz.variants.catalogue import Bug, catalogue

ROOT = Path(__file__).resolve().parents[1]
PATCHES = ROOT / "harness" / "native" / "patches"
PLAIN = "plain"
MODELS = {"6.1": "@v6.1", "6.12": "@v6.12"}
"""By series: the model that behaves as that kernel, if there is one."""
STEPS = 400
"""Where a schedule may preempt, from the start of the program."""
COLUMNS = "{:<13} {:<5} {:<42} {:<6} {:>9} {:>8}  {}"


class Hunt(msgspec.Struct):
    """A row of the table."""

    id: str
    path: str
    left: str
    right: str
    found: bool = False
    executions: int = 0
    seconds: float = 0.0
    signature: str = ""
    program: str = ""
    """Text form, shrunk."""

    @property
    def row(self) -> str:
        """One line."""
        sides = f"{self.left} {self.right}".replace(self.id, "ID")
        found = "yes" if self.found else "NO"
        signature = self.signature.replace(self.id, "ID")
        seconds = f"{self.seconds:.1f}"
        return COLUMNS.format(self.id, self.path, sides, found, self.executions, seconds, signature)


class Limits(NamedTuple):
    """What a hunt may take."""

    seconds: float
    seed: int
    corpus: Path


class Judge:
    """Tells the bug from what the kernel shows without the patch."""

    def __init__(self, left: str, right: str, mode: str, build_name: str) -> None:
        self._build = f"native:{build_name}:"
        self._plain = Runner(self._without(left), self._without(right), mode)

    def _without(self, name: str) -> str:
        return name.replace(self._build, f"native:{PLAIN}:")

    def is_the_bug(self, found: Program, signature: str) -> bool:
        """True if the unpatched build does not show that signature."""
        shown = {one.signature for one in self._plain(found).divergences}
        return self._without(signature) not in shown

    def accept(self, finding: Finding) -> bool:
        """The same for a finding of a fuzzing run."""
        return self.is_the_bug(read_program(Path(finding.program)), finding.signature)


def build_for(bug: Bug) -> tuple[str, str]:
    """Builds the fetched kernel's code with the bug and without; the names of the two builds."""
    cache, tree, name = default_cache(), fetched_tree().root, f"bug-{bug.id}"
    build(Wish(tree=tree, name=PLAIN), cache, note)
    build(Wish(tree=tree, patches=(PATCHES / f"{bug.id}.toml",), name=name), cache, note)
    return name, PLAIN


def sides(bug: Bug, name: str, model: str) -> Iterator[tuple[str, str]]:
    """The pairs of sides to hunt a bug with; `model` is which one."""
    legacy, tdp = f"native:{name}:legacy", f"native:{name}:tdp"
    if bug.right == "spec":
        yield legacy, "spec"
        return
    yield legacy, tdp
    if bug.path in "LB":
        yield legacy, f"tdp{model}"
    if bug.path in "TB":
        yield f"legacy{model}", tdp


def hunt(bug: Bug, pair: tuple[str, str], limits: Limits) -> Hunt:
    """Fuzz until the bug is found."""
    left, right = pair
    mode = "concurrent" if is_race(bug) else "lockstep"
    judge = Judge(left, right, mode, f"bug-{bug.id}")
    outcome = Hunt(bug.id, kind(bug), left, right)
    with tempfile.TemporaryDirectory(prefix="difffuzz-native-bugs-") as out:
        options = FuzzOptions(
            left,
            right,
            mode,
            time=limits.seconds,
            seed=limits.seed,
            corpus=limits.corpus,
            out=Path(out),
            stop_on_finding=True,
        )
        summary = fuzz(options, accept=judge.accept)
        outcome.executions, outcome.seconds = summary.executions, summary.seconds
        # Judged again by its shrunk program: shrinking may have slipped to something else.
        for finding in summary.findings:
            if judge.accept(finding):
                outcome.found, outcome.signature = True, finding.signature
                outcome.executions, outcome.seconds = finding.executions, finding.seconds
                outcome.program = Path(finding.program).read_text()
                break
    return outcome


def litmus(bug: Bug, pair: tuple[str, str], limits: Limits) -> Hunt:
    """Run the catalogue's program, under many schedules if it needs one."""
    mode = "concurrent" if is_race(bug) else "lockstep"
    judge = Judge(*pair, mode, f"bug-{bug.id}")
    run = Runner(*pair, mode)
    outcome = Hunt(bug.id, kind(bug), *pair)
    parsed = program.parse(bug.program, bug.id)
    began = time.monotonic()
    for candidate in scheduled(parsed, limits.seed) if is_race(bug) else [parsed]:
        outcome.executions += 1
        for one in run(candidate).divergences:
            if judge.is_the_bug(candidate, one.signature):
                outcome.found, outcome.signature = True, one.signature
                outcome.program = program.render(candidate)
                break
        outcome.seconds = round(time.monotonic() - began, 1)
        if outcome.found or outcome.seconds > limits.seconds:
            break
    return outcome


def scheduled(parsed: Program, seed: int) -> Iterator[Program]:
    """The program with one preemption, everywhere; then with some, anywhere."""
    threads = sorted({op.thread for op in parsed.ops})
    for step in range(1, STEPS):
        for thread in threads:
            yield parsed._replace(schedule=((step, thread),))
    rng = random.Random(seed)
    while True:
        steps = sorted(rng.sample(range(1, STEPS), rng.choice((2, 2, 3, 3, 4))))
        yield parsed._replace(schedule=tuple((step, rng.choice(threads)) for step in steps))


def is_race(bug: Bug) -> bool:
    """Does it need a schedule?  A parked fault is enough for some that need concurrency."""
    return bool(program.parse(bug.program, bug.id).schedule)


def kind(bug: Bug) -> str:
    """Which MMU has it, T, L or B, and whether it needs a schedule."""
    return bug.path + (" C" if is_race(bug) else "")


def note(line: str) -> None:
    """Progress goes to stderr."""
    print(line, file=sys.stderr, flush=True)


def fetched_tree() -> KernelTree:
    """The fetched 6.1; MissingTool if it was not fetched."""
    tree = source_path(default_cache())
    if not tree.is_dir():
        raise MissingTool("no kernel tree", "difffuzz native fetch")
    return open_tree(tree)


def patches_for(tree: KernelTree) -> dict[str, Path]:
    """By bug: the patch that brings it back in that kernel's code."""
    return {
        path.stem: path
        for path in sorted(PATCHES.glob("*.toml"))
        if any(meant_for(one.versions, tree) for one in read_changes(path, path.read_text()).change)
    }


def chosen(names: Iterable[str], tree: KernelTree) -> list[tuple[Bug, Path]]:
    """The patches to hunt; UsageError for a name without one for this kernel."""
    bugs = {bug.id: bug for bug in catalogue()}
    patches = patches_for(tree)
    for name in names:
        if name not in patches:
            raise UsageError(f"{name}: no patch for Linux {tree.series}: see {PATCHES}")
    return [(bugs[name], patches[name]) for name in (list(names) or patches) if name in bugs]


def main() -> int:
    """Build, hunt, print."""
    parser = argparse.ArgumentParser(description="Hunt known bugs in the kernel's own code.")
    parser.add_argument("ids", nargs="*", metavar="ID", help="default: all")
    parser.add_argument("--tree", type=Path, help="kernel tree; default: the fetched 6.1")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each pair of sides")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--corpus", type=Path, default=ROOT / "corpus" / "seeds")
    parser.add_argument("--no-races", action="store_true", help="leave out what needs a schedule")
    parser.add_argument("--litmus", action="store_true", help="the catalogue's programs only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows")
    options = parser.parse_args()
    limits = Limits(options.seconds, options.seed, options.corpus)
    cache = default_cache()
    tree = open_tree(options.tree) if options.tree else fetched_tree()
    model = MODELS.get(tree.series, "")
    build(Wish(tree=tree.root, name=PLAIN), cache, note)
    rows: list[Hunt] = []
    print(COLUMNS.format("bug", "path", "sides", "found", "execs", "seconds", "signature"))
    for bug, patch in chosen(options.ids, tree):
        if is_race(bug) and options.no_races:
            continue
        build(Wish(tree=tree.root, patches=(patch,), name=f"bug-{bug.id}"), cache, note)
        for pair in sides(bug, f"bug-{bug.id}", model):
            row = (litmus if options.litmus else hunt)(bug, pair, limits)
            rows.append(row)
            print(row.row, flush=True)
            if options.json is not None:
                options.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
            if row.found:
                break
    hunted = {row.id for row in rows}
    found = {row.id for row in rows if row.found}
    print(f"{len(found)} of {len(hunted)} found")
    return 0 if found == hunted else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except UsageError as error:
        note(f"native-bugs: {error}")
        sys.exit(2)
    except MissingTool as error:
        note(f"native-bugs: {error}")
        sys.exit(3)
