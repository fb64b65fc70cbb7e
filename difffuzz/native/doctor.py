# SPDX-License-Identifier: GPL-2.0-only
"""What fetching and building need of this machine."""

from __future__ import annotations

import platform
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from .cache import Cache
from .configure import TOOLS
from .fetch import DEFAULT, source_path
from .run import PACKAGES, Failed, find, install_command, run
from .toolchain import CLANG

MIN_FREE_MB = 2500
"""A tree is 1.5 GB unpacked, its shadow and objects little."""

_ALSO = ("objcopy", "patch", "tar", "xz")


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
    for tool in (*TOOLS, *_ALSO):
        yield _tool(tool)
    yield _headers()
    clang = find(CLANG)
    if clang:
        yield Requirement(CLANG, "ok", clang)
    else:
        command = install_command(PACKAGES[CLANG])
        yield Requirement(CLANG, "absent", "no coverage without it", command)
    yield _disk(cache)
    tree = source_path(cache)
    if tree.is_dir():
        yield Requirement("source", "ok", str(tree))
    else:
        detail = f"Linux {DEFAULT} is not fetched (--tree works without)"
        yield Requirement("source", "absent", detail, "difffuzz native fetch")


def _tool(name: str) -> Requirement:
    path = find(name)
    if path:
        return Requirement(name, "ok", path)
    return Requirement(name, "MISSING", "not installed", install_command(PACKAGES[name]))


def _headers() -> Requirement:
    """Those of the C library: a compiler does not bring them."""
    compiler = find("gcc")
    with tempfile.TemporaryDirectory(prefix="difffuzz-doctor-") as temporary:
        source = Path(temporary) / "try.c"
        source.write_text("#include <elf.h>\n#include <stdio.h>\n")
        try:
            if compiler:
                run([compiler, "-fsyntax-only", str(source)])
                return Requirement("libc headers", "ok", "elf.h, stdio.h")
        except Failed:
            pass
    return Requirement("libc headers", "MISSING", "elf.h, stdio.h", install_command("libc6-dev"))


def _disk(cache: Cache) -> Requirement:
    folder = cache.root
    while not folder.is_dir():
        folder = folder.parent
    free = shutil.disk_usage(folder).free >> 20
    detail = f"{free} MB free for {cache.root}"
    if free >= MIN_FREE_MB:
        return Requirement("disk", "ok", detail)
    return Requirement("disk", "MISSING", f"{detail}, {MIN_FREE_MB} needed", f"df -h {folder}")
