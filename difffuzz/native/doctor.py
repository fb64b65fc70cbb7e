# SPDX-License-Identifier: GPL-2.0-only
"""What fetching and building need of this machine."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from ..errors import UsageError
from ..shipped import HARNESS, to_restore
from .cache import Cache
from .configure import TOOLS
from .fetch import DEFAULT, source_path
from .run import PACKAGES, find, install_command
from .toolchain import CLANG, GCC, compiler_at
from .tree import open_tree
from .trial import headers_of, missing_headers, shared_object, works
from .units import read_units

MIN_FREE_MB = 2500
"""A tree is 1.5 GB unpacked, its shadow and objects little."""

_ALSO = (
    "as", "ar", "nm", "objcopy", "m4", "bash", "awk", "cmp", "sed", "grep", "patch", "tar", "xz",
)  # fmt: skip
"""What else fetching and building run; the rest every system has."""


class Requirement(NamedTuple):
    """One thing looked at; `command` mends it."""

    name: str
    state: Literal["ok", "MISSING", "absent"]
    """absent: it is missing, but building works without it."""
    detail: str
    command: str = ""


def requirements(cache: Cache) -> list[Requirement]:
    """Look at everything."""
    return list(_look(cache))


def _look(cache: Cache) -> Iterator[Requirement]:
    machine = platform.machine()
    if machine == "x86_64":
        yield Requirement("machine", "ok", machine)
    else:
        yield Requirement("machine", "MISSING", f"{machine}, x86_64 needed", "uname -m")
    try:
        # Where the cache is, or is to be: what is built there must run there.
        work = tempfile.TemporaryDirectory(prefix=".doctor-", dir=_nearest(cache.root))
    except OSError as error:
        detail = f"{cache.root}: {error.strerror}"
        yield Requirement("cache", "MISSING", detail, "export DIFFFUZZ_CACHE=FOLDER")
        return
    with work as name:
        folder = Path(name)
        for tool in (*TOOLS, *_ALSO):
            yield _tool(tool, folder)
        yield from _harness(folder)
        yield from compilers(folder)
    yield _disk(cache)
    yield _source(cache)


def _nearest(folder: Path) -> Path:
    """The folder itself, or what is there of the way to it."""
    while not folder.is_dir():
        folder = folder.parent
    return folder


def _tool(name: str, folder: Path) -> Requirement:
    path = find(name)
    if not path:
        return Requirement(name, "MISSING", "not installed", install_command(PACKAGES[name]))
    problem = works(name, folder)
    if problem:
        detail = f"{path} does not work: {problem}"
        return Requirement(name, "MISSING", detail, install_command("--reinstall", PACKAGES[name]))
    return Requirement(name, "ok", path)


def _harness(folder: Path) -> Iterator[Requirement]:
    try:
        units = read_units(HARNESS)
    except UsageError as error:
        yield Requirement("harness", "MISSING", str(error), to_restore("harness/native"))
        return
    gone = [
        unit.source
        for unit in units.unit
        if unit.in_tree is None and not (HARNESS / unit.source).is_file()
    ]
    if gone:
        command = to_restore("harness/native")
        yield Requirement("harness", "MISSING", f"{len(gone)} files, such as {gone[0]}", command)
        return
    yield Requirement("harness", "ok", str(HARNESS))
    problem = missing_headers(HARNESS, folder)
    command = install_command("libc6-dev")
    if problem:
        yield Requirement("libc headers", "MISSING", problem, command)
    else:
        yield Requirement("libc headers", "ok", ", ".join(headers_of(HARNESS)))


def compilers(folder: Path) -> Iterator[Requirement]:
    """Do they build?  A build takes clang by itself where it is installed: then it has to."""
    for name in (GCC, CLANG):
        path = find(name)
        command = install_command(PACKAGES[name])
        if path is None:
            if name == CLANG:
                yield Requirement(name, "absent", "no coverage without it", command)
            else:
                yield Requirement(f"{name} builds", "MISSING", "not installed", command)
            continue
        work = folder / name
        work.mkdir()
        problem = shared_object(compiler_at(path, name == CLANG), work)
        if problem:
            hint = install_command("--reinstall", PACKAGES[name])
            yield Requirement(f"{name} builds", "MISSING", problem, hint)
        else:
            yield Requirement(f"{name} builds", "ok", "a library, which was loaded and called")


def _source(cache: Cache) -> Requirement:
    path = source_path(cache)
    if not path.is_dir():
        detail = f"Linux {DEFAULT} is not fetched (--tree works without)"
        return Requirement("source", "absent", detail, "difffuzz native fetch")
    try:
        tree = open_tree(path)
    except UsageError as error:
        return Requirement("source", "MISSING", str(error), f"rm -r {path}; difffuzz native fetch")
    return Requirement("source", "ok", f"{path}, Linux {tree.version}")


def _disk(cache: Cache) -> Requirement:
    folder = _nearest(cache.root)
    free = shutil.disk_usage(folder).free >> 20
    detail = f"{free} MB free for {cache.root}"
    if free >= MIN_FREE_MB:
        return Requirement("disk", "ok", detail)
    return Requirement("disk", "MISSING", f"{detail}, {MIN_FREE_MB} needed", f"df -h {folder}")
