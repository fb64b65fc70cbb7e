# SPDX-License-Identifier: GPL-2.0-only
"""Hunts bugs of shadow paging in the kernel's own code, each brought back by a named change.

For each harness/native/guest_patches/ID.toml that fits the tree the MMU code is built with
and without the change, and guests with page tables are generated until one shows it: its first
divergence is one that the same program does not have without the change.  The exit status is 1 if
one was not found.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from random import Random

import msgspec

from ..errors import UsageError
from ..native.build import Wish, build
from ..native.cache import default_cache
from ..native.named_change import read_changes
from ..native.tree import KernelTree, open_tree
from ..native.units import meant_for
from ..program import Program, render
from ..program.generate_guest import at_once, generate_guest
from ..program.model import GUESTS
from ..running.runner import Runner
from ..script import end, note
from ..shipped import HARNESS
from ..shrink.finding import shrink
from .judge import Judge
from .kernel import PLAIN, fetched_tree

PATCHES = HARNESS / "guest_patches"
COLUMNS = "{:<26} {:<7} {:>9} {:>9} {:>11}  {}"
SHRINK_SECONDS = 20.0


class Hunted(msgspec.Struct, kw_only=True):
    """A hunt and its outcome.  Not found: the figures are what was spent."""

    id: str
    kernel: str
    guest: str
    threads: bool = False
    """Programs had threads at once."""
    seed: int
    found: bool = False
    programs: int = 0
    cpu_seconds: float = 0.0
    signature: str = ""
    operations: int = 0
    """Of the shrunk program."""
    program: str = ""
    """Its text form."""

    def line(self) -> str:
        """A row of the table."""
        found = "yes" if self.found else "NO"
        seconds, ops = f"{self.cpu_seconds:.1f}", self.operations or "-"
        return COLUMNS.format(self.id, found, self.programs, seconds, ops, self.signature)


def fitting(names: list[str], tree: KernelTree) -> list[Path]:
    """The changes to hunt, without names all that fit; UsageError for one that does not."""
    fits = [
        path
        for path in sorted(PATCHES.glob("*.toml"))
        if any(meant_for(one.versions, tree) for one in read_changes(path, path.read_text()).change)
    ]
    known = {path.stem: path for path in fits}
    for name in names:
        if name not in known:
            raise UsageError(f"{name}: no change for Linux {tree.series}: see {PATCHES}")
    return [known[name] for name in names] or fits


def hunt(row: Hunted, judge: Judge, seconds: float) -> Program | None:
    """Programs from nothing until one shows the bug: what it shrinks to is quiet without it."""
    rng, spent = Random(row.seed), 0.0
    while spent < seconds:
        began = time.process_time()
        program = generate_guest(rng, row.guest)
        if row.threads:
            program = at_once(rng, program)
        row.signature = judge.shown(program)
        row.programs += 1
        spent += time.process_time() - began
        row.cpu_seconds = round(spent, 2)
        if row.signature:
            shrunk = shrink(judge.run, program, row.signature, SHRINK_SECONDS).program
            if judge.is_quiet(shrunk):
                row.found = True
                return shrunk
    return None


def build_with(patch: Path, tree: KernelTree) -> str:
    """Builds the tree with a change; the build's name."""
    name = f"guest-{patch.stem}-{tree.series}"
    wish = Wish(tree=tree.root, patches=(patch,), name=name, coverage=False)
    build(wish, default_cache(), note)
    return name


def hunted(patch: Path, tree: KernelTree, options: argparse.Namespace) -> Hunted:
    """One bug: built, hunted, its program shrunk."""
    name = build_with(patch, tree)
    row = Hunted(
        id=patch.stem,
        kernel=tree.series,
        guest=options.guest,
        threads=options.threads,
        seed=options.seed,
    )
    run = Runner(f"native:{name}:legacy", f"native:{name}:tdp", "guests")
    plain = plain_name(tree)
    judge = Judge(run, (f"native:{plain}:legacy", f"native:{plain}:tdp"))
    program = hunt(row, judge, options.seconds)
    if program is not None:
        row.operations, row.program = len(program.ops), render(program)
        row.signature = row.signature.replace(f"native:{name}", "native")
    return row


def plain_name(tree: KernelTree) -> str:
    """The build without a change."""
    return f"{PLAIN}-{tree.series}"


def main() -> int:
    """Build, hunt, print."""
    parser = argparse.ArgumentParser(
        prog="scripts/guest-bugs",
        description="Hunt bugs of shadow paging in the kernel's own code.",
    )
    parser.add_argument("ids", nargs="*", metavar="ID", help="default: all that fit")
    parser.add_argument("--tree", type=Path, help="kernel tree; default: the fetched 6.1")
    parser.add_argument("--seconds", type=float, default=60.0, help="of a CPU, for each")
    parser.add_argument("--guest", choices=GUESTS[1:], default=GUESTS[1])
    parser.add_argument("--threads", action="store_true", help="programs with threads at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all rows")
    options = parser.parse_args()
    tree = open_tree(options.tree) if options.tree else fetched_tree()
    patches = fitting(options.ids, tree)
    wish = Wish(tree=tree.root, name=plain_name(tree), coverage=False)
    build(wish, default_cache(), note)
    rows: list[Hunted] = []
    print(COLUMNS.format("change", "found", "programs", "CPU s", "operations", "signature"))
    for patch in patches:
        rows.append(hunted(patch, tree, options))
        print(rows[-1].line(), flush=True)
        if options.json is not None:
            options.json.write_bytes(msgspec.json.format(msgspec.json.encode(rows)))
    found = sum(row.found for row in rows)
    print(f"{found} of {len(rows)} found")
    return 0 if found == len(rows) else 1


if __name__ == "__main__":
    end("guest-bugs", main)
