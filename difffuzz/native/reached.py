# SPDX-License-Identifier: GPL-2.0-only
"""From what a traced build passed to lines of the kernel's source.

gcc calls __sanitizer_cov_trace_pc() at the start of each block of code.  What was passed is where
such a call returns to; the block reaches from there to the next call.  binutils tell which calls
there are, and of which lines the code between them is.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from pathlib import Path

from .run import run

Line = tuple[str, int]
"""A file, relative to the tree (or its last part alone), and a line."""

NEAR = 12
"""Lines away from a changed one that has no code."""

_CALL = re.compile(r"^ *[0-9a-f]+:\s+call\s+[0-9a-f]+ <__sanitizer_cov_trace_pc>", re.ASCII)
_ADDRESS = re.compile(r"^ *([0-9a-f]+):\t", re.ASCII)
_FILE = re.compile(r"^(\S.*):$")
_ROW = re.compile(r"^\S.*?\s(\d+|-)\s+0x([0-9a-f]+)", re.ASCII)


class Lines:
    """The lines that a library has code for."""

    def __init__(self, library: Path) -> None:
        """MissingTool without objdump."""
        self._rows = sorted(_rows(run(["objdump", "--dwarf=decodedline", str(library)])))
        self._starts = [address for address, _ in self._rows]
        self._blocks = _blocks(run(["objdump", "-d", "--no-show-raw-insn", str(library)]))
        self.known = {line for _, line in self._rows}
        """Every line with code."""

    def reached(self, passed: Iterable[int]) -> set[Line]:
        """The lines of the blocks that begin at these offsets in the library."""
        found: set[Line] = set()
        for offset in passed:
            at = bisect_right(self._blocks, offset)
            end = self._blocks[at] if at < len(self._blocks) else offset + 1
            first = max(0, bisect_right(self._starts, offset) - 1)
            found.update(line for _, line in self._rows[first : bisect_left(self._starts, end)])
        return found


def _rows(text: str) -> Iterable[tuple[int, Line]]:
    """(address, line) from what objdump says of the line tables."""
    file = ""
    for row in text.splitlines():
        if match := _FILE.match(row):
            file = re.sub(r"^(?:\./)+", "", match[1])
        elif (match := _ROW.match(row)) and match[1] != "-":
            yield int(match[2], 16), (file, int(match[1]))


def _blocks(text: str) -> list[int]:
    """Where the calls return to, in order."""
    found = []
    after_call = False
    for line in text.splitlines():
        if after_call and (match := _ADDRESS.match(line)):
            found.append(int(match[1], 16))
            after_call = False
        if _CALL.match(line):
            after_call = True
    return sorted(found)


def count_reached(
    wanted: Iterable[Line], known: set[Line], reached: set[Line]
) -> tuple[int, list[Line]]:
    """Of the wanted lines: how many have code, and which of those were not reached.

    A line that has none itself, as the compiler made something else of it, counts as the nearest
    one that has.
    """
    with_code = {found for line in wanted if (found := _with_code(line, known))}
    missed = {line for line in with_code if line not in reached and _short(line) not in reached}
    return len(with_code), sorted(missed)


def _with_code(line: Line, known: set[Line]) -> Line | None:
    """The line, or the nearest one below or above it that has code."""
    name, number = line
    for step in sorted(range(-NEAR, NEAR + 1), key=lambda step: (abs(step), -step)):
        near = name, number + step
        if near in known or _short(near) in known:
            return near
    return None


def _short(line: Line) -> Line:
    """As line tables name the file that a unit begins with."""
    return Path(line[0]).name, line[1]
