# SPDX-License-Identifier: GPL-2.0-only
"""What changes while somebody looks: server-sent events, of all campaigns, every two seconds."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Final

import anyio
import anyio.to_thread
import msgspec

from .campaigns import Campaign, Unreadable
from .figures import status_of

EVERY_SECONDS: Final = 2.0
MOST_STREAMS: Final = 64


class Pulse(msgspec.Struct):
    """The figures of a campaign that a page keeps up to date."""

    number: int
    state: str
    error: str = ""
    executions: int = 0
    operations: int = 0
    executions_per_second: float = 0.0
    operations_per_second: float = 0.0
    coverage: int = 0
    corpus: int = 0
    findings: int = 0
    seconds: float = 0.0
    quiet_seconds: float = 0.0
    workers: int = 0
    """Those that run."""


def pulse_of(campaign: Campaign) -> Pulse:
    """Of now; `state` is "unreadable" where it cannot be read."""
    try:
        found = status_of(campaign)
    except Unreadable as error:
        return Pulse(campaign.number, "unreadable", str(error))
    return Pulse(
        number=campaign.number,
        workers=sum(one.state == "running" for one in found.workers),
        **{
            name: getattr(found, name)
            for name in Pulse.__struct_fields__
            if name not in ("number", "error", "workers")
        },
    )


class Live:
    """The stream; all who listen are told what was read once."""

    def __init__(self, campaigns: Sequence[Campaign], over: Callable[[], bool]) -> None:
        """`over`: the server ends."""
        self._campaigns = campaigns
        self._over = over
        self._lock = anyio.Lock()
        self._read_at = float("-inf")
        self._text = b""
        self.streams = 0

    async def stream(self) -> AsyncIterator[bytes]:
        """Events, until the server ends or who listens has gone."""
        self.streams += 1
        try:
            yield b"retry: 5000\n\n"
            while not self._over():
                yield await self._newest()
                begun = time.monotonic()
                while not self._over() and time.monotonic() - begun < EVERY_SECONDS:
                    await anyio.sleep(0.2)
        finally:
            self.streams -= 1

    async def _newest(self) -> bytes:
        async with self._lock:
            if time.monotonic() - self._read_at > EVERY_SECONDS / 2:
                pulses = await anyio.to_thread.run_sync(self._read)
                self._text = b"event: pulse\ndata: " + msgspec.json.encode(pulses) + b"\n\n"
                self._read_at = time.monotonic()
            return self._text

    def _read(self) -> list[Pulse]:
        return [pulse_of(one) for one in self._campaigns]
