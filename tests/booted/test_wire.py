# SPDX-License-Identifier: GPL-2.0-only
"""Frames: what is whole and right comes through, all else is one line."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from difffuzz.booted.wire import Broken, Wire, packed


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, Wire]]:
    ours, theirs = socket.socketpair()
    wire = Wire(theirs, lambda: None)
    with ours:
        yield ours, wire
    wire.close()


def test_a_frame_comes_through(pair: tuple[socket.socket, Wire]) -> None:
    guest, wire = pair
    guest.sendall(packed(3, 7, b"payload") + packed(4, 8, b""))
    assert wire.receive(1) == (3, 7, b"payload")
    assert wire.receive(1) == (4, 8, b"")


@pytest.mark.parametrize(
    ("sent", "line"),
    [
        (packed(3, 7, b"payload")[:-1] + b"D", "wrong checksum"),
        (b"SeaBIOS (version 1.16.2)" + bytes(40), "does not speak"),
        (packed(3, 7, b"")[:4] + b"\x09\0" + packed(3, 7, b"")[6:], "protocol is 9, not 3"),
        (packed(3, 7, b"")[:12] + b"\xff" * 4 + bytes(4), "a frame of"),
    ],
)
def test_a_broken_frame_is_one_line(
    pair: tuple[socket.socket, Wire], sent: bytes, line: str
) -> None:
    guest, wire = pair
    guest.sendall(sent)
    with pytest.raises(Broken, match=line):
        wire.receive(1)


def test_a_stream_that_ends(pair: tuple[socket.socket, Wire]) -> None:
    guest, wire = pair
    guest.sendall(packed(3, 7, b"payload")[:-3])
    guest.shutdown(socket.SHUT_WR)
    with pytest.raises(Broken, match="ended in the middle of a frame"):
        wire.receive(1)


def test_silence(pair: tuple[socket.socket, Wire]) -> None:
    with pytest.raises(Broken, match="says nothing"):
        pair[1].receive(0)
