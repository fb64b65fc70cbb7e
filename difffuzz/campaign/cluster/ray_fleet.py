# SPDX-License-Identifier: GPL-2.0-only
"""The fleet on Ray: one hub, one actor a node, which starts worker processes; nodes come and go.

Ray ends processes by SIGKILL: workers end with the actor that started them, and nothing is left to
the end of a process.  Actors run no fuzzer themselves.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

from ...errors import MissingTool
from ...files.atomic import write_atomically
from ...fuzz.findings import FINDINGS
from ...fuzz.news import input_name
from ...shipped import to_add
from ..config import Config, Lane
from ..entries import CORPUS
from ..tally import Tally
from .actors import CALL_SECONDS, TURN_SECONDS, Failed, hub_class, node_class
from .messages import Batch, Orders, Taken, encode
from .node import patches_of

OBJECT_STORE_BYTES: Final = 100 << 20
LOOK_SECONDS: Final = 5.0
"""Between two looks for nodes that came or went."""
SILENT_SECONDS: Final = 60.0
"""A node that says nothing for so long is as good as gone."""


class RayFleet:
    """The workers of a Ray cluster.  `address`: "" for one that is made on this machine."""

    def __init__(self, folder: Path, config: Config, address: str) -> None:
        self._folder = folder
        self._config = config
        self._address = address
        self._ray: Any = None
        self._hub: Any = None
        self._nodes: dict[str, Any] = {}
        self._name = f"difffuzz-{uuid4().hex[:8]}"
        self._lanes: dict[str, dict[str, str]] = {}
        self._paused = self._stopped = False
        self._epoch = ""
        self._given: set[str] = set()
        self._confirm: list[tuple[str, str, int]] = []
        self._last: dict[tuple[str, int], Tally] = {}
        self._next_look = self._next_take = 0.0
        self._patches: dict[str, bytes] = {}

    def start(self) -> None:
        """Joins the cluster.  MissingTool: Ray is not installed, or does not answer."""
        try:
            import ray
        except ImportError:
            raise MissingTool("--fleet ray needs Ray", to_add("ray")) from None
        self._ray = ray
        self._patches = patches_of(self._config)
        try:
            if self._address:
                host, _, port = self._address.rpartition(":")
                socket.create_connection((host, int(port)), timeout=10).close()
                ray.init(address=self._address, log_to_driver=False, logging_level=logging.ERROR)
            else:
                ray.init(
                    num_cpus=self._config.jobs,
                    object_store_memory=OBJECT_STORE_BYTES,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
        except (OSError, ValueError, ConnectionError) as error:
            what = f"no Ray cluster at {self._address}: {error}"
            raise MissingTool(what, "ray status") from error
        self._hub = hub_class(ray).options(name=self._name).remote()
        self._look_for_nodes()

    def places(self) -> Sequence[str]:
        self._look_for_nodes()
        return [f"{node}/{place}" for node, lanes in self._lanes.items() for place in lanes]

    def assign(self, place: str, lane: Lane) -> None:
        node, _, own = place.partition("/")
        if node in self._lanes:
            self._lanes[node][own] = lane.name

    def poll(self) -> list[Tally]:
        """What nodes have told is in the folder when it returns; they tell it once a second."""
        now = time.monotonic()
        if now < self._next_take and not self._stopped:
            return []
        self._next_take = now + TURN_SECONDS
        try:
            taken = self._take()
        except Failed:
            return []  # the hub begins anew
        found = []
        for batch in sorted(taken.batches, key=lambda one: one.key.number):
            self._write(batch)
            key = batch.key
            self._confirm.append((key.node, key.life, key.number))
            for tally in batch.tallies:
                self._last[tally.place, tally.number] = tally
                found.append(tally)
        return [*found, *self._gone(taken.seen)]

    def pause(self, on: bool) -> None:
        self._paused = on
        with suppress(Failed):
            self._take()

    def stop(self, seconds: float) -> list[Tally]:
        """Until every node has told everything, or does not answer."""
        self._stopped = True
        found = []
        last = time.monotonic() + seconds + CALL_SECONDS
        while time.monotonic() < last and self._running():
            found += self.poll()
            time.sleep(0.2)
        found += self.poll()
        time.sleep(2 * TURN_SECONDS)  # nodes hear that it is confirmed, and go
        return [*found, *self.poll()]

    def kill(self) -> None:
        if self._ray is None:
            return
        for actor in [*self._nodes.values(), self._hub]:
            with suppress(Exception):
                self._ray.kill(actor)
        self._ray.shutdown()
        self._ray = None

    def _take(self) -> Taken:
        """One exchange with the hub.  Failed: it does not answer."""
        orders = {
            node: encode(
                Orders(
                    self._config,
                    self._patches,
                    {place: lane for place, lane in lanes.items() if lane},
                    self._paused,
                    self._stopped,
                )
            )
            for node, lanes in self._lanes.items()
            if any(lanes.values())
        }
        answer = self._hub.take.remote(self._confirm, orders, self._new_inputs())
        taken = msgspec.msgpack.decode(self._answer(answer), type=Taken)
        if taken.epoch != self._epoch:  # it has lost what it was told: tell it all again
            self._epoch = taken.epoch
            self._given.clear()
        else:
            self._confirm.clear()
        return taken

    def _answer(self, call: Any) -> bytes:
        try:
            answer: bytes = self._ray.get(call, timeout=CALL_SECONDS)
            return answer
        except self._ray.exceptions.RayError as error:
            raise Failed(str(error)) from error

    def _new_inputs(self) -> list[bytes]:
        found = []
        for path in (self._folder / CORPUS).iterdir():
            if path.name not in self._given:
                data = path.read_bytes()
                if input_name(data) == path.name:
                    self._given.add(path.name)
                    found.append(data)
        return found

    def _write(self, batch: Batch) -> None:
        """Into the campaign's folder; a finding that is there stays, for it may be shrunk."""
        for data in batch.inputs:
            path = self._folder / CORPUS / input_name(data)
            self._given.add(path.name)
            if not path.exists():
                write_atomically(path, data, durable=False)
        for name, text in batch.findings.items():
            path = self._folder / FINDINGS / Path(name).name
            if not path.exists():
                write_atomically(path, text.encode())

    def _look_for_nodes(self) -> None:
        """An actor for each node that is new; the places of those that have gone are gone."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + LOOK_SECONDS
        alive = {one["NodeID"]: one for one in self._ray.nodes() if one["Alive"]}
        for node, about in alive.items():
            name = node[:10]
            if name not in self._nodes:
                count = max(1, int(about["Resources"].get("CPU", self._config.jobs)))
                self._lanes[name] = {str(number): "" for number in range(count)}
                self._nodes[name] = node_class(self._ray, node).remote(name, self._name)
        for name in [one for one in self._nodes if not any(x.startswith(one) for x in alive)]:
            del self._nodes[name]
            del self._lanes[name]

    def _gone(self, seen: dict[str, float]) -> list[Tally]:
        """The last figures of workers whose node has gone, or says nothing."""
        silent = {node for node, seconds in seen.items() if seconds > SILENT_SECONDS}
        found = []
        for key, tally in list(self._last.items()):
            node = tally.place.partition("/")[0]
            if tally.over or node not in self._nodes or node in silent:
                del self._last[key]
                if not tally.over:
                    tally.state, tally.failure, tally.news = "ended", "its node has gone", []
                    found.append(tally)
        return found

    def _running(self) -> bool:
        return any(not tally.over for tally in self._last.values())
