# SPDX-License-Identifier: GPL-2.0-only
"""What nodes, the hub and the campaign tell each other; all of it may be said twice."""

from __future__ import annotations

import msgspec

from ..config import Config
from ..tally import Tally


class Key(msgspec.Struct, frozen=True):
    """Names a batch: `life` is new each time the actor of a node begins."""

    node: str
    life: str
    number: int


class Batch(msgspec.Struct):
    """What a node has made since its last batch; it keeps it until that is confirmed."""

    key: Key
    tallies: list[Tally] = []
    inputs: list[bytes] = []
    findings: dict[str, str] = {}
    """Name of the file, and its text."""


class Orders(msgspec.Struct, frozen=True):
    """What a node is to do; the newest count."""

    config: Config
    patches: dict[str, bytes] = {}
    """Files that the names of sides name, by those names."""
    lanes: dict[str, str] = {}
    """By place."""
    paused: bool = False
    stop: bool = False


class Reply(msgspec.Struct):
    """The hub's answer to a node."""

    epoch: str
    """Another one than before: the hub has begun anew, and knows nothing."""
    orders: Orders | None
    confirmed: int
    """Batches of this life with no higher number are in the campaign's folder."""
    inputs: list[bytes]
    cursor: int
    """Where the next inputs begin."""


class Taken(msgspec.Struct):
    """The hub's answer to the campaign."""

    epoch: str
    batches: list[Batch]
    seen: dict[str, float]
    """When each node spoke last, in seconds of the hub's clock before now."""


def encode(message: Batch | Orders | Reply | Taken) -> bytes:
    """The message as bytes: MessagePack."""
    return msgspec.msgpack.encode(message)
