# SPDX-License-Identifier: GPL-2.0-only
"""What a worker tells of each input that was new to it: a line of JSON, written at once."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import msgspec

from .mutation import Origin


class News(msgspec.Struct, frozen=True):
    """An input that took a branch or reached a state which none of its worker's had before."""

    input: str
    """The name of its file in the corpus: libFuzzer's, the SHA-1 of its bytes."""
    at: float
    """Seconds since 1970."""
    features: int
    """Branches and states that were new."""
    parents: tuple[str, ...] = ()
    operators: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    way: str = ""
    """How it was scheduled."""


def input_name(data: bytes) -> str:
    """The name that libFuzzer gives an input."""
    return hashlib.sha1(data, usedforsecurity=False).hexdigest()


class NewsFile:
    """The news of one worker."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, data: bytes, origin: Origin, features: int, way: str) -> None:
        """Appends a line; on a full disk none, and nobody will know where the input came from."""
        parents = tuple(map(input_name, origin.parents))
        one = News(
            input_name(data), time.time(), features, parents, origin.operators, origin.phrases, way
        )
        with suppress(OSError), self._path.open("ab", buffering=0) as file:
            file.write(msgspec.json.encode(one) + b"\n")


def read_news(path: Path, offset: int) -> tuple[list[News], int]:
    """The lines from `offset` bytes on, and where the next ones begin: a line that is not whole
    waits, one that is no news is passed over."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            text = file.read()
    except FileNotFoundError:
        return [], offset
    end = text.rfind(b"\n") + 1
    return list(_parse(text[:end])), offset + end


def _parse(text: bytes) -> Iterator[News]:
    for line in text.splitlines():
        with suppress(msgspec.DecodeError):
            yield msgspec.json.decode(line, type=News)
