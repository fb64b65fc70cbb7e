# SPDX-License-Identifier: GPL-2.0-only
"""Where the base model departs from Linux 6.1, as comments in `difffuzz/kvm` mark it.

A marker is a comment that begins with one of `KINDS`, with the upstream id or the catalogue's in
parentheses where there is one, and goes on over the comment lines that follow:

    # Mended (own-clear-log-edge): rounded down; the kernel rounds up.

The tables of docs/model.md are made of these: `python -m difffuzz.manual.departures` writes them.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..script import end
from ..variants.catalogue import catalogue
from .markdown import table

ROOT = Path(__file__).resolve().parents[2]
MODEL = ROOT / "difffuzz" / "kvm"
PAGE = ROOT / "docs" / "model.md"
KINDS = {
    "Mended": "a bug of the kernel that the base does not have",
    "From 6.N": "something that came with that kernel",
    "Left out": "something that the kernel does here",
    "Otherwise": "another way to the same end",
}
_MARKER = re.compile(
    r"(?P<kind>Mended|From \d+\.\d+|Left out|Otherwise)(?: \((?P<id>[\w-]+)\))?: (?P<text>.*)"
)
_COMMENT = re.compile(r"^(?P<indent>\s*)# (?P<text>.*)$")
_TABLE = re.compile(
    r"(?P<begin><!-- departures: (?P<name>[\w ]+) -->\n).*?(?P<end><!-- end -->\n)", re.DOTALL
)


@dataclass(frozen=True)
class Departure:
    """`kind` as in KINDS (with the version); `id` may be ""; `place` is the function or class
    that it is in, or stands before."""

    kind: str
    id: str
    text: str
    file: str
    place: str


def departures(model: Path = MODEL) -> list[Departure]:
    """All of them, by file and line."""
    return [one for path in sorted(model.glob("*.py")) for one in _of_file(path)]


def tables() -> dict[str, str]:
    """The tables of docs/model.md by name, in Markdown."""
    marked = departures()
    oracle = {
        bug.id: bug.oracle if bug.program or bug.programs else "reading" for bug in catalogue()
    }
    return {
        "mended": table(
            ("id", "where", "mended, and what the kernel does", "seen by"),
            [
                (f"`{one.id}`", _where(one), one.text, oracle[one.id])
                for one in marked
                if one.kind == "Mended"
            ],
        ),
        "newer": table(
            ("from", "id", "where", "what"),
            [
                (one.kind.removeprefix("From "), one.id and f"`{one.id}`", _where(one), one.text)
                for one in marked
                if one.kind.startswith("From ")
            ],
        ),
        "left out": _short(marked, "Left out"),
        "otherwise": _short(marked, "Otherwise"),
    }


def page_with_tables(page: str) -> str:
    """The text of docs/model.md with its tables as the markers have it now."""
    made = tables()
    return _TABLE.sub(lambda at: at["begin"] + made[at["name"]] + at["end"], page)


def _short(marked: list[Departure], kind: str) -> str:
    return table(("where", "what"), [(_where(one), one.text) for one in marked if one.kind == kind])


def _where(one: Departure) -> str:
    if not one.place:
        return f"`{one.file}`"
    return f"`{one.place}`" if one.place[0].isupper() else f"`{one.place}()`"


def _of_file(path: Path) -> Iterator[Departure]:
    lines = path.read_text(encoding="utf-8").splitlines()
    places = [
        (node.lineno, node.end_lineno or 0, node.name)
        for node in ast.walk(ast.parse("\n".join(lines)))
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name != "__init__"
    ]
    at = 0
    while at < len(lines):
        comment = _COMMENT.match(lines[at])
        marker = comment and _MARKER.match(comment["text"])
        at += 1
        if not comment or not marker:
            continue
        first, text = at, [marker["text"]]
        while at < len(lines):
            more = _COMMENT.match(lines[at])
            if not more or more["indent"] != comment["indent"] or _MARKER.match(more["text"]):
                break
            text.append(more["text"])
            at += 1
        names = [name for begin, last, name in places if begin <= first <= last]
        before = [name for begin, _, name in places if begin == at + 1]
        yield Departure(
            marker["kind"],
            marker["id"] or "",
            " ".join(text),
            path.name,
            (names[-1:] or before or [""])[0],
        )


def main() -> int:
    PAGE.write_text(page_with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    end("departures", main)
