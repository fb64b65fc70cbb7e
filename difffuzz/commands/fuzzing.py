# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz fuzz` and `difffuzz smoke`: look for divergences that nobody has seen yet."""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..files.collection import program_files
from ..fuzz.findings import Finding
from ..fuzz.options import FuzzOptions
from ..fuzz.parent import fuzz as run_fuzz
from ..fuzz.stats import Summary
from ..running.runner import Runner
from ..shipped import CORPUS, REPLAYED
from .baselined import BaselineOption, accept, open_baseline, settle
from .completing import complete_mode
from .loaded import Choice
from .output import Json, Left, Right, emit, prepare_corpus
from .programs import OwnLeft, OwnRight
from .progress import note
from .replaying import Replay, replay_each
from .screen import FuzzProgress, figures, taken_over_text

SMOKE_SECONDS = 60.0
MIN_FUZZ_SECONDS = 5.0
ALLOWED_LEGEND = "allowed: so many differences are meant, no findings; docs/oracles.md says why"

Time = Annotated[float | None, typer.Option(min=0.1, help="Seconds; none: until Ctrl-C.")]
Runs = Annotated[int | None, typer.Option(min=1, help="Executions of all jobs together.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Repeats a run (with --jobs 1 --runs N).")]
Mode = Annotated[
    str,
    typer.Option(
        help="lockstep: one operation at a time; concurrent; portfolio: both.",
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
    baseline: BaselineOption = None,
    json: Json = False,
) -> None:
    """Fuzz two sides against each other. Exit status 1: something was found.

    Coverage is branches of the model and states of its page tables. `allowed RULE: n` in the
    summary: so many differences are meant and no findings; docs/oracles.md says why, by rule.
    """
    prepare_corpus(corpus)
    if corpus is None and CORPUS.is_dir():
        corpus = CORPUS
    options = FuzzOptions(
        left, right, mode, seconds, runs, seed, corpus, out, jobs, stop_on_finding
    )
    Runner(left, right, mode)  # a side that does not exist is wrong use, said at once
    known = open_baseline(baseline, left, right, mode)
    with FuzzProgress("fuzz") as progress:
        summary = settle(known, run_fuzz(options, progress, partial(accept, known)))
    emit(summary, _report(summary), json)
    raise typer.Exit(1 if summary.findings else 0)


def smoke(
    left: OwnLeft = None,
    right: OwnRight = None,
    corpus: Annotated[
        Path,
        typer.Option(help="Holds seeds, races and regressions.", show_default="difffuzz's own"),
    ] = CORPUS,
    out: Annotated[Path, typer.Option(help="Findings and corpus go below it.")] = Path("out/smoke"),
    seconds: Annotated[float, typer.Option("--time", min=1.0, help="Seconds in all.")] = (
        SMOKE_SECONDS
    ),
    jobs: Jobs = 1,
    baseline: BaselineOption = None,
    json: Json = False,
) -> None:
    """Replay the seeds, races and regressions, then fuzz for the rest of a minute."""
    if not corpus.is_dir():
        raise UsageError(f"{corpus}: expected a directory of programs")
    end = time.monotonic() + seconds
    replays = _replay_all(corpus, Choice(left, right))
    known = open_baseline(baseline, left or "legacy", right or "tdp", "portfolio")
    diverged = [one for one in _first_findings(replays) if accept(known, one)]
    bad = [line for one in replays if one.error for line in one.lines()]
    replayed = len(replays) - len(bad)
    said = f"replayed {replayed} programs, {len(diverged)} diverge"
    note("\n".join([f"smoke: {said}", *bad]))
    rest = max(MIN_FUZZ_SECONDS, end - time.monotonic())
    options = FuzzOptions(
        left or "legacy", right or "tdp", time=rest, corpus=corpus, out=out, jobs=jobs
    )
    with FuzzProgress("smoke") as progress:
        summary = settle(known, run_fuzz(options, progress, partial(accept, known)))
    findings = diverged + summary.findings
    document = {"replayed": replayed, "errors": bad, "findings": findings, "fuzz": summary}
    lines = [said, *bad]
    lines += [f"{finding.signature}: {finding.program}" for finding in diverged]
    emit(document, "\n".join([*lines, _report(summary)]), json)
    raise typer.Exit(2 if bad else 1 if findings else 0)


def _replay_all(corpus: Path, choice: Choice) -> list[Replay]:
    parts = [corpus / name for name in REPLAYED]
    paths = [path for part in parts if part.is_dir() for path in program_files(part)]
    return list(replay_each(paths, choice))


def _first_findings(replays: list[Replay]) -> list[Finding]:
    return [
        Finding(one.signature, one.oracle, str(replay.path), one.detail)
        for replay in replays
        for one in replay.found[:1]
    ]


def _report(summary: Summary) -> str:
    lines = [f"{summary.left} against {summary.right}: {figures(summary)}"]
    if summary.interrupted:
        lines.append("  interrupted: this is what there was by then")
    if summary.executions < summary.to_read * summary.jobs:
        lines.append("  ended before all programs that it began with were read: fewer are covered")
    if before := taken_over_text(summary):
        lines.append(f"  taken over: {before}")
    lines += [f"  {finding.signature}\n    {finding.program}" for finding in summary.findings]
    if summary.explained:
        lines.append(f"  known: {len(summary.explained)} findings that the baseline explains")
    lines += [f"  allowed {rule}: {count}" for rule, count in summary.allowed.items()]
    if summary.allowed:
        lines.append(f"  ({ALLOWED_LEGEND})")
    return "\n".join([*lines, f"seed {summary.seed}, everything is below {summary.out}"])
