# SPDX-License-Identifier: GPL-2.0-only
"""The worker processes of one machine: each in its lane, started again when it dies, later and
later if it keeps dying."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from ..errors import MissingTool
from ..fuzz.news import News, read_news
from ..fuzz.options import FuzzOptions
from ..fuzz.process import WorkerProcess
from .config import Config, Lane
from .tally import Tally, tally_of

BACK_OFF: Final = (1.0, 300.0)
"""Seconds until a worker that failed is started again: the first time, and at most."""
STEADY_SECONDS: Final = 120.0
"""A worker that lived so long has not failed at once: the next time begins at the first."""


class _Post:
    """One worker's place."""

    def __init__(self, place: str) -> None:
        self.place = place
        self.lane: Lane | None = None
        self.process: WorkerProcess | None = None
        self.number = -1
        self.began = 0.0
        self.failure = ""
        self.failures = 0
        self.again_at = 0.0
        self.news_at: dict[Path, int] = {}


class Crew:
    """Works below a folder that has corpus/ and findings/; work/ is made anew."""

    def __init__(self, out: Path, config: Config, places: list[str], first: int = 0) -> None:
        """`first`: the number of the first worker."""
        self.out = out
        self.work = out / "work"
        self._config = config
        self._posts = {place: _Post(place) for place in places}
        self._count = first
        self._began = time.monotonic()
        self._paused = False
        self._over: list[Tally] = []

    @property
    def places(self) -> list[str]:
        """Where a worker can be."""
        return list(self._posts)

    def prepare(self) -> None:
        """Makes the folders that workers use.  OSError."""
        for folder in (self.work / "seeds", self.out / "corpus", self.out / "findings"):
            folder.mkdir(parents=True, exist_ok=True)

    def assign(self, place: str, lane: Lane) -> None:
        """The worker of that place goes to a lane; in the same one it stays what it is."""
        post = self._posts[place]
        if post.lane == lane:
            return
        self._end(post)
        post.lane, post.failures, post.again_at = lane, 0, 0.0
        self._start(post)

    def poll(self) -> list[Tally]:
        """Looks after everybody: the figures of those at work, and once more of those that ended
        since the last time."""
        for post in self._posts.values():
            self._look_after(post)
        over, self._over = self._over, []
        return [*over, *(self._tally(post) for post in self._posts.values() if post.process)]

    def pause(self, on: bool) -> None:
        """Stops every process where it is, or has it go on."""
        self._paused = on
        for post in self._posts.values():
            if post.process is not None and post.process.pid:
                with suppress(ProcessLookupError):
                    os.kill(post.process.pid, signal.SIGSTOP if on else signal.SIGCONT)

    def stop(self, seconds: float) -> None:
        """Asks every process to end, forces those that do not in time."""
        self.pause(False)
        for post in self._posts.values():
            if post.process is not None:
                post.process.stop()
        deadline = time.monotonic() + seconds
        for post in self._posts.values():
            if post.process is not None:
                post.process.wait(max(0.0, deadline - time.monotonic()))
                self._over.append(self._tally(post, "ended"))
                post.process = None
            post.lane = None

    def kill(self) -> None:
        """Ends every process at once."""
        for post in self._posts.values():
            if post.process is not None:
                post.process.kill()

    def _look_after(self, post: _Post) -> None:
        process = post.process
        if process is None:
            if post.lane is not None and not self._paused and time.monotonic() >= post.again_at:
                self._start(post)
            return
        process.poll()
        if process.alive:
            return
        if process.failure is not None:
            what, command = process.failure
            post.failure = str(MissingTool(what, command))
        lived = time.monotonic() - post.began
        post.failures = 1 if lived > STEADY_SECONDS else post.failures + 1
        first, most = BACK_OFF
        post.again_at = time.monotonic() + min(most, first * 2 ** min(post.failures - 1, 20))
        self._over.append(self._tally(post, "failed" if process.failure else "ended"))
        post.process = None

    def _start(self, post: _Post) -> None:
        assert post.lane is not None
        lane, config = post.lane, self._config
        options = FuzzOptions(
            lane.left,
            lane.right,
            lane.mode,
            out=self.out,
            memory_mb=config.memory_mb,
            searching=lane.searching,
            shared=True,
            sweeps=True,
        )
        post.number = self._count
        self._count += 1
        post.process = WorkerProcess(options, self.work, post.number, config.seed + post.number)
        post.began = time.monotonic()
        post.failure = ""
        post.news_at = {}
        try:
            post.process.start(0, self._began, 0.0)
        except OSError as error:  # the disk is full, or there are too many processes
            post.process.failure = (f"a worker cannot start: {error}", f"ls {self.work}")

    def _end(self, post: _Post) -> None:
        if post.process is None:
            return
        post.process.stop()
        post.process.wait(5.0)
        self._over.append(self._tally(post, "ended"))
        post.process = None

    def _tally(self, post: _Post, state: str = "") -> Tally:
        assert post.process is not None
        assert post.lane is not None
        if not state:
            state = "paused" if self._paused else "running"
        news = list(self._news(post))
        tally = tally_of(post.process, post.place, post.number, post.lane.name)
        tally.state, tally.failure, tally.news = state, post.failure, news
        return tally

    def _news(self, post: _Post) -> Iterator[News]:
        for path in sorted(self.work.glob(f"worker-{post.number}.*.news")):
            found, post.news_at[path] = read_news(path, post.news_at.get(path, 0))
            yield from found
