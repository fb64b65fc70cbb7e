# SPDX-License-Identifier: GPL-2.0-only
"""Fetch a kernel source package of Debian and unpack it into the cache."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import MissingTool, UsageError
from .cache import Cache, locked
from .debian import checked, looked_in, suites
from .run import Failed, install_command, run

DEFAULT = "6.1"
TARBALLS = Path("/usr/src")


def source_path(cache: Cache, series: str = DEFAULT) -> Path:
    """Where the tree of that series is, or would be."""
    return cache.sources / f"linux-source-{series}"


def fetch(cache: Cache, series: str, say: Callable[[str], None]) -> Path:
    """The unpacked tree; does nothing if it is there. `say` takes a line of progress.

    UsageError: no such series. MissingTool: the package is missing and cannot be installed.
    """
    if not re.fullmatch(r"\d+\.\d+", series):
        raise UsageError(f"series {series!r}: expected one as 6.1, 6.12, 7.2")
    tree = source_path(cache, series)
    if tree.is_dir():
        return tree
    with (
        locked(cache.sources),
        tempfile.TemporaryDirectory(dir=cache.sources, prefix=".fetch-") as temporary,
    ):
        if not tree.is_dir():
            work = Path(temporary)
            tarball = _tarball(series, work, say)
            say(f"unpacking {tarball.name}")
            checked("tar", "-xJf", str(tarball), "-C", temporary)
            os.rename(work / tree.name, tree)
    return tree


def _tarball(series: str, work: Path, say: Callable[[str], None]) -> Path:
    """The package's tarball: as installed, installed now, or downloaded into `work`."""
    package = f"linux-source-{series}"
    installed = TARBALLS / f"{package}.tar.xz"
    if installed.is_file():
        return installed
    if _offered(package):
        if os.geteuid() != 0:
            raise MissingTool(f"{package} is not installed", install_command(package))
        say(f"installing {package}")
        checked("apt-get", "install", "-y", "--no-install-recommends", package)
        return installed
    say(f"downloading {package}")
    return _download(package, work, say)


def _offered(package: str) -> bool:
    """Do the suites that are set up here have it?"""
    try:
        return bool(run(["apt-cache", "show", "--no-all-versions", package]))
    except Failed:
        return False


def _download(package: str, work: Path, say: Callable[[str], None]) -> Path:
    """Download from the first suite that has it."""
    failure = ""
    for suite in suites(work, say):
        try:
            archive = suite.download(package, work)
        except UsageError as error:
            failure = failure or str(error)
            continue
        checked("dpkg-deb", "-x", str(archive), str(work))
        return work / "usr" / "src" / f"{package}.tar.xz"
    raise UsageError(f"there is no {package} in {looked_in()}: {failure}")
