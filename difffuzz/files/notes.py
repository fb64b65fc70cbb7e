# SPDX-License-Identifier: GPL-2.0-only
"""Notes in a program's comments: what it showed, on which sides, in which mode.

They stand behind the first line, one a line: `# key: value`.  Whoever wrote the file wrote them:
they are claims, not orders.
"""

from __future__ import annotations

from ..program import Program, render


def digest_key(which: str) -> str:
    """The note that holds the digest of the left or right side."""
    return f"{which}-digest"


def text_of(program: Program, notes: dict[str, str]) -> str:
    """The text form with notes as comments behind its first line."""
    first, _, rest = render(program).partition("\n")
    comments = "".join(f"# {key}: {_one_line(value)}\n" for key, value in notes.items() if value)
    return f"{first}\n{comments}{rest}"


def notes_of(text: str) -> dict[str, str]:
    """The notes that `text_of` wrote."""
    notes: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if line.strip():
            break
    for line in lines:
        if not line.startswith("# "):
            break
        key, colon, value = line[2:].rstrip().partition(": ")
        if colon:
            notes.setdefault(key, value)
    return notes


def _one_line(value: str) -> str:
    return " ".join(value.split())
