# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz bugs`: the catalogue of historical bugs, and how fast the fuzzer finds them again."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import msgspec
import typer

from ..errors import UsageError
from ..files.notes import notes_of
from ..files.program_file import read_with_text
from ..fuzz.findings import SUFFIX, Finding
from ..fuzz.options import FuzzOptions
from ..fuzz.parent import fuzz as run_fuzz
from ..hunts.judge import Judge
from ..hunts.models import mode_of
from ..hunts.row import Row
from ..running.runner import Runner
from ..sides import open_side
from ..sides.identity import side_notes
from ..variants.catalogue import PATHS, Bug, catalogue, find
from .completing import complete_bug, complete_kernel
from .kept import Kept
from .limit import Limit
from .output import Json, emit, prepare_corpus
from .progress import note
from .screen import FuzzProgress

BUDGET = 100_000
HUNT_SECONDS = 300.0

app = typer.Typer(help="Historical bugs of the MMU, as patches against the model.")


FIELDS = "id", "found", "executions", "seconds", "cpu_seconds", "oracle", "signature", "program"
"""Of a hunt's JSON; the last three are null if the bug was not found.  "kept" is the program's
file, "interrupted" says that Ctrl-C ended the hunt."""


LEGEND = (
    "".join(f"{letter}: {where}, " for letter, where in PATHS.items())
    + "C: needs concurrency or a parked fault, (held): kept without a patch"
)


@app.callback()
def bugs() -> None:
    """Historical bugs of the MMU, as patches against the model."""


@app.command("list")
def list_bugs(json: Json = False) -> None:
    """List the catalogue.

    The letter behind an id is where the bug is: L, the legacy MMU; T, the TDP MMU; B, both.  A C
    behind it: it takes a race or a parked fault.  (held): it is kept without a patch.
    """
    found = catalogue()
    documents = [{**msgspec.to_builtins(_facts(bug)), "patch": _patch(bug)} for bug in found]
    lines = [
        f"{bug.id}  {bug.path}{'C' if bug.concurrent else ' '}  "
        f"{'(held) ' if bug.held else ''}{bug.subject}"
        for bug in found
    ]
    emit(documents, "\n".join([*lines, LEGEND]), json)


@app.command()
def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID", help="Upstream id, or its beginning.", autocompletion=complete_bug
        ),
    ],
    json: Json = False,
) -> None:
    """Show one bug: its facts, its program, its patch."""
    bug = find(name)
    shown_on = "" if bug.is_on("") else next(iter(bug.kernels), "")
    patch = bug.patch_on(shown_on)
    diff = patch.read_text() if patch is not None else ""
    document = {**msgspec.to_builtins(_facts(bug)), "patch": _patch(bug), "diff": diff}
    lines = [
        f"{bug.id} {bug.subject}",
        f"mended in {bug.version}; {PATHS[bug.path]}; oracle {bug.oracle}"
        + ("; needs concurrency or a parked fault" if bug.concurrent else ""),
        bug.why,
        *([f"shown on the models of {', '.join(bug.kernels)}"] if bug.kernels else []),
        *(f"{kernel}: {reason}" for kernel, reason in bug.not_on.items()),
        bug.program_on(shown_on),
        diff,
    ]
    emit(document, "\n".join(line for line in lines if line), json)


@app.command()
def hunt(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="ID", help="Upstream ids.", autocompletion=complete_bug),
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Every bug that is not held.")] = False,
    budget: Annotated[int, typer.Option(min=1, help="Executions for each bug.")] = BUDGET,
    time: Annotated[
        float, typer.Option(min=0.0, help="Seconds on a CPU for each bug and worker; 0: no limit.")
    ] = HUNT_SECONDS,
    corpus: Annotated[
        Path | None,
        typer.Option(help="Programs to start from.  [default: none but generated ones]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Repeats a hunt.")] = None,
    kernel: Annotated[
        str,
        typer.Option(help="On the model of that kernel: v6.12.", autocompletion=complete_kernel),
    ] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    out: Annotated[Path, typer.Option(help="What is found goes below it.")] = Path("out/hunt"),
    json: Json = False,
) -> None:
    """Fuzz with each bug in the model until it is found. Exit status 1: one was, as in `fuzz`.

    Ctrl-C ends it with the hunts so far.
    """
    if every == bool(names):
        raise UsageError("bugs hunt: name bugs, or give --all")
    if kernel:
        open_side(f"tdp@{kernel}")
    chosen = (
        [bug for bug in catalogue() if bug.is_on(kernel)]
        if every
        else [find(n) for n in names or []]
    )
    common = FuzzOptions(
        runs=budget,
        cpu_seconds=time,
        seed=seed,
        corpus=corpus,
        jobs=jobs,
        stop_on_finding=True,
    )
    prepare_corpus(corpus)
    hunts: list[Hunt] = []
    with Limit(0.0) as limit:
        for bug in chosen:
            hunts.append(_hunt(bug, common, kernel, out))
            if limit.interrupted or hunts[-1].interrupted:
                break
    lines = [
        f"{one.row.id}  {one.outcome}  {one.row.executions} executions  "
        f"{one.row.cpu_seconds:.1f} CPU s  {one.row.signature}"
        + (f"\n    {one.kept}" if one.kept is not None else "")
        for one in hunts
    ]
    if len(hunts) < len(chosen) or any(one.interrupted for one in hunts):
        lines.append(f"interrupted: {len(hunts)} of {len(chosen)} hunts")
        if json:
            note(f"bugs hunt: {lines[-1]}")
    emit([_document(one) for one in hunts], "\n".join(lines), json)
    raise typer.Exit(1 if any(one.row.found for one in hunts) else 0)


class Hunt(NamedTuple):
    """A hunt as it ended; `kept` is the program that shows the bug."""

    row: Row
    kept: Path | None
    interrupted: bool

    @property
    def outcome(self) -> str:
        """In a word."""
        if self.row.found:
            return "found"
        return "interrupted" if self.interrupted else "NOT FOUND"


def _hunt(bug: Bug, common: FuzzOptions, kernel: str, out: Path) -> Hunt:
    bug.check_hunted(kernel)
    left, right = bug.sides(kernel)
    run = Runner(left, right, mode_of(bug))  # a patch that does not apply is said at once
    judge = Judge(run, bug.plain_sides(kernel))

    def is_this_bug(finding: Finding) -> bool:
        accepted = judge.accept(finding)
        if not accepted:
            passed = f"passed over {finding.signature}: the unpatched model shows it too"
            note(f"hunt {bug.id}: {passed}")
        return accepted

    row = Row(
        id=bug.id,
        method="difffuzz",
        seed=common.seed or 0,
        concurrent=bug.concurrent,
        budget=common.cpu_seconds,
        kernel=kernel,
        left=left,
        right=right,
    )
    sides = {**side_notes(left, right), "mode": run.mode}
    with Kept(out / bug.id, sides) as kept:
        work = Path(tempfile.mkdtemp(prefix=".work-", dir=out / bug.id))
        options = replace(common, left=left, right=right, mode=run.mode, out=work)
        with FuzzProgress(f"hunt {bug.id}") as progress:
            summary = run_fuzz(options, progress, is_this_bug)  # if it fails, its logs stay
        for path in sorted((work / "findings").glob(f"*{SUFFIX}")):
            program, text = read_with_text(path)
            notes = notes_of(text)
            kept.add(program, notes["signature"], notes["oracle"], notes.get("detail", ""))
        row.executions, row.seconds = summary.executions, summary.seconds
        row.cpu_seconds = summary.cpu_seconds
        for first in summary.findings[:1]:
            row.take_finding(first)
            row.seconds, row.cpu_seconds = first.seconds, first.cpu_seconds
            if common.jobs == 1:
                row.executions = first.executions
        shutil.rmtree(work)
    return Hunt(row, kept.where(row.signature) if row.found else None, summary.interrupted)


def _document(one: Hunt) -> dict[str, object]:
    facts = one.row.facts(*FIELDS)
    if not one.row.found:
        facts |= {"oracle": None, "signature": None, "program": None}
    kept = None if one.kept is None else str(one.kept)
    return {**facts, "kept": kept, "interrupted": one.interrupted}


def _facts(bug: Bug) -> Bug:
    return msgspec.structs.replace(bug, patch=None)


def _patch(bug: Bug) -> str | None:
    return None if bug.patch is None else str(bug.patch)
