# SPDX-License-Identifier: GPL-2.0-only
"""Kills processes of a campaign at random moments, and looks whether anything is lost.

A worker, the supervisor, the minimiser, another chore or the dashboard beside it is killed as by
`kill -9`.  Then: where the supervisor died, no process is left over; the run goes on or begins
again, both databases are whole, and every finding and every entry of the corpus that was on disk
before is there; a dashboard shows the campaign, whoever died.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.request import urlopen

import msgspec

from ...campaign.config import FILE, write_config
from ...campaign.database import FILE as CAMPAIGN
from ...campaign.entries import CORPUS
from ...files.notes import notes_of
from ...fuzz.findings import FINDINGS, SUFFIX
from ...fuzz.news import input_name
from ...script import end, note
from ...triage.store import FILE as STORE
from .processes import below, left_over

BUGS = "1b2dc7360463+b3e6212dea2e+fcb93eb6d09d"
"""Of the catalogue: there are findings to lose, soon."""
VICTIMS = ("worker", "supervisor", "supervisor", "shrink", "chore", "dashboard", "any")
ORPHAN_SECONDS = 15.0
START_SECONDS = 60.0
LIFE_SECONDS = 8.0
"""Between a start and a death, at most."""


class Lost(Exception):
    """What should not have happened."""


class Campaign:
    """A campaign that runs in a process of its own; chores come often."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / FILE).exists():
            path = write_config(folder)
            text = path.read_text()
            for name, value in (
                ('left = "legacy"', f'left = "legacy+{BUGS}"'),
                ('right = "tdp"', f'right = "tdp+{BUGS}"'),
                ("turn = 300.0", "turn = 3.0"),
                ("minimize_every = 3600.0", "minimize_every = 4.0"),
                ("retest_every = 3600.0", "retest_every = 3.0"),
                ("shrink_seconds = 60.0", "shrink_seconds = 3.0"),
            ):
                assert name in text
                text = text.replace(name, value)
            path.write_text(text)
        self.process: subprocess.Popen[bytes] | None = None
        self.dashboard: subprocess.Popen[str] | None = None
        self.address = ""

    def start(self) -> int:
        """Starts it if it does not run; its process."""
        if self.process is None:
            command = [sys.executable, "-m", "difffuzz", "campaign", "run", str(self.folder)]
            with (self.folder / "said.log").open("ab") as log:
                self.process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            self.wait_for(lambda: bool(self.of("worker")), "a worker")
        return self.process.pid

    def show(self) -> None:
        """Starts a dashboard beside it if there is none."""
        if self.dashboard is None:
            command = [sys.executable, "-m", "difffuzz", "serve", "--port", "0", str(self.folder)]
            self.dashboard = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
            )
            assert self.dashboard.stdout is not None
            self.address = self.dashboard.stdout.readline().strip()

    def of(self, kind: str) -> list[int]:
        """The processes of a kind."""
        assert self.process is not None
        every = below(self.process.pid)
        beside = self.of_dashboard()
        if kind == "supervisor":
            return [self.process.pid]
        if kind == "dashboard":
            return beside
        if kind == "chore":
            return [one.pid for one in every if one.kind in ("retesting", "measuring", "cover")]
        if kind == "any":
            return [*(one.pid for one in every if one.kind), self.process.pid, *beside]
        return [one.pid for one in every if one.kind == kind]

    def of_dashboard(self) -> list[int]:
        """The process that shows the campaign."""
        return [self.dashboard.pid] if self.dashboard is not None else []

    def wait_for(self, what: Callable[[], bool], name: str) -> None:
        """Until it is so.  Lost: it does not come."""
        last = time.monotonic() + START_SECONDS
        while not what():
            if self.process is not None and self.process.poll() is not None:
                said = (self.folder / "said.log").read_text(errors="replace").splitlines()[-1:]
                raise Lost(f"the run ended with {self.process.returncode}: {said}")
            if time.monotonic() > last:
                raise Lost(f"no {name} within {START_SECONDS:.0f} s")
            time.sleep(0.05)

    def shown(self) -> None:
        """Lost: the dashboard does not show the campaign."""
        try:
            with urlopen(f"{self.address}api/c/0", timeout=START_SECONDS) as answer:
                state = msgspec.json.decode(answer.read())["status"]["state"]
        except OSError as error:
            raise Lost(f"the dashboard at {self.address!r} does not answer: {error}") from error
        if state not in ("running", "paused"):
            raise Lost(f"the dashboard says that the campaign is {state}")

    def kill(self) -> None:
        """Ends everything at once."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self.dashboard is not None:
            self.dashboard.kill()
            self.dashboard.communicate()

    def stop(self) -> None:
        """Ends it as Ctrl-C does, and the dashboard as whoever started it does."""
        if self.dashboard is not None:
            self.dashboard.terminate()
            self.dashboard.communicate(timeout=30)
            status, self.dashboard = self.dashboard.returncode, None
            if status:
                raise Lost(f"the dashboard ended with {status}")
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(120)
            self.process = None


def kill_one(campaign: Campaign, kind: str, rng: random.Random) -> str:
    """One death, and all that must be so after it; who died: another one if there is no such."""
    victim, kind = _victim(campaign, kind, rng)
    findings, entries = _findings(campaign.folder), _entries(campaign.folder)
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:  # its work was done just now
        return kill_one(campaign, "worker", rng)
    assert campaign.process is not None
    if kind == "supervisor":
        campaign.process.wait()
        campaign.process = None
        _no_orphans(campaign.folder, campaign.of_dashboard())
        _whole(campaign.folder)
        campaign.start()
    elif kind == "dashboard":
        assert campaign.dashboard is not None
        campaign.dashboard.communicate()
        campaign.dashboard = None
        campaign.show()
    elif kind == "worker":
        campaign.wait_for(lambda: bool(set(campaign.of("worker")) - {victim}), "new worker")
    campaign.shown()
    lost = findings - _findings(campaign.folder)
    if lost:
        raise Lost(f"findings are gone after the death of {kind}: {sorted(lost)}")
    campaign.wait_for(
        lambda: not entries - _entries(campaign.folder) - _known(campaign.folder),
        "entry of the corpus that was there",
    )
    return kind


def _victim(campaign: Campaign, kind: str, rng: random.Random) -> tuple[int, str]:
    campaign.start()
    campaign.show()
    assert campaign.process is not None
    victims = campaign.of(kind) or campaign.of("worker")
    victim = rng.choice(victims or campaign.of("supervisor"))
    if victim == campaign.process.pid:
        return victim, "supervisor"
    if victim in campaign.of_dashboard():
        return victim, "dashboard"
    return victim, next(
        (one.kind for one in below(campaign.process.pid) if one.pid == victim), kind
    )


def _findings(folder: Path) -> set[str]:
    """Signatures of the program files."""
    found = set()
    for path in (folder / FINDINGS).glob(f"*{SUFFIX}"):
        if not path.name.startswith("."):
            found.add(notes_of(path.read_text()).get("signature", ""))
    return found


def _entries(folder: Path) -> set[str]:
    """Names of the files of the corpus that are whole."""
    found = set()
    for path in (folder / CORPUS).glob("*"):
        try:
            if input_name(path.read_bytes()) == path.name:
                found.add(path.name)
        except OSError:
            continue
    return found


def _known(folder: Path) -> set[str]:
    """Entries of which the database has the content."""
    database = sqlite3.connect(f"{(folder / CAMPAIGN).absolute().as_uri()}?mode=ro", uri=True)
    try:
        return {name for (name,) in database.execute("SELECT name FROM entry")}
    finally:
        database.close()


def _no_orphans(folder: Path, beside: Sequence[int] = ()) -> None:
    """`beside`: processes that do not belong to the run."""
    last = time.monotonic() + ORPHAN_SECONDS
    while left := [one for one in left_over(folder) if one.pid not in beside]:
        if time.monotonic() > last:
            raise Lost(f"processes are left over: {left}")
        time.sleep(0.1)


def _whole(folder: Path) -> None:
    for name in (CAMPAIGN, STORE):
        if (folder / name).exists():
            database = sqlite3.connect(folder / name)
            said = database.execute("PRAGMA integrity_check").fetchone()[0]
            database.close()
            if said != "ok":
                raise Lost(f"{name}: {said}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Status 1: something was lost."""
    parser = argparse.ArgumentParser(prog="scripts/campaign-deaths", description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="the campaign's folder; none: a temporary one")
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    folder = options.out or Path(tempfile.mkdtemp(prefix="difffuzz-deaths-"))
    campaign = Campaign(folder)
    died: Counter[str] = Counter()
    began = time.monotonic()
    try:
        for number in range(options.moments):
            campaign.start()
            time.sleep(rng.uniform(0.0, LIFE_SECONDS))
            who = kill_one(campaign, rng.choice(VICTIMS), rng)
            died[who] += 1
            note(f"{number + 1}: {who}")
        campaign.stop()
        _no_orphans(folder)
        _whole(folder)
    except Lost as lost:
        print(f"LOST, in {folder}: {lost}")
        return 1
    finally:
        campaign.kill()
    each = ", ".join(f"{count} {name}" for name, count in sorted(died.items()))
    print(
        f"{sum(died.values())} deaths ({each}) in {time.monotonic() - began:.0f} s: nothing lost;"
        f" {len(_findings(folder))} findings, {len(_known(folder))} entries in {folder}"
    )
    return 0


if __name__ == "__main__":
    end("scripts/campaign-deaths", main)
