# SPDX-License-Identifier: GPL-2.0-only
"""Digests of files that are read again only when their times or size have changed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import msgspec

from .cache import write_atomic

Seen = tuple[int, int, int, bytes]
"""mtime_ns, ctime_ns, size, digest."""

ABSENT = b"absent"
"""The digest of a file that is not there."""


class Digests:
    """What was read, by absolute path; `save` keeps it for the next process."""

    __slots__ = ("_changed", "_file", "_now", "_seen")

    def __init__(self, file: Path) -> None:
        self._file = file
        self._seen = self._load()
        self._now: dict[str, bytes] = {}
        self._changed = False

    def of(self, path: str) -> bytes:
        """The digest of the file's content. Looked at once in the life of this object."""
        known = self._now.get(path)
        if known is None:
            known = self._now[path] = self._look(path)
        return known

    def of_all(self, files: Iterable[tuple[str, str]]) -> bytes:
        """One digest of names and contents in this order; each file is a name and a path."""
        parts: list[bytes] = []
        for name, path in files:
            parts += (name.encode(), b"\0", self.of(path))
        return hashlib.blake2b(b"".join(parts), digest_size=16).digest()

    def forget(self) -> None:
        """Look at files again: a tool has run that writes some."""
        self._now.clear()

    def save(self) -> None:
        """Write what was learnt."""
        if self._changed:
            write_atomic(self._file, msgspec.msgpack.encode(self._seen))
            self._changed = False

    def _look(self, path: str) -> bytes:
        try:
            stat = os.stat(path)
            signature = (stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size)
            seen = self._seen.get(path)
            if seen is not None and seen[:3] == signature:
                return seen[3]
            with open(path, "rb") as file:
                digest = hashlib.blake2b(file.read(), digest_size=16).digest()
        except OSError:
            return ABSENT
        self._seen[path] = (*signature, digest)
        self._changed = True
        return digest

    def _load(self) -> dict[str, Seen]:
        try:
            return msgspec.msgpack.decode(self._file.read_bytes(), type=dict[str, Seen])
        except (OSError, msgspec.DecodeError):
            return {}
