# SPDX-License-Identifier: GPL-2.0-only
"""The C below a story of calls, in pieces: a program gets those that it needs.

A piece begins with a line `//: NAME needs OTHER...` in a file of `runtime/`, and is called
after the function that it is for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

RUNTIME = Path(__file__).parent / "runtime"
COMMON = ("judge.c", "host.c")
_MARK = re.compile(r"^//: (?P<name>\w+)(?: needs (?P<needs>[\w ]+))?\n", re.MULTILINE)


class Piece(NamedTuple):
    """Some C, and the names of the pieces that stand before it."""

    needs: tuple[str, ...]
    text: str


@cache
def pieces(layer: str) -> dict[str, Piece]:
    """All pieces by name.  `layer`: the file that makes the VM, raw.c or kvm_util.c."""
    found: dict[str, Piece] = {}
    for name in (layer, *COMMON):
        text = (RUNTIME / name).read_text()
        marks = list(_MARK.finditer(text))
        ends = [mark.start() for mark in marks[1:]] + [len(text)]
        for mark, end in zip(marks, ends, strict=True):
            needs = tuple((mark["needs"] or "").split())
            found[mark["name"]] = Piece(needs, text[mark.end() : end].strip("\n"))
    return found


def below(layer: str, wanted: Iterable[str]) -> str:
    """The text of the pieces that are wanted, and of those that they need, each once."""
    known = pieces(layer)
    done: dict[str, str] = {}

    def take(names: Iterable[str]) -> Iterator[str]:
        for name in names:
            if name not in done:
                yield from take(known[name].needs)
                done[name] = known[name].text
                yield done[name]

    return "\n\n".join(take(wanted))
