# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz corpus sweep`: every schedule with one departure of a corpus' concurrent programs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import msgspec

from ..errors import unwritable
from ..files.collection import some_program_files
from ..fuzz.findings import FINDINGS
from ..fuzz.out_lock import OutLock
from ..fuzz.sweeps import NOTES, Claims, Sweeper, SweepNotes
from ..program.model import RUN_TO_BLOCK
from ..running.runner import Runner
from ..sides.identity import identity, side_notes
from .kept import Kept
from .limit import Limit
from .output import emit, prepare_directory
from .progress import Progress


class Found(msgspec.Struct, frozen=True):
    """A divergence that a schedule shows."""

    signature: str
    oracle: str
    program: str
    """Its file; the program has the schedule."""
    detail: str


class SweepDocument(msgspec.Struct, forbid_unknown_fields=True):
    """The JSON document of `difffuzz corpus sweep`."""

    left: str
    right: str
    programs: int
    """Concurrent ones that the notes did not have yet."""
    swept: int
    """Of these, in this run."""
    schedules: int
    """Runs of both sides."""
    complete: bool
    interrupted: bool
    seconds: float
    findings: list[Found] = []


def sweep_corpus(
    directory: Path, left: str, right: str, out: Path, seconds: float, json: bool
) -> int:
    """Sweeps what OUT's notes do not have; the number of findings."""
    some_program_files(directory)
    run = Runner(left, right)
    prepare_directory(out)
    notes = SweepNotes(out / NOTES, identity(left), identity(right))
    sides = {**side_notes(left, right), "mode": "portfolio"}
    found: list[Found] = []
    lock = OutLock(out)
    try:
        with (
            tempfile.TemporaryDirectory() as claims,
            Kept(out / FINDINGS, sides) as kept,
            Limit(seconds) as limit,
            Progress() as progress,
        ):
            sweeper = Sweeper(run, notes, Claims(Path(claims)), [directory])
            programs = sweeper.left
            swept = schedules = 0
            while not limit.over() and (met := sweeper.next(limit.over)) is not None:
                program, one = met
                swept += one.complete
                schedules += one.schedules
                for divergence, schedule in one.shown:
                    signature = divergence.signature
                    if signature not in kept.paths:
                        scheduled = program._replace(schedule=schedule or RUN_TO_BLOCK)
                        kept.add(scheduled, signature, divergence.oracle, divergence.detail)
                        where = str(kept.where(signature))
                        found.append(Found(signature, divergence.oracle, where, divergence.detail))
                        progress.say(f"sweep: finding {signature}: {where}")
                sweeper.done(program, one)
                progress.show(
                    f"sweep: {limit.clock}, {swept} of {programs} programs, {schedules} schedules, "
                    f"{len(found)} findings"
                )
    except OSError as error:
        raise unwritable(out, error) from error
    finally:
        lock.close()
    document = SweepDocument(
        left=left,
        right=right,
        programs=programs,
        swept=swept,
        schedules=schedules,
        complete=swept == programs,
        interrupted=limit.interrupted,
        seconds=round(limit.spent, 3),
        findings=found,
    )
    end = "" if document.complete else f", not complete ({limit.reason})"
    lines = [
        f"{directory}: {swept} of {programs} programs swept in {limit.spent:.1f} s{end}, "
        f"{schedules} schedules, {len(found)} findings"
    ]
    lines += [f"  {one.signature}: {one.detail}\n    {one.program}" for one in found]
    emit(document, "\n".join(lines), json)
    return len(found)
