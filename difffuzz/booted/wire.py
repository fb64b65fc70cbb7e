# SPDX-License-Identifier: GPL-2.0-only
"""Frames on a socket: whole and right, or a line that says what was wrong."""

from __future__ import annotations

import ctypes
import select
import socket
import time
import zlib
from collections.abc import Callable
from typing import NamedTuple, NoReturn

from .protocol import FRAME_MAGIC, FRAME_VERSION, MAX_FRAME, FrameHead

_HEAD = ctypes.sizeof(FrameHead)
_TICK = 0.5
_PATIENCE = 10
"""Tenths of a second that a process may take to end after its socket."""


class Broken(Exception):
    """The other end is gone, silent, or says nonsense; the message is one line."""


class Frame(NamedTuple):
    """What was read."""

    kind: int
    sequence: int
    payload: bytes


def packed(kind: int, sequence: int, payload: bytes) -> bytes:
    """The bytes of a frame."""
    head = FrameHead(FRAME_MAGIC, FRAME_VERSION, kind, sequence, len(payload), 0)
    head.crc = zlib.crc32(payload, zlib.crc32(bytes(head)))
    return bytes(head) + payload


class Wire:
    """A socket with frames on it.  `alive` is asked while nothing comes; it raises Broken."""

    def __init__(self, connection: socket.socket, alive: Callable[[], None]) -> None:
        self._connection = connection
        self._alive = alive

    def send(self, kind: int, sequence: int, payload: bytes = b"") -> None:
        """Sends a frame."""
        try:
            self._connection.sendall(packed(kind, sequence, payload))
        except OSError as error:
            self._alive()
            raise Broken(f"the guest does not listen: {error.strerror}") from None

    def receive(self, seconds: float) -> Frame:
        """The next frame.  Broken: none within that time, or a broken one."""
        end = time.monotonic() + seconds
        head = FrameHead.from_buffer_copy(self._exactly(_HEAD, end))
        if head.magic != FRAME_MAGIC:
            raise Broken("the guest does not speak the agent's protocol")
        if head.version != FRAME_VERSION:
            raise Broken(f"the agent's protocol is {head.version}, not {FRAME_VERSION}")
        if head.length > MAX_FRAME:
            raise Broken(f"a frame of {head.length} bytes")
        payload = self._exactly(head.length, end)
        crc, head.crc = head.crc, 0
        if zlib.crc32(payload, zlib.crc32(bytes(head))) != crc:
            raise Broken("a frame with a wrong checksum")
        return Frame(head.kind, head.sequence, payload)

    def _exactly(self, size: int, end: float) -> bytes:
        parts: list[bytes] = []
        while size:
            ready, _, _ = select.select([self._connection], [], [], _TICK)
            if not ready:
                self._alive()
                if time.monotonic() > end:
                    raise Broken("the guest says nothing")
                continue
            try:
                part = self._connection.recv(min(size, 1 << 20))
            except OSError as error:
                part = b""
                del error
            if not part:
                self._ended(bool(parts))
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _ended(self, inside: bool) -> NoReturn:
        """Says why, if the process at the other end comes to its own end."""
        for _ in range(_PATIENCE):
            self._alive()
            time.sleep(0.1)
        raise Broken("the stream ended in the middle of a frame" if inside else "the stream ended")

    def close(self) -> None:
        """No more frames."""
        self._connection.close()
