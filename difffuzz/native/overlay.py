# SPDX-License-Identifier: GPL-2.0-only
"""What units are compiled in: the shadow tree, or a thin second one with patched files in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from .cache import write_atomic

REAL = ("arch/x86/kvm", "virt/kvm", "include/trace")
"""Folders whose files include others by a path through `..`, which the system resolves."""


class Root:
    """A tree to compile in: `path` is where the compiler works."""

    __slots__ = ("_patched", "_shadow", "path")

    def __init__(self, shadow: Path, path: Path, patched: frozenset[str]) -> None:
        self._shadow = f"{shadow}/"
        self._patched = patched
        self.path = path

    def locate(self, name: str) -> str:
        """The absolute path of a dependency, which is absolute or relative to the tree."""
        if name.startswith("/"):
            return name
        if name in self._patched:
            return f"{self.path}/{name}"
        return self._shadow + name


def plain_root(shadow: Path) -> Root:
    """The shadow as it is."""
    return Root(shadow, shadow, frozenset())


def patched_root(shadow: Path, path: Path, files: Mapping[str, bytes | None]) -> Root:
    """A tree at `path` that shows the shadow but for `files`.

    They are named relative to the tree, with their content; None: the file is gone. Folders on the
    way to a file and those named above are real, everything else is a link. Making the tree again
    only follows what has changed.
    """
    real = {*REAL, *_ancestors([*REAL, *files])}
    _mirror(shadow, path, "", real, frozenset(files))
    for name, content in files.items():
        target = path / name
        if content is None:
            target.unlink(missing_ok=True)
        elif target.is_symlink() or not target.is_file() or target.read_bytes() != content:
            target.unlink(missing_ok=True)
            write_atomic(target, content)
    return Root(shadow, path, frozenset(files))


def _ancestors(names: list[str]) -> set[str]:
    """The folders above the names, relative; the tree itself is ""."""
    found = {""}
    for name in names:
        found.update(str(folder) for folder in PurePosixPath(name).parents if folder.name)
    return found


def _mirror(shadow: Path, path: Path, where: str, real: set[str], files: frozenset[str]) -> None:
    """Make one folder show what the shadow's shows, and go down where folders are real."""
    here = path / where
    if here.is_symlink():
        here.unlink()
    here.mkdir(parents=True, exist_ok=True)
    stale = {entry.name: entry for entry in os.scandir(here)}
    for entry in os.scandir(shadow / where):
        name = f"{where}/{entry.name}" if where else entry.name
        old = stale.pop(entry.name, None)
        if name in files or entry.name.startswith("."):
            continue
        if entry.is_dir(follow_symlinks=False):
            if name in real or name.startswith(REAL):
                _mirror(shadow, path, name, real, files)
                continue
            _link(entry.path, path / name, old)
        else:
            target = os.readlink(entry.path) if entry.is_symlink() else entry.path
            _link(target, path / name, old)
    for name, entry in stale.items():
        if (f"{where}/{name}" if where else name) not in files:
            _remove(entry)


def _link(target: str, link: Path, old: os.DirEntry[str] | None) -> None:
    """Make the link unless it is there; what a former patch left in its place goes."""
    if old is not None:
        if old.is_symlink() and os.readlink(old) == target:
            return
        _remove(old)
    os.symlink(target, link)


def _remove(entry: os.DirEntry[str]) -> None:
    if entry.is_dir(follow_symlinks=False):
        shutil.rmtree(entry)
    else:
        os.unlink(entry)
