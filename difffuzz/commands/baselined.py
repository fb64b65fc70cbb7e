# SPDX-License-Identifier: GPL-2.0-only
"""`--baseline`: findings that are known are counted, and not told again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..errors import MissingTool, UsageError
from ..files.program_file import read_program
from ..fuzz.findings import Finding
from ..fuzz.stats import Summary
from ..sides.names import NATIVE, parse_name
from ..triage.baseline import Baseline, read_baseline
from ..triage.record import Event, State
from ..triage.store import Store, now
from .progress import note

BaselineOption = Annotated[
    str | None,
    typer.Option(
        "--baseline",
        metavar="FILE|native:NAME",
        help="Known findings (see 'findings export --baseline'), or a build of the tree before.",
    ),
]


def open_baseline(value: str | None, left: str, right: str, mode: str) -> Baseline:
    """What --baseline names; without it, a baseline that explains nothing.  UsageError."""
    if value is None:
        return Baseline()
    if not value.startswith(NATIVE):
        return Baseline(read_baseline(Path(value)))
    build = value.removeprefix(NATIVE)
    before = [
        f"{NATIVE}{build}:{parts.base}" if (parts := parse_name(name)).build is not None else name
        for name in (left, right)
    ]
    if before == [left, right]:
        raise UsageError(f"--baseline {value}: neither {left} nor {right} is another build")
    return Baseline(before=(before[0], before[1], mode))


def accept(baseline: Baseline, finding: Finding) -> bool:
    """True if nothing explains the finding."""
    return not baseline.explains(finding.signature, read_program(Path(finding.program)))


def settle(baseline: Baseline, summary: Summary) -> Summary:
    """The summary without what is known, once findings are shrunk; the store says `known` of it."""
    told = [one for one in summary.findings if accept(baseline, one)]
    try:
        _tell_store(baseline, Path(summary.out))
    except (UsageError, MissingTool) as error:
        note(f"{error} (the findings themselves are below {summary.out})")
    return msgspec.structs.replace(summary, findings=told, explained=sorted(baseline.explained))


def _tell_store(baseline: Baseline, out: Path) -> None:
    with Store(out) as store:
        store.take_over()
        for record in store.all() if baseline.explained else ():
            if record.state is State.NEW and baseline.explains(record.signature, record.parsed()):
                record.state = State.KNOWN
                store.put(record, Event(now(), "state", "known: the baseline explains it"))
