# SPDX-License-Identifier: GPL-2.0-only
"""The input that a worker runs, kept where its death does not reach: in a mapped file."""

from __future__ import annotations

import mmap
from pathlib import Path

from ..program.limits import MAX_BYTES

_LENGTH = 4


def beside(stats: Path) -> Path:
    """The file of the worker that writes its figures to that one."""
    return stats.with_suffix(".current")


class CurrentInput:
    """Of this process; the file is written before the input is run, with no call of the system."""

    def __init__(self, path: Path) -> None:
        size = _LENGTH + MAX_BYTES
        try:
            path.write_bytes(bytes(size))
            with path.open("r+b") as file:
                self._map = mmap.mmap(file.fileno(), size)
        except OSError:  # the disk is full: nobody will know, but what is found is kept
            path.unlink(missing_ok=True)
            self._map = mmap.mmap(-1, size)

    def note(self, data: bytes) -> None:
        """It is about to be run."""
        data = data[:MAX_BYTES]
        self._map[:_LENGTH] = bytes(_LENGTH)  # nothing, while it is being written
        self._map[_LENGTH : _LENGTH + len(data)] = data
        self._map[:_LENGTH] = len(data).to_bytes(_LENGTH, "little")


def read_current(path: Path) -> bytes | None:
    """What the process that wrote the file ran last; None: nothing."""
    try:
        content = path.read_bytes()
    except OSError:
        return None
    length = int.from_bytes(content[:_LENGTH], "little")
    return content[_LENGTH : _LENGTH + length] if length else None
