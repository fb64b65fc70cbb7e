# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz smoke`: the test of a minute that continuous integration runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from ..ci.outcome import FUZZ, Case, Outcome
from ..errors import MissingTool, UsageError
from ..fuzz.blind import FEW, check_sight
from ..fuzz.findings import Finding
from ..fuzz.options import FuzzOptions
from ..fuzz.out_lock import OutLock
from ..fuzz.parent import fuzz as run_fuzz
from ..fuzz.stats import Summary
from ..running.watchdog import HANG_SECONDS
from ..shipped import CORPUS
from ..triage.baseline import Baseline
from .baselined import BaselineOption, accept, open_baseline, settle
from .fuzzing import INTERRUPTED, Jobs
from .limit import Limit
from .loaded import Choice
from .output import Json, emit
from .programs import OwnLeft, OwnRight
from .progress import note
from .reports import Junit, Sarif, write_reports
from .screen import FuzzProgress
from .smoke_replays import finding_shown, replay_cases, replayed_programs
from .smoke_text import document, outcome_text, replays_of, replays_text

SECONDS = 60.0
LEAST_FUZZ_SECONDS = 5.0
FUZZ_SECONDS = 10.0
"""Replays leave so many to the fuzzer, or half of all if that is less."""
PATIENCE = 5.0
"""Of these, so many are for shrinking what it found; a tenth of all if that is less."""
LAST_SECONDS = 4.0
"""For the interpreter to begin and to end, to run what was found once more, and for the reports; a
tenth of all if that is less."""
LEAST_SECONDS = 1.0
"""On a CPU, for a program that is replayed."""
MODE = "portfolio"
"""Of the fuzzer."""


def smoke(
    left: OwnLeft = None,
    right: OwnRight = None,
    corpus: Annotated[
        Path,
        typer.Option(help="Holds seeds, races and regressions.", show_default="difffuzz's own"),
    ] = CORPUS,
    out: Annotated[Path, typer.Option(help="Findings go below it.")] = Path("out/smoke"),
    seconds: Annotated[
        float,
        typer.Option("--time", min=1.0, help="Seconds in all; the fuzzer gets five at least."),
    ] = SECONDS,
    runs: Annotated[
        int | None, typer.Option(min=1, help="Executions of the fuzzer, if time is left for them.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the fuzzer: the same one each time.")] = 1,
    jobs: Jobs = 1,
    baseline: BaselineOption = None,
    junit: Junit = None,
    sarif: Sarif = None,
    json: Json = False,
) -> None:
    """Replay the seeds, races and regressions, then fuzz for the rest of a minute: for CI.

    Exit status 1: something was found that the baseline, if there is one, does not know; 2: a
    program cannot be read; 3: the fuzzer did not run, or saw nothing of what it ran.
    """
    if not corpus.is_dir():
        raise UsageError(f"{corpus}: expected a directory of programs")
    OutLock(out).close()  # it can be written, nobody works in it
    paths = replayed_programs(corpus)
    sides = left or "legacy", right or "tdp"
    known = open_baseline(baseline, *sides, MODE)
    outcome = Outcome(*sides, seed, baseline is not None)
    write_reports(outcome, junit, sarif)
    summary: Summary | None = None
    trouble: UsageError | MissingTool | None = None
    with Limit(seconds) as limit:
        try:
            choice = Choice(left, right)
            over, left_of = replay_end(limit, seconds)
            for case in replay_cases(corpus, paths, choice, known, over, left_of):
                outcome.cases.append(case)
            note(f"smoke: {replays_text(outcome)}")
            options = FuzzOptions(*sides, MODE, None, runs, seed, corpus, out, jobs)
            summary = _fuzz(outcome, options, known, limit, seconds)
        except (UsageError, MissingTool) as error:
            trouble = error
            outcome.cases.append(Case(FUZZ, FUZZ, error=str(error)))
        except KeyboardInterrupt:
            limit.interrupted = True
        outcome.over, outcome.seconds = True, limit.spent
        outcome.interrupted = limit.interrupted or (summary is not None and summary.interrupted)
        write_reports(outcome, junit, sarif)
    emit(document(outcome, summary), outcome_text(outcome, summary), json)
    if trouble is not None:
        if not any(outcome.shown(known=False)):
            raise trouble
        note(f"difffuzz: {trouble}")
    raise typer.Exit(_status(outcome, summary))


def replay_end(limit: Limit, seconds: float) -> tuple[Callable[[], str], Callable[[], float]]:
    """What says why no more programs are replayed, or nothing as long as they are; and how many
    seconds one more may take."""
    end = max(seconds / 2, seconds - FUZZ_SECONDS)

    def over() -> str:
        if limit.interrupted:
            return "interrupted"
        return "time was over, --time gives more" if limit.spent >= end else ""

    def left() -> float:
        return min(HANG_SECONDS, max(LEAST_SECONDS, end - limit.spent))

    return over, left


def _fuzz(
    outcome: Outcome, options: FuzzOptions, known: Baseline, limit: Limit, seconds: float
) -> Summary | None:
    """Fuzz for the rest of the time.  None: it did not come to that."""
    case = Case(FUZZ, FUZZ)
    if limit.interrupted or outcome.errors():
        case.skipped = "interrupted" if limit.interrupted else "there are programs to mend first"
        outcome.cases.append(case)
        return None
    patience = min(PATIENCE, seconds / 10)
    last = min(LAST_SECONDS, seconds / 10)
    rest = max(LEAST_FUZZ_SECONDS, seconds - limit.spent - patience - last)
    options = replace(options, time=rest, patience=patience, keeps_corpus=False)
    explained: list[Finding] = []

    def judge(finding: Finding) -> bool:
        new = accept(known, finding)
        if not new:
            explained.append(finding)
        return new

    with FuzzProgress("smoke") as progress:
        ended = run_fuzz(options, progress, judge)
        summary = settle(known, ended)
    explained += [one for one in ended.findings if one not in summary.findings]
    for findings, are_known in ((summary.findings, False), (explained, True)):
        for one in findings:
            left = seconds - limit.spent - last / 2
            choice = Choice(options.left, options.right)
            case.shown.append(finding_shown(one, choice, are_known, left))
    check_sight(summary, FEW if options.runs else 1)
    case.seconds = summary.seconds
    if summary.interrupted and not case.shown:
        case.skipped = "interrupted"
    outcome.cases.append(case)
    return summary


def _status(outcome: Outcome, summary: Summary | None) -> int:
    """What the documentation of the command says."""
    if any(one.error for one in replays_of(outcome)):
        return 2
    if any(outcome.shown(known=False)):
        return 1
    return 0 if summary is not None and summary.executions else INTERRUPTED
