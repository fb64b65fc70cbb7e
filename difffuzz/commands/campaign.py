# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz campaign`: fuzzing that goes on for weeks, in a folder that outlives every process."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ..campaign.cluster.ray_fleet import RayFleet
from ..campaign.config import Config, read_config, write_config
from ..campaign.database import Database
from ..campaign.fleet import Fleet, LocalFleet
from ..campaign.history import read_history
from ..campaign.report import report_text
from ..campaign.status import Status, read_status
from ..campaign.supervisor import Supervisor
from ..errors import UsageError, unwritable
from ..fuzz.out_lock import is_locked
from ..triage.store import Store
from .campaign_screen import SPARKS, campaign_screen, status_line
from .limit import Limit
from .output import Json, emit, write_text
from .progress import Progress, note

POLL_SECONDS = 0.5
SHOW_SECONDS = 2.0
PLAIN_SECONDS = 30.0
"""Between two lines where there is no terminal."""

_RAY = re.compile(r"ray(?:://([^\s:/]+:[0-9]{1,5}))?")

app = typer.Typer(help="Fuzzing that goes on for weeks.")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="The campaign's folder.")]


@app.callback()
def campaign() -> None:
    """Fuzzing that goes on for weeks."""


@app.command()
def init(
    folder: Folder,
    native: Annotated[
        list[str] | None, typer.Option(help="A build of the kernel's own code, for its own lane.")
    ] = None,
) -> None:
    """Write DIR/campaign.toml, with comments."""
    try:
        path = write_config(folder, tuple(native or ()))
    except OSError as error:
        raise unwritable(folder, error) from error
    try:
        read_config(folder)
    except BaseException:
        path.unlink()
        raise
    note(f"{path}: change what you like, then 'difffuzz campaign run {folder}'")


@app.command()
def run(
    folder: Folder,
    jobs: Annotated[int | None, typer.Option(min=1, help="Worker processes.")] = None,
    seconds: Annotated[
        float | None, typer.Option("--time", min=1.0, help="Seconds; none: as configured.")
    ] = None,
    fleet: Annotated[
        str,
        typer.Option(
            metavar="local|ray[://HOST:PORT]", help="This machine, or a cluster: docs/cluster.md."
        ),
    ] = "local",
    json: Json = False,
) -> None:
    """Run, or go on with, the campaign of a folder.

    Ctrl-C ends it with everything on disk; so does 'campaign stop'. Exit status 1: there are
    findings that are neither known nor closed.
    """
    config = _changed(read_config(folder), jobs, seconds)
    made = _fleet(fleet, folder, config)
    with Limit(0) as limit, Progress(plain_seconds=PLAIN_SECONDS) as progress:
        supervisor = Supervisor(folder, config, made, progress.say)
        try:
            supervisor.start()
            _watch(supervisor, limit, progress)
            supervisor.finish()
        finally:
            supervisor.close()
    status = read_status(folder)
    emit(status, status_line(status), json)
    raise typer.Exit(1 if status.findings else 0)


@app.command()
def status(folder: Folder, json: Json = False) -> None:
    """Say what a campaign is doing and has done."""
    found = read_status(folder)
    lines = [status_line(found)]
    lines += [
        f"  worker {one.place}: {one.state} in {one.lane}, {one.executions:,} executions"
        + (f": {one.failure}" if one.failure else "")
        for one in found.workers
    ]
    lines += [
        f"  lane {one.lane}: {one.share:.0%} of the time, {one.rate:.2f} new features a CPU second,"
        f" {one.executions:,} executions"
        for one in found.lanes
    ]
    lines += [f"  {one.kind}: {one.text}" for one in found.events[-5:]]
    emit(found, "\n".join(lines), json)


@app.command()
def pause(folder: Folder) -> None:
    """Have a running campaign's workers stop where they are."""
    _wish(folder, "pause")


@app.command()
def resume(folder: Folder) -> None:
    """Have a paused campaign go on."""
    _wish(folder, "resume")


@app.command()
def stop(folder: Folder) -> None:
    """Have a running campaign end; 'campaign run' goes on with it later."""
    _wish(folder, "stop")


@app.command()
def report(
    folder: Folder,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="A file; none: standard output.")
    ] = None,
    json: Json = False,
) -> None:
    """Tell what a campaign did and found, as Markdown."""
    found = read_status(folder)
    with Store(folder) as store:
        records = store.all()
    text = report_text(found, records)
    if output is None:
        emit(found, text, json)
    else:
        write_text(output, text)


def _watch(supervisor: Supervisor, limit: Limit, progress: Progress) -> None:
    """Until the run is over; shows it meanwhile."""
    next_show = 0.0
    while supervisor.poll():
        if limit.interrupted:
            supervisor.stop_asked = "interrupted"
            return
        if time.monotonic() >= next_show:
            next_show = time.monotonic() + SHOW_SECONDS
            found = _live(supervisor)
            reading = Database(supervisor.folder, reading=True)
            history = read_history(reading, points=SPARKS)
            reading.close()
            busy = supervisor.chores.busy
            progress.show(
                status_line(found),
                lambda: campaign_screen(found, history, busy),  # noqa: B023
            )
        time.sleep(POLL_SECONDS)


def _live(supervisor: Supervisor) -> Status:
    found = read_status(supervisor.folder)
    found.state = supervisor.state
    return found


def _fleet(name: str, folder: Path, config: Config) -> Fleet:
    """UsageError: there is no such fleet."""
    if name == "local":
        return LocalFleet(folder, config)
    found = _RAY.fullmatch(name)
    if found is None:
        raise UsageError(f"--fleet {name}: expected local, ray or ray://HOST:PORT")
    return RayFleet(folder, config, found[1] or "")


def _changed(config: Config, jobs: int | None, seconds: float | None) -> Config:
    """The configuration with what the command line says instead."""
    if jobs is not None:
        config = msgspec.structs.replace(config, jobs=jobs)
    if seconds is not None:
        config = msgspec.structs.replace(config, time=seconds)
    return config


def _wish(folder: Path, what: str) -> None:
    """UsageError: no campaign runs there."""
    read_status(folder)
    if not is_locked(folder):
        raise UsageError(f"{folder}: no campaign runs there")
    database = Database(folder)
    try:
        database.put("wish", at=time.time(), what=what)
    finally:
        database.close()
    note(f"{folder}: asked to {what}")
