# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz doctor`: can this machine do what difffuzz needs, and if not, what mends it?"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from .output import Json, emit

PACKAGES = ("atheris", "greenlet", "msgspec", "rich", "sortedcontainers", "typer")
MIN_FREE_MB = 200


class Check(NamedTuple):
    """One thing looked at; `command` mends it."""

    name: str
    ok: bool
    detail: str
    command: str = ""


def doctor(json: Json = False) -> None:
    """Say what is missing here and the command that installs it. Exit status 3: something is."""
    checks = list(_checks())
    lines = [
        f"{'ok' if one.ok else 'MISSING':8}{one.name}: {one.detail}"
        + ("" if one.ok else f": run '{one.command}'")
        for one in checks
    ]
    emit([one._asdict() for one in checks], "\n".join(lines), json)
    raise typer.Exit(0 if all(one.ok for one in checks) else 3)


def _checks() -> Iterator[Check]:
    version = sys.version.split()[0]
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Check(
        "python", supported, f"CPython {version}", "DIFFFUZZ_PYTHON=python3.11 scripts/bootstrap"
    )
    for package in PACKAGES:
        yield _package(package)
    yield _libfuzzer()
    free = shutil.disk_usage(Path.cwd()).free >> 20
    yield Check("disk", free >= MIN_FREE_MB, f"{free} MB free here", f"df -h {Path.cwd()}")


def _package(name: str) -> Check:
    try:
        importlib.import_module(name)
        detail = importlib.metadata.version(name)
    except ImportError as error:
        return Check(name, False, str(error), "scripts/bootstrap")
    return Check(name, True, detail)


def _libfuzzer() -> Check:
    """A preloaded sanitizer brings its own libFuzzer, which drops the mutator of programs."""
    preload = os.environ.get("LD_PRELOAD", "")
    alone = not any(word in preload for word in ("asan", "ubsan", "fuzzer", "sanitizer"))
    detail = "atheris' own" if alone else f"LD_PRELOAD={preload} hides the program mutator"
    return Check("libFuzzer", alone, detail, "unset LD_PRELOAD")
