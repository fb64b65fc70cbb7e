# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz bugs`: the catalogue of historical bugs, and how fast the fuzzer finds them again."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..errors import UsageError
from ..fuzz.findings import Finding
from ..fuzz.options import FuzzOptions
from ..fuzz.parent import fuzz as run_fuzz
from ..hunts.judge import Judge
from ..hunts.models import mode_of
from ..hunts.row import Row
from ..running.runner import Runner
from ..sides import open_side
from ..variants.catalogue import PATHS, Bug, catalogue, find
from .output import Json, emit
from .progress import note
from .screen import FuzzProgress

BUDGET = 100_000

app = typer.Typer(help="Historical bugs of the MMU, as patches against the model.")


FIELDS = "id", "found", "executions", "seconds", "cpu_seconds", "oracle", "signature", "program"
"""Of a hunt's JSON; the last three are null if the bug was not found."""


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
    name: Annotated[str, typer.Argument(metavar="ID", help="Upstream id, or its beginning.")],
    json: Json = False,
) -> None:
    """Show one bug: its facts, its program, its patch."""
    bug = find(name)
    patch = bug.patch.read_text() if bug.patch is not None else ""
    document = {**msgspec.to_builtins(_facts(bug)), "patch": _patch(bug), "diff": patch}
    lines = [
        f"{bug.id} {bug.subject}",
        f"mended in {bug.version}; {PATHS[bug.path]}; oracle {bug.oracle}"
        + ("; needs concurrency or a parked fault" if bug.concurrent else ""),
        bug.why,
        *([f"shown on the models of {', '.join(bug.kernels)} too"] if bug.kernels else []),
        *(f"{kernel}: {reason}" for kernel, reason in bug.not_on.items()),
        *([bug.program] if bug.program else []),
        patch,
    ]
    emit(document, "\n".join(line for line in lines if line), json)


@app.command()
def hunt(
    names: Annotated[list[str] | None, typer.Argument(metavar="ID", help="Upstream ids.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Every bug that is not held.")] = False,
    budget: Annotated[int, typer.Option(min=1, help="Executions for each bug.")] = BUDGET,
    time: Annotated[
        float | None, typer.Option(min=0.1, help="Seconds on a CPU for each bug and worker.")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(help="Programs to start from.  [default: none but generated ones]"),
    ] = None,
    seed: Annotated[int | None, typer.Option(min=0, help="Repeats a hunt.")] = None,
    kernel: Annotated[str, typer.Option(help="On the model of that kernel: v6.12.")] = "",
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    json: Json = False,
) -> None:
    """Fuzz with each bug in the model until it is found. Exit status 1: one was, as in `fuzz`."""
    if every == bool(names):
        raise UsageError("bugs hunt: name bugs, or give --all")
    if kernel:
        open_side(f"tdp@{kernel}")
    chosen = (
        [bug for bug in catalogue() if not bug.held and (not kernel or kernel in bug.kernels)]
        if every
        else [find(n) for n in names or []]
    )
    common = FuzzOptions(
        runs=budget,
        cpu_seconds=time or 0.0,
        seed=seed,
        corpus=corpus,
        jobs=jobs,
        stop_on_finding=True,
    )
    hunts = [_hunt(bug, common, kernel) for bug in chosen]
    lines = [
        f"{one.id}  {'found' if one.found else 'NOT FOUND'}  {one.executions} executions  "
        f"{one.cpu_seconds:.1f} CPU s  {one.signature}"
        for one in hunts
    ]
    emit([_document(one) for one in hunts], "\n".join(lines), json)
    raise typer.Exit(1 if any(one.found for one in hunts) else 0)


def _hunt(bug: Bug, common: FuzzOptions, kernel: str) -> Row:
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
    with tempfile.TemporaryDirectory(prefix="difffuzz-hunt-") as out:
        options = replace(common, left=left, right=right, mode=run.mode, out=Path(out))
        with FuzzProgress(f"hunt {bug.id}") as progress:
            summary = run_fuzz(options, progress, is_this_bug)
        row.executions, row.seconds = summary.executions, summary.seconds
        row.cpu_seconds = summary.cpu_seconds
        for first in summary.findings[:1]:
            row.take_finding(first)
            row.seconds, row.cpu_seconds = first.seconds, first.cpu_seconds
            if common.jobs == 1:
                row.executions = first.executions
    return row


def _document(row: Row) -> dict[str, object]:
    facts = row.facts(*FIELDS)
    return facts if row.found else {**facts, "oracle": None, "signature": None, "program": None}


def _facts(bug: Bug) -> Bug:
    return msgspec.structs.replace(bug, patch=None)


def _patch(bug: Bug) -> str | None:
    return None if bug.patch is None else str(bug.patch)
