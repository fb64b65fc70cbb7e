# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz fuzz`: look for divergences that nobody has seen yet."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..fuzz.blind import check_sight
from ..fuzz.options import FuzzOptions
from ..fuzz.parent import fuzz as run_fuzz
from ..fuzz.stats import Summary
from ..running.runner import Runner
from ..shipped import CORPUS
from .baselined import BaselineOption, accept, open_baseline, settle
from .booted_sides import is_booted
from .completing import complete_mode
from .fuzzing_booted import fuzz_booted
from .kernel_hunt import hunt_text
from .memory import Memory, delays_of
from .output import Json, Left, Right, emit, prepare_corpus
from .screen import FuzzProgress, figures, sweep_text, taken_over_text

INTERRUPTED = 130
"""Status of a run that was interrupted before its first program."""
ALLOWED_LEGEND = "allowed: so many differences are meant, no findings; docs/oracles.md says why"

Time = Annotated[float | None, typer.Option(min=0.1, help="Seconds; none: until Ctrl-C.")]
Runs = Annotated[int | None, typer.Option(min=1, help="Executions of all jobs together.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Repeats a run (with --jobs 1 --runs N).")]
Mode = Annotated[
    str,
    typer.Option(
        help="lockstep: one operation at a time; concurrent; portfolio: both; guests: both, with "
        "page tables of their own (native sides).",
        autocompletion=complete_mode,
    ),
]
Jobs = Annotated[int, typer.Option(min=1, help="Worker processes.")]


def fuzz(
    left: Left = "legacy",
    right: Right = "tdp",
    mode: Mode = "portfolio",
    seconds: Annotated[
        float | None, typer.Option("--time", min=0.1, help="Seconds; none: until Ctrl-C.")
    ] = None,
    runs: Runs = None,
    seed: Seed = None,
    corpus: Annotated[
        Path | None,
        typer.Option(
            help="Programs to start from, *.difffuzz or bytes.", show_default="difffuzz's own"
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Findings and corpus go below it.")] = Path("out"),
    jobs: Jobs = 1,
    stop_on_finding: Annotated[bool, typer.Option(help="End at the first finding.")] = False,
    sweep: Annotated[
        bool,
        typer.Option(
            help="A quarter of the time: every schedule with one departure, of each program of "
            "the corpus first; not with --runs."
        ),
    ] = True,
    memory: Memory = "sc",
    baseline: BaselineOption = None,
    json: Json = False,
) -> None:
    """Fuzz two sides against each other. Exit status 1: something was found.

    Sides may be a booted kernel, too: kernel:legacy and kernel:tdp, or one of them and a model or
    native side of the same MMU; `kernel fuzz` has more options for it.
    Coverage is branches of the model and states of its page tables. `allowed RULE: n` in the
    summary: so many differences are meant and no findings; docs/oracles.md says why, by rule.
    """
    prepare_corpus(corpus)
    if corpus is None and CORPUS.is_dir():
        corpus = CORPUS
    options = FuzzOptions(
        left,
        right,
        mode,
        seconds,
        runs,
        seed,
        corpus,
        out,
        jobs,
        stop_on_finding,
        sweeps=sweep and runs is None,
        delays=delays_of(memory),
    )
    if is_booted(left, right):
        if options.delays:
            raise UsageError("--memory tso: a booted kernel has the memory of its machine")
        document = fuzz_booted(options, baseline)
        emit(document, hunt_text(document), json)
        raise typer.Exit(1 if document["findings"] else 0 if document["programs"] else INTERRUPTED)
    Runner(left, right, mode)  # a side that does not exist is wrong use, said at once
    known = open_baseline(baseline, left, right, mode)
    with FuzzProgress("fuzz") as progress:
        summary = settle(known, run_fuzz(options, progress, partial(accept, known)))
    check_sight(summary)
    emit(summary, report_text(summary), json)
    raise typer.Exit(1 if summary.findings else 0 if summary.executions else INTERRUPTED)


def report_text(summary: Summary, findings: bool = True) -> str:
    """A run that has ended, for people; with its findings or without."""
    lines = [f"{summary.left} against {summary.right}: {figures(summary)}"]
    if summary.interrupted:
        lines.append("  interrupted: this is what there was by then")
    if summary.executions < summary.to_read * summary.jobs:
        lines.append("  ended before all programs that it began with were read: fewer are covered")
    if summary.variants:
        lines.append(f"  variants that the library played besides: {summary.variants}")
    if swept := sweep_text(summary):
        lines.append(f"  swept: {swept}")
    if before := taken_over_text(summary):
        lines.append(f"  taken over: {before}")
    if findings:
        lines += [f"  {finding.signature}\n    {finding.program}" for finding in summary.findings]
    if summary.explained:
        lines.append(f"  known: {len(summary.explained)} findings that the baseline explains")
    lines += [f"  allowed {rule}: {count}" for rule, count in summary.allowed.items()]
    if summary.allowed:
        lines.append(f"  ({ALLOWED_LEGEND})")
    return "\n".join([*lines, f"seed {summary.seed}, everything is below {summary.out}"])
