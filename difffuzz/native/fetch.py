# SPDX-License-Identifier: GPL-2.0-only
"""Fetch a kernel source package of Debian and unpack it into the cache."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

from ..errors import MissingTool, UsageError
from .apt_source import codename, of_suite, with_backports
from .cache import Cache, locked
from .run import Failed, install_command, run

DEFAULT = "6.1"
TARBALLS = Path("/usr/src")
SUITES = ("trixie", "sid", "experimental")
"""Of Debian, behind the machine's own: newer kernels are there."""


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
    return _download(package, work, say)


def _offered(package: str) -> bool:
    """Do the suites that are set up here have it?"""
    try:
        return bool(run(["apt-cache", "show", "--no-all-versions", package]))
    except Failed:
        return False


def _download(package: str, work: Path, say: Callable[[str], None]) -> Path:
    """Download from the first suite that has it; what apt knows of this machine stays as it is,
    and no root is needed."""
    own = codename()
    others = {suite: of_suite(suite, own) for suite in SUITES if suite != own}
    failure = ""
    for suite, sources in {own: with_backports(own), **others}.items():
        say(f"looking for {package} in {suite}")
        apt = _apt(work, suite, sources)
        _run(*apt, "update")
        try:
            run([*apt, "download", package], cwd=work)
        except Failed as failed:
            failure = failure or _last(failed)
            continue
        [archive] = work.glob(f"{package}_*.deb")
        _run("dpkg-deb", "-x", str(archive), str(work))
        return work / "usr" / "src" / f"{package}.tar.xz"
    looked = ", ".join([f"{own} and its backports", *others])
    raise UsageError(f"there is no {package} in {looked}: {failure}")


def _apt(work: Path, suite: str, sources: str) -> list[str]:
    """apt-get with a source list and files of its own."""
    place = work / suite
    for folder in ("lists/partial", "archives/partial", "parts"):
        (place / folder).mkdir(parents=True)
    (place / "our.sources").write_text(sources)
    (place / "status").touch()
    return [
        "apt-get",
        "-qq",
        *("-o", f"Dir::Etc::sourcelist={place / 'our.sources'}"),
        *("-o", f"Dir::Etc::sourceparts={place / 'parts'}"),
        *("-o", f"Dir::State::lists={place / 'lists'}"),
        *("-o", f"Dir::State::status={place / 'status'}"),
        *("-o", f"Dir::Cache={place}"),
        *("-o", "APT::Sandbox::User="),
        *("-o", "Acquire::Languages=none"),
    ]


def _run(*command: str) -> None:
    try:
        run(command)
    except Failed as failed:
        raise MissingTool(f"{failed}: {_last(failed)}", " ".join(command)) from None


def _last(failed: Failed) -> str:
    lines = failed.output.strip().splitlines()
    return lines[-1] if lines else "no message"
