# SPDX-License-Identifier: GPL-2.0-only
"""Pieces of Markdown: text that is no markup, tables, definitions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

HEAD = "<!-- SPDX-License-Identifier: GPL-2.0-only -->\n"
_CODE = re.compile(r"(`[^`]+`)")
_BAR = re.compile(r"(?<!\\)\|")
_MARKUP = re.compile(r"([\\*_\[\]<>#|~$])")


def plain(text: str) -> str:
    """The text in one line, shown as it is but for `code`, which stays that."""
    parts = _CODE.split(" ".join(text.split()))
    return "".join(part if at % 2 else _MARKUP.sub(r"\\\1", part) for at, part in enumerate(parts))


def code(text: str) -> str:
    """The text as code within a line; of nothing, nothing."""
    return f"`{text}`" if text else ""


def paragraphs(text: str) -> str:
    """Prose of a docstring, its paragraphs kept."""
    return "\n\n".join(plain(part) for part in text.strip().split("\n\n"))


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; its cells are Markdown already, in one line each."""
    lines = [head, ["---"] * len(head), *rows]
    cells = ([_BAR.sub(r"\\|", cell) for cell in row] for row in lines)
    return "".join(f"| {' | '.join(row)} |\n" for row in cells)


def definitions(entries: Iterable[tuple[str, str]]) -> str:
    """What is explained, and below it, indented, what it is; both are Markdown already."""
    return "\n".join(f"{name}\n: {text}\n" for name, text in entries)


def fenced(text: str, language: str = "text") -> str:
    """A block of code."""
    return f"```{language}\n{text.rstrip()}\n```\n"
