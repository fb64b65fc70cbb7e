# SPDX-License-Identifier: GPL-2.0-only
"""One run of a campaign: who works in which lane, and what comes of it goes into the folder.

Everything that matters is on disk at every moment; whoever starts a run finds the folder as the
last one left it, however that ended.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec

from ..errors import MissingTool, UsageError, unwritable
from ..fuzz.corpus import pagings_of
from ..fuzz.findings import FINDINGS, recover
from ..fuzz.log import open_log
from ..fuzz.out_lock import OutLock
from ..fuzz.stream import GENERATED_SEEDS
from ..program import Program, encode, generate
from ..shipped import CORPUS
from ..sides.names import portable_name
from ..triage.record import Record
from .chores import Chores
from .config import Config
from .database import Damaged, Database, open_or_mend
from .disk_space import no_room
from .entries import Entries
from .finds import Finds
from .fleet import Fleet
from .lane_shares import LaneShares
from .ledger import Ledger
from .measuring import COVER, DROP
from .tally import Tally

FIGURES_SECONDS: Final = 1.0
SAMPLE_SECONDS: Final = 10.0
CLOCK_JUMP_SECONDS: Final = 60.0
STOP_SECONDS: Final = 5.0
DRAIN_SECONDS: Final = 20.0
"""How long the end waits for findings that are being shrunk."""


class Supervisor:
    """Make it, start(), poll() until it says False, finish(); close() in any case."""

    def __init__(
        self, folder: Path, config: Config, fleet: Fleet, say: Callable[[str], None]
    ) -> None:
        """`say` gets a line for a person, now and then."""
        self.folder = folder
        self.config = config
        self.tallies: dict[str, Tally] = {}
        """The newest figures, by place."""
        self.state = "starting"
        self.stop_asked = ""
        """Why the run is to end; empty: it goes on."""
        self._fleet = fleet
        self._say = say
        self._lanes = {lane.name: lane for lane in config.lane}
        self.portfolio = LaneShares(list(self._lanes), config.least_share, config.turn)
        self._last: dict[tuple[str, int], Tally] = {}
        self._turns: dict[str, float] = {}
        self._next_figures = self._next_sample = self._next_scan = 0.0
        self._clock = time.time() - time.monotonic()
        self._paused_by: set[str] = set()
        self._wishes = 0
        self._lock: OutLock | None = None
        self._database: Database | None = None

    def start(self) -> None:
        """Takes the folder, mends what a death left undone.  UsageError, MissingTool."""
        folder = self.folder
        self._lock = OutLock(folder)
        try:
            (folder / FINDINGS).mkdir(exist_ok=True)
            recover(folder / FINDINGS, folder / "work" / "claims")
            shutil.rmtree(folder / "work", ignore_errors=True)
            (folder / "work").mkdir()
            self._log, self._log_file = open_log(folder)
            self._database, said = open_or_mend(folder)
            self.entries = Entries(folder, self._database)
            lines = [said, *self.entries.mend()]
            self._begin_with()
            self.finds = Finds(folder, self.config.baseline)
            lines.append(self.finds.said)
            self._fleet.start()
        except OSError as error:
            raise unwritable(Path(error.filename or folder), error) from error
        self.ledger = Ledger(self._database, len(self.entries), len(self.finds.records))
        self._wishes = int(self._database.one("SELECT coalesce(max(id), 0) FROM wish"))
        for line in filter(None, lines):
            self._tell("mended", line)
        taken = f"{len(self.entries)} programs, {len(self.finds.records)} findings are there"
        self._tell("start", taken)
        self.chores = Chores(folder, self.config)
        self.chores.look_for_findings()
        self._deadline = time.monotonic() + self.config.time if self.config.time else 0.0
        self.state = "running"

    def poll(self) -> bool:
        """Looks after everything once; False when the run is over.

        What the disk does not take stays where it is and is tried again.
        """
        if not (self.folder / "work").is_dir():
            raise MissingTool(f"{self.folder / 'work'} was removed while the run used it", "ls")
        try:
            self._look_around()
        except Damaged:
            raise
        except (OSError, MissingTool) as error:
            self._hold("disk", str(error))
        if self._deadline and time.monotonic() >= self._deadline:
            self.stop_asked = self.stop_asked or "its time is over"
        return not self.stop_asked

    def finish(self) -> None:
        """Everybody ends, and findings are shrunk for a moment longer."""
        self.state = "stopping"
        for tally in self._fleet.stop(STOP_SECONDS):
            self._take(tally)
        self.ledger.write(list(self._last.values()))
        self._collect()
        self.chores.look_for_findings()
        deadline = time.monotonic() + DRAIN_SECONDS
        while not self.chores.drained() and time.monotonic() < deadline:
            self.chores.poll()
            time.sleep(0.1)
        self._collect()
        self.ledger.sample(len(self.entries), self.finds.bugs())
        self.ledger.end(self.stop_asked or "stopped")
        self._tell("stop", self.stop_asked or "stopped")
        self.state = "stopped"

    def close(self) -> None:
        """Leaves no process behind."""
        self._fleet.kill()
        if self._database is not None:
            with suppress(AttributeError):  # it ended before it began
                self.chores.kill()
                self.finds.close()
            self._database.close()
            self._log_file.close()
        if self._lock is not None:
            self._lock.close()

    def _look_around(self) -> None:
        now = time.monotonic()
        self._obey()
        self._give_turns(now)
        for tally in self._fleet.poll():
            self._take(tally)
        if now >= self._next_figures:
            self._next_figures = now + FIGURES_SECONDS
            self._hold("room", no_room(self.folder))
            self._look_at_clock()
            self.ledger.write(list(self._last.values()))
            self._forget_ended()
        if now >= self._next_scan:
            self._collect()
            # A folder of many files takes long to read: a fiftieth of the time, at most.
            self._next_scan = time.monotonic() + max(2.0, 50 * (time.monotonic() - now))
        if now >= self._next_sample:
            self._next_sample = now + SAMPLE_SECONDS
            self.ledger.sample(len(self.entries), self.finds.bugs())
        self._do_chores()
        self._hold("disk", "")

    def _give_turns(self, now: float) -> None:
        """Each worker stays in its lane for a turn; then its lane is chosen anew."""
        if self._paused_by:
            return
        chosen = False
        for place in self._fleet.places():
            if now < self._turns.get(place, 0.0):
                continue
            others = [
                one.lane for one in self.tallies.values() if one.place != place and not one.over
            ]
            name = self.portfolio.next_lane(others)
            self._fleet.assign(place, self._lanes[name])
            self.tallies[place] = Tally(place, -1, name)
            self._turns[place] = now + self.config.turn
            chosen = True
        if chosen:
            self.ledger.shares(self.portfolio)

    def _take(self, tally: Tally) -> None:
        """The newest figures of a worker."""
        key = tally.place, tally.number
        before = self._last.get(key, Tally(tally.place, tally.number, tally.lane))
        known = len(before.findings)
        self.entries.hear(tally.lane, tally.news)
        if tally.lane in self.portfolio.accounts:
            features = sum(one.features for one in tally.news)
            self.portfolio.note(tally.lane, max(0.0, tally.cpu - before.cpu), features, 0)
        if tally.failure and tally.failure != before.failure:
            self._tell("failure", f"worker {tally.place} in lane {tally.lane}: {tally.failure}")
        if tally.restarts > before.restarts:
            self._tell("restart", f"worker {tally.place} in lane {tally.lane} died, started again")
        if len(tally.findings) > known:
            self._next_scan = 0.0
        self._last[key] = self.tallies[tally.place] = tally

    def _forget_ended(self) -> None:
        for key in [key for key, one in self._last.items() if one.over]:
            del self._last[key]

    def _collect(self) -> None:
        """New files of the corpus and of findings."""
        self.entries.take_in()
        for record in self.finds.look():
            self._tell(
                "finding",
                f"{record.id} {record.signature}" if not record.hidden else record.id,
                state=record.state.value,
                bug=record.bug,
            )
            lane = self._lane_of(record)
            if lane and record.bug == record.id:
                self.portfolio.note(lane, 0.0, 0, 1)
            self.chores.look_for_findings()

    def _lane_of(self, record: Record) -> str:
        """The lane that has found it; empty if that cannot be said."""
        for lane in self.config.lane:
            sides = portable_name(lane.left), portable_name(lane.right)
            if sides == (record.left, record.right) and lane.mode in ("portfolio", record.mode):
                return lane.name
        return ""

    def _do_chores(self) -> None:
        ended = self.chores.poll()
        if ended is None:
            return
        if ended.name == "shrink":
            self.chores.look_for_findings()
            self._next_scan = 0.0
        elif ended.name == "retest":
            self.finds.refresh()
        elif ended.name == "minimize":
            self._drop()

    def _drop(self) -> None:
        """What a minimisation found to add nothing."""
        path = self.folder / COVER / DROP
        with suppress(OSError, msgspec.DecodeError):
            names = msgspec.json.decode(path.read_bytes(), type=list[str])
            dropped = self.entries.drop(names)
            path.unlink()
            self._tell("minimized", f"{dropped} entries went, {len(self.entries)} are left")

    def _obey(self) -> None:
        """What `campaign pause`, `resume` and `stop` ask for."""
        assert self._database is not None
        for row in self._database.rows("SELECT id, what FROM wish WHERE id > ?", [self._wishes]):
            self._wishes = row["id"]
            if row["what"] == "stop":
                self.stop_asked = "campaign stop"
            else:
                self._hold("user", "as asked" if row["what"] == "pause" else "")

    def _hold(self, who: str, why: str) -> None:
        """Everybody waits as long as there is a reason."""
        held = bool(self._paused_by)
        if why and who not in self._paused_by:
            self._paused_by.add(who)
            self._tell("paused", f"{who}: {why}")
        elif not why:
            self._paused_by.discard(who)
        if bool(self._paused_by) != held:
            self._fleet.pause(not held)
            self.state = "running" if held else "paused"
            if held:
                self._tell("resumed", who)

    def _look_at_clock(self) -> None:
        """Times that are told are the wall clock's; whatever waits goes by another."""
        clock = time.time() - time.monotonic()
        if abs(clock - self._clock) > CLOCK_JUMP_SECONDS:
            self._tell("clock", f"the clock jumped by {clock - self._clock:+.0f} s")
        self._clock = clock

    def _begin_with(self) -> None:
        folders = [self.folder / one for one in self.config.corpus]
        for folder in folders:
            if not folder.is_dir():
                raise UsageError(f"{folder}: expected a directory of programs")
        if not len(self.entries):
            self.entries.add((encode(one), "") for one in self._generated())
        self.entries.begin_with(folders or [CORPUS], "")

    def _generated(self) -> Iterator[Program]:
        """Programs for a campaign that has none yet, every second with threads."""
        each = [pagings_of(lane.left, lane.right) for lane in self.config.lane]
        pagings = sorted({one for pagings in each for one in pagings})
        rng = random.Random(self.config.seed)
        for number in range(GENERATED_SEEDS):
            paging = pagings[number % len(pagings)]
            yield generate(rng, paging=paging, concurrent=number % 4 > 1)

    def _tell(self, kind: str, text: str, **more: str) -> None:
        """A line in the log, in the database, and for a person."""
        self._log.info(kind, text=text, **more)
        self._say(f"{kind}: {text}")
        if self._database is not None:
            with suppress(MissingTool):
                self._database.tell(kind, text)
