# SPDX-License-Identifier: GPL-2.0-only
"""From what a compiler, linker or make said, the one line that the user needs."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_DIAGNOSTIC = re.compile(
    r"^(?P<file>[^\s:]+):(?P<line>\d+):(?:\d+:)? (?:fatal )?[Ee]rror: (?P<text>.*)$", re.MULTILINE
)
_KCONFIG = re.compile(
    r"^(?P<file>[^\s:]*Kconfig[^\s:]*):(?P<line>\d+): ?(?P<text>.*)$", re.MULTILINE
)
_OPTION = re.compile(r"\s*\[-W[^\]]*\]$")
_TWICE = re.compile(
    r"^(?:\S+\.o:)?(?P<file>[^\s:(]+):(?P<line>\d+): multiple definition of [`'](?P<name>[^']+)';"
    r" (?:\S+\.o:)?(?P<file2>[^\s:(]+):(?P<line2>\d+): first defined",
    re.MULTILINE,
)
_OTHERS = (
    (re.compile(r"multiple definition of [`']([^']+)'"), "{} is defined twice"),
    (re.compile(r"undefined reference to [`']([^']+)'"), "{} is defined nowhere"),
    (re.compile(r"^.*?(relocation .*)$", re.MULTILINE), "{}"),
    (re.compile(r"^make(?:\[\d+\])?: \*\*\* (.*)$", re.MULTILINE), "{}"),
)


class Places:
    """How a file is called in a message: relative to the tree, or to what it belongs to."""

    def __init__(self, *roots: tuple[Path, str]) -> None:
        self._roots = [(str(root) + "/", label) for root, label in roots]

    def name(self, path: str) -> str:
        """Call the file by its name below the first root that holds it."""
        path = os.path.normpath(path)
        for root, label in self._roots:
            if path.startswith(root):
                return label + path.removeprefix(root)
        return path


def first_error(output: str, places: Places) -> str:
    """FILE:LINE: MESSAGE of the first error, else what comes nearest to it."""
    for found in _candidates(output):
        groups = found.groupdict()
        text = _OPTION.sub("", groups["text"]).strip()
        return f"{places.name(groups['file'])}:{groups['line']}: {text}"
    if twice := _TWICE.search(output):
        return (
            f"{places.name(twice['file'])}:{twice['line']}: {twice['name']} is also defined"
            f" at {places.name(twice['file2'])}:{twice['line2']}"
        )
    for pattern, form in _OTHERS:
        if other := pattern.search(output):
            return form.format(other[1].strip())
    lines = output.strip().splitlines()
    return lines[-1] if lines else "no message"


def _candidates(output: str) -> Iterator[re.Match[str]]:
    """Errors in order; Kconfig's have the same form as its warnings, hence come second."""
    yield from _DIAGNOSTIC.finditer(output)
    for found in _KCONFIG.finditer(output):
        if not found["text"].startswith("warning"):
            yield found
