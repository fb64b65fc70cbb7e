# SPDX-License-Identifier: GPL-2.0-only
"""Fetch a kernel source package of Debian and unpack it into the cache."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import MissingTool, UsageError
from .apt_source import codename, with_backports
from .cache import Cache, locked
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
        raise UsageError(f"series {series!r}: 6.1 or 6.12 expected")
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
            _run("tar", "-xJf", str(tarball), "-C", temporary)
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
        _run("apt-get", "install", "-y", "--no-install-recommends", package)
        return installed
    say(f"downloading {package}")
    return _download(package, work)


def _offered(package: str) -> bool:
    """Do the suites that are set up here have it?"""
    try:
        return bool(run(["apt-cache", "show", "--no-all-versions", package]))
    except Failed:
        return False


def _download(package: str, work: Path) -> Path:
    """Download without touching what apt knows of this machine, which needs no root either."""
    suite = codename()
    for folder in ("lists/partial", "archives/partial", "parts"):
        (work / folder).mkdir(parents=True)
    (work / "our.sources").write_text(with_backports(suite))
    (work / "status").touch()
    apt = [
        "apt-get",
        "-qq",
        *("-o", f"Dir::Etc::sourcelist={work / 'our.sources'}"),
        *("-o", f"Dir::Etc::sourceparts={work / 'parts'}"),
        *("-o", f"Dir::State::lists={work / 'lists'}"),
        *("-o", f"Dir::State::status={work / 'status'}"),
        *("-o", f"Dir::Cache={work}"),
        *("-o", "APT::Sandbox::User="),
    ]
    _run(*apt, "update")
    try:
        run([*apt, "download", package], cwd=work)
    except Failed as failed:
        raise UsageError(f"{suite} and its backports have no {package}: {_last(failed)}") from None
    [archive] = work.glob(f"{package}_*.deb")
    _run("dpkg-deb", "-x", str(archive), str(work))
    return work / "usr" / "src" / f"{package}.tar.xz"


def _run(*command: str) -> None:
    try:
        run(command)
    except Failed as failed:
        raise MissingTool(f"{failed}: {_last(failed)}", " ".join(command)) from None


def _last(failed: Failed) -> str:
    lines = failed.output.strip().splitlines()
    return lines[-1] if lines else "no message"
