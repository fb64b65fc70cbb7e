# SPDX-License-Identifier: GPL-2.0-only
"""Which function of a library an address is in."""

from __future__ import annotations

import re
import subprocess
from bisect import bisect_right
from functools import cache
from pathlib import Path

OFFSET = re.compile(r"\+(0x[0-9a-f]+)")


def function_in(library: Path, text: str) -> str:
    """The function at the offset that `text` names as "+0x1234"; "?" if nobody knows."""
    found = OFFSET.search(text)
    if found is None:
        return "?"
    starts, names = _functions(library)
    at = bisect_right(starts, int(found[1], 16)) - 1
    return names[at] if at >= 0 else "?"


@cache
def _functions(library: Path) -> tuple[list[int], list[str]]:
    try:
        listed = subprocess.run(
            ["nm", "-n", "--defined-only", library], capture_output=True, text=True, check=True
        ).stdout
    except (OSError, subprocess.CalledProcessError):
        return [], []
    rows = [line.split() for line in listed.splitlines()]
    functions = [(int(row[0], 16), row[2]) for row in rows if len(row) == 3 and row[1] in "tT"]
    return [start for start, _ in functions], [name.split(".")[0] for _, name in functions]
