# SPDX-License-Identifier: GPL-2.0-only
"""Packages of Debian's suites, with apt's lists in a folder of our own: no root is needed, and what
apt knows of this machine stays as it is."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from ..errors import MissingTool, UsageError
from .apt_source import codename, of_suite, with_backports
from .run import Failed, run

SUITES = ("trixie", "sid", "experimental")
"""Of Debian, behind the machine's own: newer kernels are there."""
_INSTALLED = re.compile(r"^Inst (\S+) \((\S+) ", re.MULTILINE)


class Suite(NamedTuple):
    """A suite whose lists are here; `options` are what apt's tools get before their command."""

    name: str
    options: tuple[str, ...]

    def packages(self, prefix: str) -> list[str]:
        """Names of packages that begin so."""
        return run(["apt-cache", *self.options, "pkgnames", prefix]).split()

    def download(self, package: str, work: Path) -> Path:
        """The archive, in `work`.  UsageError: the suite has no such package."""
        try:
            run(["apt-get", *self.options, "download", package], cwd=work)
        except Failed as failed:
            raise UsageError(last_line(failed)) from None
        [archive] = work.glob(f"{package}_*.deb")
        return archive

    def needed(self, package: str, target: str = "") -> dict[str, str]:
        """The package and all that it needs, by name, with their versions; empty: there is none.

        `target`: the release that is taken where there are several, as bookworm-backports.
        """
        release = ("-t", target) if target else ()
        command = ("-s", "--no-install-recommends", *release, "install", package)
        try:
            said = run(["apt-get", *self.options, *command])
        except Failed:
            return {}
        return dict(_INSTALLED.findall(said))

    def download_all(self, packages: dict[str, str], work: Path) -> list[Path]:
        """The archives of these versions, in `work`, a new folder.  MissingTool: one is gone."""
        work.mkdir()
        names = [f"{package}={version}" for package, version in packages.items()]
        try:
            run(["apt-get", *self.options, "download", *names], cwd=work)
        except Failed as failed:
            raise MissingTool(f"{failed}: {last_line(failed)}", "apt-get update") from None
        return sorted(work.glob("*.deb"))


def suites(work: Path, say: Callable[[str], None]) -> Iterator[Suite]:
    """The machine's own suite with its backports, then the others; `work` gets the lists."""
    own = codename()
    others = {suite: of_suite(suite, own) for suite in SUITES if suite != own}
    for name, sources in {own: with_backports(own), **others}.items():
        suite = Suite(name, _options(work / name, sources))
        say(f"reading the lists of {name}")
        checked("apt-get", *suite.options, "update")
        yield suite


def looked_in() -> str:
    """The suites, for people."""
    own = codename()
    return ", ".join([f"{own} and its backports", *(one for one in SUITES if one != own)])


def _options(place: Path, sources: str) -> tuple[str, ...]:
    """A source list and files of our own."""
    for folder in ("lists/partial", "archives/partial", "parts"):
        (place / folder).mkdir(parents=True)
    (place / "our.sources").write_text(sources)
    (place / "status").touch()
    return (
        "-q=2",
        *("-o", f"Dir::Etc::sourcelist={place / 'our.sources'}"),
        *("-o", f"Dir::Etc::sourceparts={place / 'parts'}"),
        *("-o", f"Dir::State::lists={place / 'lists'}"),
        *("-o", f"Dir::State::status={place / 'status'}"),
        *("-o", f"Dir::Cache={place}"),
        *("-o", "APT::Sandbox::User="),
        *("-o", "Acquire::Languages=none"),
    )


def checked(*command: str) -> None:
    """Runs it.  MissingTool with its last line: it failed."""
    try:
        run(command)
    except Failed as failed:
        raise MissingTool(f"{failed}: {last_line(failed)}", " ".join(command)) from None


def last_line(failed: Failed) -> str:
    """What a tool said last."""
    lines = failed.output.strip().splitlines()
    return lines[-1] if lines else "no message"
