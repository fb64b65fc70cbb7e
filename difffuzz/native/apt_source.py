# SPDX-License-Identifier: GPL-2.0-only
"""The apt source of this machine, with the suite replaced by its backports."""

from __future__ import annotations

import re
from pathlib import Path

from ..errors import MissingTool

APT = Path("/etc/apt")
OS_RELEASE = Path("/etc/os-release")

_ONE_LINE = re.compile(r"^deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)\s+(.+)$")


def codename(os_release: Path = OS_RELEASE) -> str:
    """The suite's name: bookworm."""
    try:
        found = re.search(r'^VERSION_CODENAME="?(\w+)', os_release.read_text(), re.MULTILINE)
    except OSError:
        found = None
    if not found:
        raise MissingTool("no Debian: its backports cannot be named", f"cat {os_release}")
    return found[1]


def backports(folder: Path = APT, suite: str | None = None) -> str:
    """Sources in the deb822 form: each that offers the suite, offering its backports instead."""
    suite = suite or codename()
    stanzas: list[str] = []
    for path in sorted((folder / "sources.list.d").glob("*.sources")):
        stanzas += filter(None, (_stanza(text, suite) for text in _paragraphs(path)))
    for path in (folder / "sources.list", *sorted((folder / "sources.list.d").glob("*.list"))):
        if path.is_file():
            lines = path.read_text(errors="replace").splitlines()
            stanzas += filter(None, (_from_line(line, suite) for line in lines))
    if not stanzas:
        raise MissingTool(f"no apt source below {folder} offers {suite}", f"ls {folder}")
    return "\n\n".join(stanzas) + "\n"


def _paragraphs(path: Path) -> list[str]:
    kept = [line for line in path.read_text(errors="replace").splitlines() if line[:1] != "#"]
    return [text for text in re.split(r"\n\s*\n", "\n".join(kept)) if text.strip()]


def _stanza(text: str, suite: str) -> str | None:
    """The stanza for the backports; None if it is off or of another suite."""
    suites = re.search(r"^Suites:\s*(.+)$", text, re.MULTILINE | re.IGNORECASE)
    types = re.search(r"^Types:\s*(.+)$", text, re.MULTILINE | re.IGNORECASE)
    off = re.search(r"^Enabled:\s*(no|false)\b", text, re.MULTILINE | re.IGNORECASE)
    if off or not suites or suite not in suites[1].split():
        return None
    if not types or "deb" not in types[1].split():
        return None
    return text.replace(suites[0], f"Suites: {suite}-backports").strip()


def _from_line(line: str, suite: str) -> str | None:
    """The same for the form of one line: deb [options] URI suite components."""
    found = _ONE_LINE.match(line.strip())
    if not found or found[3] != suite:
        return None
    fields = [
        "Types: deb",
        f"URIs: {found[2]}",
        f"Suites: {suite}-backports",
        f"Components: {found[4].partition('#')[0].strip()}",
    ]
    for option in (found[1] or "").split():
        name, _, value = option.partition("=")
        if name.lower() == "signed-by":
            fields.append(f"Signed-By: {value}")
    return "\n".join(fields)
