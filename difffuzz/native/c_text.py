# SPDX-License-Identifier: GPL-2.0-only
"""Find things in C text: bodies of functions, and text whatever its white space and comments."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator

Span = tuple[int, int]

_COMMENT = r"/\*.*?(?:\*/|\Z)|//[^\n]*"
_LITERAL = r"\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'"
_DIRECTIVE = r"^[ \t]*\#(?:\\\n|[^\n])*"
_HIDDEN = re.compile(f"(?P<comment>{_COMMENT})|(?P<literal>{_LITERAL})", re.DOTALL)
_ALL_HIDDEN = re.compile(f"{_COMMENT}|{_LITERAL}|{_DIRECTIVE}", re.DOTALL | re.MULTILINE)
_TOKEN = re.compile(r"\w+|[^\w\s]")
_OPENING = {"(": ")", "{": "}"}


def without_comments(text: str) -> str:
    """The text with blanks for its comments, as long as it was."""
    return _HIDDEN.sub(lambda found: _blank(found) if found["comment"] else found[0], text)


def bodies(text: str, function: str) -> list[Span]:
    """Where the bodies of the function's definitions are, braces included.

    Several, if the preprocessor chooses among them.
    """
    code = _ALL_HIDDEN.sub(_blank, text)
    found: list[Span] = []
    for name in re.finditer(rf"(?<!\w){re.escape(function)}\s*\(", code):
        end = _matching(code, name.end() - 1)
        opening = end and re.compile(r"(?:\s|\w|\([^(){};]*\))*\{").match(code, end)
        if opening:
            close = _matching(code, opening.end() - 1)
            if close:
                found.append((opening.end() - 1, close))
    return found


def occurrences(text: str, wanted: str) -> Iterator[Span]:
    """Where the wanted text is, however its tokens are set apart; text inside comments is not."""
    tokens = _TOKEN.findall(wanted)
    if not tokens:
        return
    pattern = [re.escape(tokens[0])]
    for before, token in itertools.pairwise(tokens):
        both_words = _is_word(before) and _is_word(token)
        pattern.append((r"\s+" if both_words else r"\s*") + re.escape(token))
    start = r"(?<!\w)" if _is_word(tokens[0]) else ""
    end = r"(?!\w)" if _is_word(tokens[-1]) else ""
    for found in re.finditer(start + "".join(pattern) + end, without_comments(text)):
        yield found.span()


def _is_word(token: str) -> bool:
    return token[0].isalnum() or token[0] == "_"


def _matching(code: str, start: int) -> int | None:
    """Behind the bracket that closes the one at `start`; None: there is none."""
    opening = code[start]
    depth = 0
    for found in re.compile(rf"[{opening}{_OPENING[opening]}]").finditer(code, start):
        depth += 1 if found[0] == opening else -1
        if depth == 0:
            return found.end()
    return None


def _blank(found: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", found[0])
