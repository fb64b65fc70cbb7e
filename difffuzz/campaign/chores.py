# SPDX-License-Identifier: GPL-2.0-only
"""Work beside fuzzing, one process at a time: shrinking, re-tests, measuring the corpus."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ..files.notes import notes_of
from ..fuzz.findings import FINDINGS, PENDING, SUFFIX
from ..running.orphan import parent_note
from ..sides.names import portable_name
from .config import Config

TRIES: Final = 3
"""For shrinking a finding: each time the process may be killed."""
MEASURE_SECONDS: Final = 300.0
"""Between two measurements of what new entries of the corpus reach."""
NICE: Final = ("nice", "-n", "5")


@dataclass(frozen=True, slots=True)
class Chore:
    """A process to run; `subject`: the file of a finding that is shrunk."""

    name: str
    command: tuple[str, ...]
    subject: Path | None = None


class Chores:
    """What is to be done, what is being done; shrinking comes first."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._folder = folder
        self._config = config
        self._waiting: deque[Chore] = deque()
        self._tried: Counter[Path] = Counter()
        self._sides = sides_of(config)
        self._process: subprocess.Popen[bytes] | None = None
        self._current: Chore | None = None
        self._every = {
            "retest": config.retest_every,
            "minimize": config.minimize_every,
            "measure": MEASURE_SECONDS,
        }
        begin = time.monotonic()
        self._next = {name: begin + seconds for name, seconds in self._every.items()}

    @property
    def busy(self) -> str:
        """The name of what goes on; empty if nothing."""
        return "" if self._current is None else self._current.name

    @property
    def waiting(self) -> int:
        """Findings that are yet to be shrunk."""
        return sum(one.name == "shrink" for one in self._waiting)

    def look_for_findings(self) -> None:
        """Queues each finding that is not shrunk, or not to its end."""
        queued = {one.subject for one in self._waiting}
        if self._current is not None:
            queued.add(self._current.subject)
        for path in sorted((self._folder / FINDINGS).glob(f"*{SUFFIX}")):
            if path in queued or path.name.startswith(PENDING) or self._tried[path] >= TRIES:
                continue
            notes = notes_of(path.read_text(errors="replace"))
            sides = notes.get("left", ""), notes.get("right", "")
            if sides in self._sides and not _is_shrunk(notes):
                self._waiting.append(self._shrink(path, notes))

    def poll(self) -> Chore | None:
        """Starts the next one when there is room; one that has just ended."""
        ended = None
        if self._process is not None and self._process.poll() is not None:
            ended, self._process, self._current = self._current, None, None
        if self._process is None:
            self._due()
            if self._waiting:
                self._start(self._waiting.popleft())
        return ended

    def drained(self) -> bool:
        """Nothing is being shrunk or waits for it."""
        return self.busy != "shrink" and not self.waiting

    def kill(self) -> None:
        """Ends what goes on at once: every file is whole at every moment."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _due(self) -> None:
        """What comes again and again."""
        now = time.monotonic()
        for name, seconds in self._every.items():
            if seconds and now >= self._next[name] and not self._waiting:
                self._next[name] = now + seconds
                module = "retesting" if name == "retest" else "measuring"
                extra = ("--minimize",) if name == "minimize" else ()
                command = (f"difffuzz.campaign.{module}", str(self._folder), *extra)
                self._waiting.append(Chore(name, command))

    def _shrink(self, path: Path, notes: dict[str, str]) -> Chore:
        command = ["difffuzz.shrink", "--left", notes["left"], "--right", notes["right"]]
        command += ["--mode", notes.get("mode", "portfolio"), "--signature", notes["signature"]]
        command += ["--seconds", str(self._config.shrink_seconds), str(path)]
        return Chore("shrink", tuple(command), path)

    def _start(self, chore: Chore) -> None:
        if chore.subject is not None:
            self._tried[chore.subject] += 1
        with (self._folder / "work" / "chores.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*NICE, sys.executable, "-m", *chore.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **parent_note()},
            )
        self._current = chore


def sides_of(config: Config) -> set[tuple[str, str]]:
    """Left and right of each lane, as notes name them: a file's notes choose among these only."""
    return {(portable_name(lane.left), portable_name(lane.right)) for lane in config.lane}


def _is_shrunk(notes: dict[str, str]) -> bool:
    """Or is of a kind that is never shrunk: no finding."""
    if "signature" not in notes:
        return True
    shrunk = notes.get("shrunk", "")
    return bool(shrunk) and not shrunk.endswith("so far")
