# SPDX-License-Identifier: GPL-2.0-only
"""The apt sources of this machine, with the backports of its suite, or for another suite."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import MissingTool

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")

_ONE_LINE = re.compile(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$")
_FIELD = re.compile(r"^([\w-]+):[ \t]*(.*(?:\n[ \t]+.*)*)$", re.MULTILINE)

Stanza = dict[str, str]
"""Fields of the deb822 form, names in lower case."""


def codename(os_release: Path = OS_RELEASE) -> str:
    """The suite's name: bookworm."""
    try:
        found = re.search(r'^VERSION_CODENAME="?(\w+)', os_release.read_text(), re.MULTILINE)
    except OSError:
        found = None
    if not found:
        raise MissingTool("no Debian: its suite cannot be named", f"cat {os_release}")
    return found[1]


def with_backports(suite: str, folder: Path = APT) -> str:
    """The machine's sources for the suite, in the deb822 form, and its backports beside them.

    Sources of others are left out: what is down there must not stop us.
    """
    stanzas = [stanza for stanza in _stanzas(folder) if _offers(stanza, suite)]
    if not stanzas:
        raise MissingTool(f"no apt source below {folder} offers {suite}", f"ls {folder}")
    return "\n".join(_text(_extended(stanza, suite)) for stanza in stanzas)


def of_suite(other: str, suite: str, folder: Path = APT) -> str:
    """The sources from which the machine has its own suite, for another one of Debian.

    MissingTool: there are none.
    """
    stanzas = [one for one in _stanzas(folder) if _offers(one, suite)]
    own = [one for one in stanzas if suite in one["suites"].split()]
    if not own:
        raise MissingTool(f"no apt source below {folder} offers {suite}", f"ls {folder}")
    return "\n".join(_text({**one, "types": "deb", "suites": other}) for one in own)


def _stanzas(folder: Path) -> list[Stanza]:
    found: list[Stanza] = []
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        lines = path.read_text(errors="replace").splitlines()
        text = "\n".join(line for line in lines if not line.startswith("#"))
        for paragraph in re.split(r"\n\s*\n", text):
            found.append({name.lower(): value for name, value in _FIELD.findall(paragraph)})
    for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))):
        if path.is_file():
            for line in path.read_text(errors="replace").splitlines():
                found += _from_line(line)
    return found


def _from_line(line: str) -> list[Stanza]:
    """The other form: deb [options] URI suite components."""
    found = _ONE_LINE.match(line.partition("#")[0].strip())
    if not found:
        return []
    stanza = {"types": "deb", "uris": found[2], "suites": found[3], "components": found[4]}
    for option in (found[1] or "").split():
        name, _, value = option.partition("=")
        if name.lower() == "signed-by":
            stanza["signed-by"] = value
    return [stanza]


def _offers(stanza: Stanza, suite: str) -> bool:
    """Is it on, with packages of the suite or one that belongs to it (its security updates)?"""
    suites = stanza.get("suites", "").split()
    on = stanza.get("enabled", "yes").lower() not in ("no", "false")
    of_suite = any(name == suite or name.startswith(f"{suite}-") for name in suites)
    return on and of_suite and "deb" in stanza.get("types", "").split()


def _extended(stanza: Stanza, suite: str) -> Stanza:
    """With the backports, if it has the suite itself."""
    suites = stanza["suites"].split()
    more = f"{suite}-backports"
    if suite in suites and more not in suites:
        suites.append(more)
    return {**stanza, "types": "deb", "suites": " ".join(suites)}


def _text(stanza: Stanza) -> str:
    return "".join(f"{name.title()}: {value}\n" for name, value in stanza.items())
