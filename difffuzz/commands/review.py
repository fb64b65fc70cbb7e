# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz review`: what a reviewer would post about a change of the kernel."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..files.notes import text_of
from ..program import parse
from ..review.page import page
from ..review.review import SHARES, Difference, Review, Reviewer, made_by_fuzzing
from ..review.subject import open_subject
from ..shipped import CORPUS
from ..triage.baseline import read_baseline
from .limit import Limit
from .output import Json, emit, prepare_directory, write_text
from .progress import Progress, note
from .screen import FuzzProgress

REVIEW_SECONDS = 300.0
SHOWN_LINES = 12
SHOWN_DETAIL = 400
VERDICTS = {
    "equal": "no functional change was found",
    "differs": "the change makes a difference",
    "cannot tell": "cannot tell: too little of the change ran",
}


def review(
    what: Annotated[
        str,
        typer.Argument(metavar="PATCH|MBOX|RANGE", help="The change; a range of git's commits."),
    ],
    tree: Annotated[Path, typer.Option(metavar="DIR", help="The kernel tree.")],
    seconds: Annotated[
        float, typer.Option("--time", min=1.0, help="Seconds, without the builds.")
    ] = (REVIEW_SECONDS),
    baseline: Annotated[
        Path | None, typer.Option(help="Findings that are known besides those of the tree before.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Programs that show a difference go here.")] = Path(
        "out/review"
    ),
    html: Annotated[Path | None, typer.Option(help="Write a page, too.")] = None,
    json: Json = False,
) -> None:
    """Review a change of KVM's MMU: is it a functional change, and what does it break?

    Builds the tree before and after, runs both side by side, fuzzes the one after, and tells what
    is not so before. Exit status 1: they differ; 0: they do not, or nothing can be said.
    """
    prepare_directory(out)
    known = read_baseline(baseline) if baseline else []
    corpus = CORPUS if CORPUS.is_dir() else None
    with open_subject(what, tree.resolve()) as subject:
        reviewer = Reviewer(subject, tree.resolve(), corpus, known, note)
        with Limit(seconds) as limit:
            for part in parts(reviewer, seconds, limit):
                note(part)
                if limit.interrupted or not reviewer.review.complete:
                    break
        result = reviewer.review
        result.seconds = round(limit.spent, 1)
        result.complete &= not limit.interrupted
    paths = [write(one, number, out) for number, one in enumerate(result.differences)]
    if html is not None:
        write_text(html, page(result, VERDICTS[result.verdict], paths))
    document = {**msgspec.to_builtins(result), "verdict": result.verdict}
    emit(document, "\n".join(lines_of(result, paths)), json)
    raise typer.Exit(1 if result.differences else 0)


def parts(reviewer: Reviewer, seconds: float, limit: Limit) -> Iterator[str]:
    """Does one part of the review after the other; says of each what came of it."""
    result = reviewer.review
    with Progress() as progress:
        over = until(limit, SHARES[0] * seconds, result, progress)
        reviewer.side_by_side(reviewer.given(), over)
    yield f"side by side: {result.programs} programs, {len(result.differences)} differences"
    with FuzzProgress("review") as screen:
        folder = reviewer.fuzz(SHARES[1] * seconds, screen)
    try:
        yield f"fuzzed: {result.executions} executions, {len(result.differences)} differences"
        with Progress() as progress:
            over = until(limit, seconds - limit.spent, result, progress)
            reviewer.side_by_side(made_by_fuzzing(folder), over)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    yield f"side by side: {result.programs} programs, {len(result.differences)} differences"


def until(limit: Limit, seconds: float, result: Review, progress: Progress) -> Callable[[], bool]:
    """Ends a part after its share of the time, and shows how far it is."""
    end = limit.spent + seconds

    def over() -> bool:
        done = result.programs
        progress.show(f"{limit.clock}: side by side, {done} programs before")
        return limit.interrupted or limit.spent >= end

    return over


def write(one: Difference, number: int, out: Path) -> Path:
    """Writes the program of a difference, with notes; where it is."""
    notes = {"left": one.left, "right": one.right, "detail": one.detail}
    if one.kind == "finding":
        notes = {"signature": one.what, "oracle": one.what.partition(":")[0], **notes}
    path = out / f"{number}-{one.kind}.difffuzz"
    write_text(path, text_of(parse(one.program, str(path)), notes))
    return path


def lines_of(result: Review, paths: list[Path]) -> list[str]:
    """What a reviewer would post."""
    lines = [
        f"{result.title}",
        f"Linux {result.version}: {VERDICTS[result.verdict]}",
        f"  {result.programs} programs and {result.schedules} schedules side by side, "
        f"{result.executions} executions fuzzed, {result.seconds:.0f} s",
        f"  {result.reached_lines} of {result.changed_lines} changed lines with code ran",
    ]
    if result.not_reached:
        lines.append(f"    not: {some(result.not_reached)}")
    if result.outside:
        lines.append(f"  not in the library, so not tried: {some(result.outside)}")
    if result.known:
        lines.append(f"  {len(result.known)} findings are there without the change, too")
    if not result.complete:
        lines.append("  interrupted: this is what there was by then")
    for one, path in zip(result.differences, paths, strict=True):
        lines += ["", f"{one.kind}: {one.left} against {one.right}: {one.what}"]
        lines.append(f"  {cut(one.detail)}")
        if one.schedule is not None:
            lines.append(f"  its threads run at once, schedule {one.schedule}")
        lines.append(f"  {path}:")
        lines += [f"    {line}" for line in one.program.rstrip().split("\n")]
    return lines


def some(names: list[str]) -> str:
    """A few of the names."""
    more = f" and {len(names) - SHOWN_LINES} more" if len(names) > SHOWN_LINES else ""
    return ", ".join(names[:SHOWN_LINES]) + more


def cut(text: str) -> str:
    """As much of a detail as a person reads."""
    return text if len(text) <= SHOWN_DETAIL else f"{text[:SHOWN_DETAIL]}..."
