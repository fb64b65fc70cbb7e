# SPDX-License-Identifier: GPL-2.0-only
"""The hub: passes inputs from node to node, orders to nodes, and what they made to the campaign.

It keeps nothing on disk.  When it dies and begins anew, nodes and campaign see another epoch and
tell it again what they still have: a node all that is not confirmed, the campaign its whole corpus.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

import msgspec

from ...fuzz.news import input_name
from .messages import Batch, Key, Orders, Reply, Taken, encode

BATCH_INPUTS: Final = 500
"""That a node gets in one answer."""


class Hub:
    """Every call may be made twice."""

    def __init__(self) -> None:
        self._epoch = uuid4().hex
        self._inputs: list[bytes] = []
        self._known: set[str] = set()
        self._batches: dict[Key, Batch] = {}
        self._confirmed: dict[tuple[str, str], int] = {}
        self._orders: dict[str, Orders] = {}
        self._seen: dict[str, float] = {}

    def exchange(
        self, node: str, life: str, epoch: str, cursor: int, batches: list[bytes]
    ) -> bytes:
        """A node tells what it made, and gets orders and what others made: a Reply.

        `cursor` and `epoch` are those of the last reply, 0 and "" at first.
        """
        self._seen[node] = time.monotonic()
        confirmed = self._confirmed.get((node, life), -1)
        for text in batches:
            batch = msgspec.msgpack.decode(text, type=Batch)
            if batch.key.number > confirmed:
                self._batches[batch.key] = batch
            self._add(batch.inputs)
        begin = cursor if epoch == self._epoch else 0
        end = min(len(self._inputs), begin + BATCH_INPUTS)
        orders = self._orders.get(node)
        return encode(Reply(self._epoch, orders, confirmed, self._inputs[begin:end], end))

    def take(
        self,
        confirmed: Sequence[tuple[str, str, int]],
        orders: dict[str, bytes],
        inputs: list[bytes],
    ) -> bytes:
        """The campaign confirms batches (node, life, number), gives orders by node and inputs, and
        gets what is not confirmed: Taken."""
        for node, life, number in confirmed:
            known = self._confirmed.get((node, life), -1)
            self._confirmed[node, life] = max(known, number)
            for key in [one for one in self._batches if (one.node, one.life) == (node, life)]:
                if key.number <= number:
                    del self._batches[key]
        for node, text in orders.items():
            self._orders[node] = msgspec.msgpack.decode(text, type=Orders)
        self._add(inputs)
        now = time.monotonic()
        seen = {node: now - at for node, at in self._seen.items()}
        return encode(Taken(self._epoch, list(self._batches.values()), seen))

    def _add(self, inputs: Sequence[bytes]) -> None:
        for data in inputs:
            name = input_name(data)
            if name not in self._known:
                self._known.add(name)
                self._inputs.append(data)
