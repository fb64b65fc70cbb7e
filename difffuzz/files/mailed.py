# SPDX-License-Identifier: GPL-2.0-only
"""Finds the one program in a text that has other words around it, as a mail has.

It may be quoted or indented: each of its lines begins with what the line with the program's header
begins with.  It ends where that does; at no indentation it ends at a blank line (or a fence) behind
which no line of a program comes.  A line in its midst that is none is an error, not its end:
a program is never run without its rest.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..program import THREADS
from ..program.text_lex import ProgramError
from ..program.text_render import HEADER

_WORDS = r"[ \t]+".join(HEADER.split())
_HEADER = re.compile(rf"(?P<prefix>[ \t>|]*){_WORDS}[ \t]*(?:#.*)?")
_THREAD = rf"(?:{'|'.join(THREADS)}):"
_INSIDE = re.compile(rf"#|(?:config|area|slot|schedule)\b|\w+:|{_THREAD}")
"""What may be a line of a program, well spelled or not."""
_OUTSIDE = re.compile(rf"[ \t>|]*(?:config \w+=|(?:area|slot|schedule) \d|{_THREAD}[ \t]*\w)")
"""What is one for sure."""
_FENCE = re.compile(r"```|~~~|--[ ]?$|__")


def headers(lines: list[str]) -> Iterator[tuple[int, str]]:
    """(index, what stands before it) of each line that is a program's first."""
    for at, line in enumerate(lines):
        match = _HEADER.fullmatch(line)
        if match:
            yield at, match["prefix"]


def mailed_program(text: str, name: str) -> str | None:
    """The program's text, each line at its number in the whole; None if there is none.

    ProgramError: there are several, or something is in the midst of it that is no line of one.
    """
    lines = [line.rstrip("\r") for line in text.split("\n")]
    found = list(headers(lines))
    if not found:
        return None
    if len(found) > 1:
        places = ", ".join(str(at + 1) for at, _ in found[:8])
        raise ProgramError(name, found[1][0] + 1, 1, f"one program, there are some at {places}")
    [(begin, prefix)] = found
    kept = [""] * begin
    for line in _unquoted(lines[begin:], prefix):
        kept.append(line)
    end = _end(kept, begin, name)
    for at in range(end, len(lines)):
        if _OUTSIDE.match(lines[at]):
            raise ProgramError(name, at + 1, 1, "the whole program in one piece", lines[at].strip())
    return "\n".join(kept[:end]) + "\n"


def _unquoted(lines: list[str], prefix: str) -> Iterator[str]:
    """The lines as far as they begin with the prefix, without it."""
    blank = prefix.rstrip()
    for line in lines:
        if line.startswith(prefix):
            yield line[len(prefix) :]
        elif line.rstrip() == blank or not line.strip():
            yield ""
        else:
            return


def _end(lines: list[str], begin: int, name: str) -> int:
    """Index behind the program's last line."""
    end = begin + 1
    for at in range(begin + 1, len(lines)):
        line = lines[at].strip()
        if _INSIDE.match(line):
            end = at + 1
        elif line:
            if lines[at - 1].strip() and not _FENCE.match(line):
                expected = "config, area, slot, schedule or a thread with a colon"
                raise ProgramError(name, at + 1, 1, expected, line.split()[0])
            break
    return end
