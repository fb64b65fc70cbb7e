# SPDX-License-Identifier: GPL-2.0-only
"""What a smoke test says in the end: for people, and as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from ..ci.outcome import FUZZ, Case, Outcome, Shown
from ..fuzz.stats import Summary
from .fuzzing import report_text

NAMED = 3
"""Programs that are named beside the first one that shows the same."""


def replays_text(outcome: Outcome) -> str:
    """What came of the replays: a line, and one for each program that cannot be run."""
    replays = replays_of(outcome)
    run = [one for one in replays if not (one.error or one.skipped or one.unfit)]
    parts = [f"replayed {len(run)} programs", f"{sum(bool(one.shown) for one in run)} diverge"]
    if unfit := sum(bool(one.unfit) for one in replays):
        parts.append(f"{unfit} are not for these sides")
    if skipped := [one.skipped for one in replays if one.skipped]:
        parts.append(f"{len(skipped)} were not replayed: {skipped[0]}")
    return "\n".join([", ".join(parts), *(one.error for one in replays if one.error)])


def replays_of(outcome: Outcome) -> list[Case]:
    """All cases but the fuzzer's."""
    return [one for one in outcome.cases if one.group != FUZZ]


def outcome_text(outcome: Outcome, summary: Summary | None) -> str:
    """All of it: each finding as the program and the line that replays it."""
    lines = [replays_text(outcome)]
    by_signature: dict[str, list[Shown]] = {}
    for one in outcome.shown(known=False):
        by_signature.setdefault(one.signature, []).append(one)
    for programs in by_signature.values():
        lines += _finding_lines(programs)
    known = {one.signature for one in outcome.shown(known=True)}
    if known:
        lines.append(f"known to the baseline: {', '.join(sorted(known))}")
    if summary is not None:
        lines.append(report_text(summary, findings=False))
    else:
        fuzz = [one for one in outcome.cases if one.group == FUZZ and one.skipped]
        lines += [f"not fuzzed: {one.skipped}" for one in fuzz]
    if by_signature:
        lines.append(f"smoke: found {', '.join(by_signature)}")
    elif outcome.interrupted:
        lines.append("smoke: interrupted, nothing was found by then")
    else:
        lines.append("smoke: nothing was found" if outcome.over else "")
    return "\n".join(lines)


def document(outcome: Outcome, summary: Summary | None) -> dict[str, object]:
    """For --json."""
    replays = replays_of(outcome)
    return {
        "replayed": sum(not (one.error or one.skipped or one.unfit) for one in replays),
        "unfit": sum(bool(one.unfit) for one in replays),
        "not_replayed": sum(bool(one.skipped) for one in replays),
        "errors": [one.error for one in replays if one.error],
        "findings": [_finding(one) for one in outcome.shown(known=False)],
        "known": [_finding(one) for one in outcome.shown(known=True)],
        "interrupted": outcome.interrupted,
        "seconds": round(outcome.seconds, 3),
        "fuzz": summary,
    }


def _finding(shown: Shown) -> dict[str, object]:
    return {
        "signature": shown.signature,
        "oracle": shown.oracle,
        "detail": shown.detail,
        "program": shown.program,
        "line": shown.line,
        "known": shown.known,
        "replay": shown.replay,
    }


def _finding_lines(programs: list[Shown]) -> Iterator[str]:
    first, *others = programs
    yield f"{first.signature}: {first.detail}"
    yield from (f"    {line}" for line in first.text.rstrip().split("\n"))
    yield f"  {first.replay}"
    if others:
        named = ", ".join(one.program for one in others[:NAMED])
        more = f" and {len(others) - NAMED} more" if len(others) > NAMED else ""
        yield f"  the same: {named}{more}"
