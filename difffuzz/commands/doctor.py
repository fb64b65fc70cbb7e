# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz doctor`: can this machine do what difffuzz needs, and if not, what mends it?"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import typer

from ..native.doctor import compilers
from ..shipped import CORPUS, REPLAYED, to_install, to_restore
from .output import Json, emit

MIN_FREE_MB = 200
_REQUIRED = re.compile(r"([A-Za-z0-9._-]+)>=([0-9.]+)")


class Check(NamedTuple):
    """One thing looked at; `command` mends it.  Without what is not `needed` much works."""

    name: str
    ok: bool
    detail: str
    command: str = ""
    needed: bool = True

    @property
    def word(self) -> str:
        """For people."""
        return "ok" if self.ok else "MISSING" if self.needed else "absent"


def doctor(json: Json = False) -> None:
    """Say what is missing here and the command that installs it. Exit status 3: something is."""
    checks = list(_checks())
    lines = [
        f"{one.word:8}{one.name}: {one.detail}" + ("" if one.ok else f": run '{one.command}'")
        for one in checks
    ]
    emit([one._asdict() for one in checks], "\n".join(lines), json)
    raise typer.Exit(0 if all(one.ok or not one.needed for one in checks) else 3)


def _checks() -> Iterator[Check]:
    version = sys.version.split()[0]
    supported = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Check(
        "python", supported, f"CPython {version}", "DIFFFUZZ_PYTHON=python3.11 scripts/bootstrap"
    )
    for requirement in importlib.metadata.requires("difffuzz") or ():
        if "extra ==" not in requirement:
            yield _package(requirement)
    yield _libfuzzer()
    yield _seeds()
    with tempfile.TemporaryDirectory(prefix="difffuzz-doctor-") as folder:
        for one in compilers(Path(folder)):
            detail = f"{one.detail} (native sides: difffuzz native doctor)"
            yield Check(one.name, one.state == "ok", detail, one.command, needed=False)
    free = shutil.disk_usage(Path.cwd()).free >> 20
    yield Check("disk", free >= MIN_FREE_MB, f"{free} MB free here", f"df -h {Path.cwd()}")


def _package(requirement: str) -> Check:
    """One of pyproject.toml's: `name>=version`; its module has the same name."""
    match = _REQUIRED.match(requirement)
    assert match is not None, requirement
    name, least = match.groups()
    try:
        importlib.import_module(name)
        version = importlib.metadata.version(name)
    except ImportError as error:
        return Check(name, False, str(error), to_install(name))
    if _numbers(version) < _numbers(least):
        return Check(name, False, f"{version}, {least} needed", to_install(name))
    return Check(name, True, version)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))


def _seeds() -> Check:
    """What `fuzz` starts from and `smoke` replays."""
    counts = {name: len(list((CORPUS / name).glob("*.difffuzz"))) for name in REPLAYED}
    empty = [name for name, count in counts.items() if not count]
    if not empty:
        text = ", ".join(f"{count} {name}" for name, count in counts.items())
        return Check("seeds", True, f"{text} in {CORPUS}")
    detail = f"no programs in {', '.join(str(CORPUS / name) for name in empty)}"
    detail += ": fuzz has generated ones only to start from there, smoke needs --corpus"
    return Check("seeds", False, detail, to_restore("corpus"), needed=False)


def _libfuzzer() -> Check:
    """A preloaded sanitizer brings its own libFuzzer, which drops the mutator of programs."""
    preload = os.environ.get("LD_PRELOAD", "")
    alone = not any(word in preload for word in ("asan", "ubsan", "fuzzer", "sanitizer"))
    detail = "atheris' own" if alone else f"LD_PRELOAD={preload} hides the program mutator"
    return Check("libFuzzer", alone, detail, "unset LD_PRELOAD")
