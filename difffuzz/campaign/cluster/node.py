# SPDX-License-Identifier: GPL-2.0-only
"""What works on a node: a crew in a folder of its own, and its talk with the hub."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

import msgspec

from ...files.atomic import write_atomically
from ...fuzz.findings import FINDINGS, PENDING, SUFFIX
from ...fuzz.news import input_name
from ...sides.names import parse_name
from ..config import Config, Lane
from ..crew import Crew
from ..entries import CORPUS
from ..tally import Tally
from .messages import Batch, Key, Orders, Reply, encode

Exchange = Callable[[str, str, str, int, list[bytes]], bytes]
"""Hub.exchange, wherever the hub is."""
STOP_SECONDS: Final = 5.0
FOLDER: Final = "difffuzz-node-"
"""How the names of nodes' folders begin; the process comes next."""


class Node:
    """Call turn() about once a second; close() in the end."""

    def __init__(self, name: str, exchange: Exchange) -> None:
        """OSError: there is no room for its folder."""
        _remove_left_over()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{FOLDER}{os.getpid()}-"))
        self._name = name
        self._life = uuid4().hex
        self._exchange = exchange
        self._crew: Crew | None = None
        self._orders: Orders | None = None
        self._places: dict[str, str] = {}
        self._waiting: list[Batch] = []
        self._number = 0
        self._epoch, self._cursor = "", 0
        self._known: set[str] = set()
        self._told: dict[str, float] = {}

    def turn(self) -> bool:
        """Works, tells, listens; False when it is to end.  Whatever the hub says is done at once;
        when it does not answer, the next turn tries again."""
        if self._crew is not None:
            self._pack(self._crew.poll())
        try:
            answer = self._exchange(
                self._name,
                self._life,
                self._epoch,
                self._cursor,
                [encode(x) for x in self._waiting],
            )
        except ConnectionError:
            return True
        reply = msgspec.msgpack.decode(answer, type=Reply)
        self._epoch, self._cursor = reply.epoch, reply.cursor
        self._waiting = [one for one in self._waiting if one.key.number > reply.confirmed]
        self._take_in(reply.inputs)
        return self._obey(reply.orders)

    def close(self) -> None:
        """No process and no folder is left."""
        if self._crew is not None:
            self._crew.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _obey(self, orders: Orders | None) -> bool:
        if orders is None:
            return True
        if orders.stop:
            return self._end()
        if self._crew is None:
            self._begin(orders)
        assert self._crew is not None
        if self._orders is None or orders.paused != self._orders.paused:
            self._crew.pause(orders.paused)
        if not orders.paused:
            lanes = {lane.name: lane for lane in orders.config.lane}
            for place, lane in orders.lanes.items():
                self._crew.assign(place, self._placed(lanes[lane]))
        self._orders = orders
        return True

    def _begin(self, orders: Orders) -> None:
        """The first orders: files of patches, and as many workers as there are places."""
        for number, (name, content) in enumerate(sorted(orders.patches.items())):
            path = self.folder / "patches" / str(number) / Path(name).name
            write_atomically(path, content)
            self._places[name] = str(path)
        # A number is never used twice for a node, whatever died in between.
        first = time.time_ns() // 1_000_000_000
        self._crew = Crew(self.folder, orders.config, sorted(orders.lanes), first)
        self._crew.prepare()

    def _end(self) -> bool:
        """The last figures, and findings that came meanwhile, are told before it goes."""
        if self._crew is not None:
            self._crew.stop(STOP_SECONDS)
            self._pack(self._crew.poll())
            self._crew = None
        return any(one.inputs or one.findings or one.tallies for one in self._waiting)

    def _placed(self, lane: Lane) -> Lane:
        """The lane with this node's files of patches."""
        return msgspec.structs.replace(lane, left=self._own(lane.left), right=self._own(lane.right))

    def _own(self, text: str) -> str:
        for theirs, mine in self._places.items():
            text = text.replace(theirs, mine)
        return text

    def _theirs(self, text: str) -> str:
        for theirs, mine in self._places.items():
            text = text.replace(mine, theirs)
        return text

    def _pack(self, tallies: list[Tally]) -> None:
        """What is new goes into a batch."""
        for one in tallies:
            one.place = f"{self._name}/{one.place}"
        batch = Batch(Key(self._name, self._life, self._number), tallies)
        batch.inputs = self._new_inputs()
        batch.findings = self._new_findings()
        # Figures alone need not be kept: the next ones say more.
        if self._waiting and not (self._waiting[-1].inputs or self._waiting[-1].findings):
            kept = self._waiting.pop().tallies
            batch.tallies = [one for one in kept if one.over or one.news] + batch.tallies
        self._waiting.append(batch)
        self._number += 1

    def _new_inputs(self) -> list[bytes]:
        found = []
        with suppress(FileNotFoundError):
            for path in (self.folder / CORPUS).iterdir():
                if path.name not in self._known:
                    data = path.read_bytes()
                    if input_name(data) == path.name:
                        self._known.add(path.name)
                        found.append(data)
        return found

    def _new_findings(self) -> dict[str, str]:
        found = {}
        for path in (self.folder / FINDINGS).glob(f"*{SUFFIX}"):
            written = path.stat().st_mtime
            if not path.name.startswith(PENDING) and self._told.get(path.name) != written:
                self._told[path.name] = written
                found[path.name] = self._theirs(path.read_text())
        return found

    def _take_in(self, inputs: list[bytes]) -> None:
        for data in inputs:
            name = input_name(data)
            if name not in self._known:
                self._known.add(name)
                write_atomically(self.folder / CORPUS / name, data, durable=False)


def _remove_left_over() -> None:
    """Folders of processes that were killed."""
    for path in Path(tempfile.gettempdir()).glob(f"{FOLDER}*-*"):
        pid = path.name.removeprefix(FOLDER).partition("-")[0]
        if not Path("/proc", pid).exists():
            shutil.rmtree(path, ignore_errors=True)


def patches_of(config: Config) -> dict[str, bytes]:
    """The files that the names of sides name.  OSError."""
    names = {name for lane in config.lane for name in (lane.left, lane.right)}
    files = {one for name in names for one in parse_name(name).foreign if "+" in name}
    return {one: Path(one).read_bytes() for one in files}
