# SPDX-License-Identifier: GPL-2.0-only
"""The two kinds of actors, as Ray starts them: the hub, and one for each node."""

from __future__ import annotations

import threading
import time
from typing import Any, Final

from .hub import Hub
from .node import Node

CALL_SECONDS: Final = 20.0
"""A call that takes longer has failed."""
TURN_SECONDS: Final = 1.0
FOREVER: Final = -1
"""Restarts of an actor, tries of a call."""


class Failed(ConnectionError):
    """The hub did not answer."""


def hub_class(ray: Any) -> Any:
    """The hub as an actor; it takes no processor for itself."""
    return ray.remote(num_cpus=0, max_restarts=FOREVER, max_task_retries=FOREVER)(Hub)


def node_class(ray: Any, node: str) -> Any:
    """The actor of one node, which stays on it."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    there = NodeAffinitySchedulingStrategy(node_id=node, soft=False)
    return ray.remote(num_cpus=0, max_restarts=FOREVER, scheduling_strategy=there)(NodeActor)


class NodeActor:
    """Works from its making on, in a thread of its own, until it is told to end."""

    def __init__(self, name: str, hub: str) -> None:
        import ray

        self._ray = ray
        self._hub_name = hub
        self._hub: Any = None
        self._node = Node(name, self._exchange)
        threading.Thread(target=self._work, daemon=True).start()

    def _work(self) -> None:
        try:
            while self._node.turn():
                time.sleep(TURN_SECONDS)
        finally:
            self._node.close()

    def _exchange(
        self, node: str, life: str, epoch: str, cursor: int, batches: list[bytes]
    ) -> bytes:
        """Failed: the hub is not there, for now."""
        try:
            if self._hub is None:
                self._hub = self._ray.get_actor(self._hub_name)
            call = self._hub.exchange.remote(node, life, epoch, cursor, batches)
            answer: bytes = self._ray.get(call, timeout=CALL_SECONDS)
            return answer
        except (self._ray.exceptions.RayError, ValueError) as error:
            raise Failed(str(error)) from error
