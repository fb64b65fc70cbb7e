# SPDX-License-Identifier: GPL-2.0-only
"""Objects in the cache, found again by the content of everything that went into them.

A folder holds the objects of one source, compiler and flags. Beside each object is an entry that
lists the files it was made from, with one digest of their contents.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import msgspec

from .cache import write_atomic
from .digests import Digests
from .elf import Symbols
from .overlay import Root

KEPT = 8
"""Objects of one source, compiler and flags."""
DAYS = 30
"""A folder that was not used for so long is removed."""


class Entry(msgspec.Struct):
    """One object. Dependencies are absolute, or relative to the tree."""

    dependencies: list[str]
    content: bytes
    symbols: Symbols


class Object(msgspec.Struct, frozen=True):
    """An object that can be linked."""

    path: Path
    symbols: Symbols


class Folder:
    """The objects of one source, compiler and flags."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def find(self, root: Root, digests: Digests) -> Object | None:
        """The object whose files have the contents that they have in `root` now."""
        for file in self._entries():
            try:
                entry = msgspec.msgpack.decode(file.read_bytes(), type=Entry)
            except (OSError, msgspec.DecodeError, msgspec.ValidationError):
                continue
            content = _content(entry.dependencies, root, digests)
            path = file.with_suffix(".o")
            if content == entry.content and path.is_file():
                os.utime(file)
                return Object(path, entry.symbols)
        return None

    def add(
        self, made: Path, dependencies: list[str], symbols: Symbols, root: Root, digests: Digests
    ) -> Object:
        """Take an object in; `made` is moved."""
        content = _content(dependencies, root, digests)
        path = self._path / f"{content.hex()}.o"
        os.replace(made, path)
        entry = Entry(dependencies, content, symbols)
        write_atomic(path.with_suffix(".entry"), msgspec.msgpack.encode(entry))
        for old in self._entries()[KEPT:]:
            old.unlink(missing_ok=True)
            old.with_suffix(".o").unlink(missing_ok=True)
        return Object(path, symbols)

    def temporary(self) -> Path:
        """A name in the folder to compile to."""
        self._path.mkdir(parents=True, exist_ok=True)
        return self._path / f".{os.getpid()}.o"

    def _entries(self) -> list[Path]:
        """The one that was used last comes first."""
        try:
            found = [(os.stat(file).st_mtime_ns, file) for file in self._path.glob("*.entry")]
        except FileNotFoundError:
            return []
        return [file for _, file in sorted(found, reverse=True)]


def _content(dependencies: list[str], root: Root, digests: Digests) -> bytes:
    return digests.of_all((name, root.locate(name)) for name in dependencies)


def remove_old(objects: Path) -> None:
    """Remove what no build has used for long."""
    limit = time.time() - DAYS * 86400
    for folder in objects.iterdir():
        newest = max((os.stat(file).st_mtime for file in folder.glob("*.entry")), default=limit)
        if folder.is_dir() and newest < limit:
            shutil.rmtree(folder, ignore_errors=True)
