# SPDX-License-Identifier: GPL-2.0-only
"""The shadow of a kernel tree: real folders, links to the user's files, nothing written back.

A folder that make writes into holds copies instead of links: a tool that opens its output for
writing follows a link. Neither links nor copies are made of what an earlier build left in the tree.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

import msgspec

from ..errors import UsageError
from .cache import LOCK, short_digest, write_atomic

WHOLE = ("include", "arch/x86", "kernel", "lib", "mm", "virt")
"""Every source file is linked."""

COPIED = (
    "scripts",
    "arch/x86/tools",
    "arch/x86/entry/syscalls",
    "tools/include",
    "tools/arch/x86",
)
"""Every source file is copied: make writes here."""

SKIPPED = ("LICENSES", "tools", "include/generated",
           "include/config", "arch/x86/include/generated", "arch/x86/um/shared")  # fmt: skip
"""Not entered (but for the folders named above)."""

ELSEWHERE = "Kconfig"
"""In all other folders only files whose names begin so are linked, at the top every file."""

GENERATED = (
    ".o", ".a", ".so", ".ko", ".s", ".i", ".lst", ".mod", ".mod.c", ".cmd", ".d", ".rej", ".orig",
    ".tab.c", ".tab.h", ".lex.c", ".order", ".symvers", ".dwo", ".gcno", ".pyc", ".su", "~",
)  # fmt: skip
GENERATED_NAMES = frozenset(("vmlinux", "System.map", "tags", "TAGS", "cscope.out", "__pycache__"))

STATE = ".farm"
LAYOUT = short_digest(repr((WHOLE, COPIED, SKIPPED, ELSEWHERE, GENERATED, sorted(GENERATED_NAMES))))


class _Folder(msgspec.Struct):
    """What a folder of the tree looked like, and which folders in it are shadowed."""

    ctime: int
    folders: list[str]
    files: list[str]


class _State(msgspec.Struct):
    tree: str
    layout: str
    folders: dict[str, _Folder]


class ShadowTree:
    """The shadow of `tree` at `shadow`; `refresh` makes or mends it."""

    def __init__(self, tree: Path, shadow: Path) -> None:
        self.tree = tree
        self.shadow = shadow
        self._state = self._load()
        self.changed = False
        """Did the last refresh add or remove a link?"""

    def refresh(self) -> None:
        """Follow what was added to or removed from the tree since the last time.

        A folder that has kept its times has the same names in it; what is in a linked file shows
        through the link. UsageError: the tree cannot be read.
        """
        before = self._state.folders
        if not before:
            _empty(self.shadow)
        self._state = self._nothing()
        self.changed = False
        try:
            self._visit("", before)
        except OSError as error:
            raise UsageError(f"{error.filename}: {error.strerror}") from None
        for gone in before.keys() - self._state.folders.keys():
            shutil.rmtree(self.shadow / gone, ignore_errors=True)
            self.changed = True
        if self.changed:
            write_atomic(self.shadow / STATE, msgspec.msgpack.encode(self._state))

    def _visit(self, where: str, before: dict[str, _Folder]) -> None:
        source = f"{self.tree}/{where}" if where else str(self.tree)
        ctime = os.stat(source).st_ctime_ns
        known = before.get(where)
        if known is None or known.ctime != ctime:
            known = self._enter(where, source, ctime, known)
            self.changed = True
        self._state.folders[where] = known
        if _below(where, COPIED):
            for name in known.files:
                self._copy(f"{where}/{name}")
        for name in known.folders:
            self._visit(f"{where}/{name}" if where else name, before)

    def _enter(self, where: str, source: str, ctime: int, known: _Folder | None) -> _Folder:
        """List the folder of the tree and make its shadow the same."""
        folders: list[str] = []
        files: list[str] = []
        everything = not where or _below(where, WHOLE) or _below(where, COPIED)
        with os.scandir(source) as entries:
            for entry in entries:
                path = f"{where}/{entry.name}" if where else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if _entered(path):
                        folders.append(entry.name)
                elif not everything and not entry.name.startswith(ELSEWHERE):
                    continue
                elif not _is_generated(entry):
                    files.append(entry.name)
        here = os.path.join(self.shadow, where)
        if os.path.islink(here):
            os.unlink(here)
        os.makedirs(here, exist_ok=True)
        for name in set(known.files) - set(files) if known else ():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{here}/{name}")
        if not _below(where, COPIED):
            for name in set(files) - set(known.files if known else ()):
                _link(f"{source}/{name}", f"{here}/{name}")
        return _Folder(ctime, folders, files)

    def _copy(self, path: str) -> None:
        """Copy unless the copy has the time of the original."""
        source, copy = f"{self.tree}/{path}", f"{self.shadow}/{path}"
        wanted = os.stat(source, follow_symlinks=False)
        try:
            have = os.stat(copy, follow_symlinks=False)
            if have.st_mtime_ns == wanted.st_mtime_ns and have.st_size == wanted.st_size:
                return
            os.unlink(copy)
        except FileNotFoundError:
            pass
        shutil.copy2(source, copy, follow_symlinks=False)
        self.changed = True

    def _load(self) -> _State:
        """What the last refresh saw; nothing if that was another tree or another layout."""
        nothing = self._nothing()
        try:
            state = msgspec.msgpack.decode((self.shadow / STATE).read_bytes(), type=_State)
        except (OSError, msgspec.DecodeError):
            return nothing
        return state if (state.tree, state.layout) == (nothing.tree, nothing.layout) else nothing

    def _nothing(self) -> _State:
        return _State(str(self.tree), LAYOUT, {})


def _below(path: str, folders: tuple[str, ...]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _entered(path: str) -> bool:
    """Is the folder shadowed: something is wanted in it or below it?"""
    name = path.rpartition("/")[2]
    if name.startswith(".") or name in GENERATED_NAMES:
        return False
    if any(folder.startswith(f"{path}/") for folder in COPIED) or _below(path, COPIED):
        return True
    if path.startswith("arch/") and not _below(path, ("arch/x86",)):
        return name not in ("boot", "include")
    if path.startswith("Documentation/"):
        return False
    return not _below(path, SKIPPED)


def _is_generated(entry: os.DirEntry[str]) -> bool:
    """Did an earlier build make the file: by its name, or as a program that is no script?"""
    name = entry.name
    if name.startswith(".") or name.endswith(GENERATED) or name in GENERATED_NAMES:
        return True
    if "." in name or not entry.stat(follow_symlinks=False).st_mode & 0o111:
        return False
    try:
        with open(entry.path, "rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _link(target: str, link: str) -> None:
    """Make a link, in the place of whatever is there."""
    try:
        os.symlink(target, link)
    except FileExistsError:
        if os.path.isdir(link) and not os.path.islink(link):
            shutil.rmtree(link)
        else:
            os.unlink(link)
        os.symlink(target, link)


def _empty(folder: Path) -> None:
    """Make an empty folder, but for the lock that is held on it."""
    folder.mkdir(parents=True, exist_ok=True)
    for entry in os.scandir(folder):
        if entry.is_dir(follow_symlinks=False):
            shutil.rmtree(entry)
        elif entry.name != LOCK:
            os.unlink(entry)
