# SPDX-License-Identifier: GPL-2.0-only
"""What `variant diff` does with two models, and how it tells what it saw."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..engine.equivalence import Budget, Comparison, Difference
from ..program import parse, render
from ..sides import open_marked
from ..variants.catalogue import catalogue
from .comparing import read_programs
from .limit import Limit
from .output import write_text
from .progress import Progress

MISSED = 12
"""Changed statements never run that the text names."""


def compare_models(
    left: str,
    right: str,
    sides: list[tuple[str, str]],
    files: list[Path] | None,
    budget: Budget,
    seed: int,
    out: Path,
    limit: Limit,
) -> tuple[dict[str, Any], str]:
    """Compares the pairs of sides; the document for programs and the text for people.

    What differs is on disk as soon as it is found.
    """
    programs = read_programs(files)
    if files is None:
        programs += [parse(bug.program, bug.id) for bug in catalogue() if bug.program]
    comparisons = [_open(*pair) for pair in sides]
    found: list[dict[str, Any]] = []
    with Progress() as progress:
        for number, comparison in enumerate(comparisons):
            over = limit.share(len(comparisons) - number)
            watch = _Watch(comparison, over, out, limit, progress)
            comparison.run(programs, budget, seed, watch.stop)
            found += watch.write()
    seconds = round(limit.spent, 1)
    equal: Counter[str] = Counter()
    for comparison in comparisons:
        equal += comparison.equal
    document = {
        "left": left,
        "right": right,
        "programs": sum(one.programs for one in comparisons),
        "schedules": sum(one.schedules for one in comparisons),
        "explored": sum(one.explored for one in comparisons),
        "explored_completely": sum(one.complete for one in comparisons),
        "agreed": sum(one.agreed for one in comparisons),
        "cut_short": sum(one.cut for one in comparisons),
        "equal": dict(sorted(equal.items())),
        "changed": {name: _changed(comparisons, at) for at, name in ((0, left), (1, right))},
        "differences": found,
        "seconds": seconds,
        "complete": not any(one.stopped for one in comparisons),
        "interrupted": limit.interrupted,
    }
    return document, _text(document, limit.reason)


class _Watch:
    """Shows how far a comparison is, writes what it finds, and ends it."""

    def __init__(
        self,
        comparison: Comparison,
        over: Callable[[], bool],
        out: Path,
        limit: Limit,
        progress: Progress,
    ) -> None:
        self._comparison = comparison
        self._over = over
        self._out = out
        self._limit = limit
        self._progress = progress
        self._written: dict[int, tuple[Difference, dict[str, Any]]] = {}
        """By the difference's number; it is written again when it was shrunk."""

    def stop(self) -> bool:
        """Asked between two runs."""
        self.write()
        one = self._comparison
        self._progress.show(
            f"{self._limit.clock}: {one.right.name}: {one.programs} programs, "
            f"{one.schedules} schedules, {len(one.differences)} differences"
        )
        return self._over()

    def write(self) -> list[dict[str, Any]]:
        """Writes what is new; what the document says of all of it."""
        for number, one in enumerate(self._comparison.differences):
            known = self._written.get(number)
            if known is None or known[0] is not one:
                document = _written(self._comparison, number, one, self._out)
                self._written[number] = one, document
        return [document for _, document in self._written.values()]


def _open(left: str, right: str) -> Comparison:
    one, ours = open_marked(left, right)
    other, theirs = open_marked(right, left)
    return Comparison(one, other, (ours, theirs))


def _changed(comparisons: list[Comparison], at: int) -> dict[str, Any]:
    """Of one variant: how many of its changed statements ran with either MMU, and which never."""
    marks = comparisons[0].marks[at]
    missed = set(marks.missed())
    for comparison in comparisons[1:]:
        missed &= set(comparison.marks[at].missed())
    return {
        "statements": len(marks.known),
        "ran": len(marks.known) - len(missed),
        "missed": [f"{path}:{line}" for path, line in sorted(missed)],
    }


def _written(comparison: Comparison, number: int, one: Difference, out: Path) -> dict[str, Any]:
    """Writes a difference's program; what the document says of it."""
    name = "".join(c if c.isalnum() or c in "-." else "-" for c in comparison.right.name)
    path = out / f"{name}-{number}.difffuzz"
    write_text(path, f"{render(one.program)}# {one.how}: {one.disagreement.text}\n")
    return {
        "left": comparison.left.name,
        "right": comparison.right.name,
        "program": str(path),
        "schedule": None if one.how == "lockstep" else one.how,
        "what": one.disagreement.what,
        "detail": one.disagreement.text,
    }


def _text(document: dict[str, Any], why: str) -> str:
    found = document["differences"]
    verdict = f"{len(found)} differences" if found else "no difference"
    equal = document["equal"]
    lines = [
        f"{document['left']} and {document['right']}: {verdict}, {document['seconds']:.0f} s",
        f"  {document['programs']} programs one operation at a time, {document['schedules']} "
        f"schedules, {document['explored']} programs explored "
        f"({document['explored_completely']} completely, two preemptions)",
        *([] if document["complete"] else [f"  not all that was asked for: {why}"]),
        *([f"  {cut} runs were too long and cut short"] if (cut := document["cut_short"]) else []),
        "  equal: " + ", ".join(f"{count} {name}" for name, count in equal.items()),
    ]
    for name, one in document["changed"].items():
        lines.append(f"  changed in {name}: {one['ran']} of {one['statements']} statements ran")
        never = one["missed"]
        if never:
            more = f" and {len(never) - MISSED} more" if len(never) > MISSED else ""
            lines.append(f"    never: {', '.join(never[:MISSED])}{more}")
    for one in found:
        lines.append(f"  {one['program']} ({one['schedule'] or 'lockstep'})")
        lines.append(f"    {one['detail']}"[:300])
    return "\n".join(lines)
