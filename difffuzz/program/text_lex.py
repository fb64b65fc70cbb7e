# SPDX-License-Identifier: GPL-2.0-only
"""Words of the text form, each with its place, and the error that names a place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from .fields import FieldType
from .limits import MAX_LINE, MAX_TEXT

_WORD: Final = re.compile(r"[^ \t\r]+")
_NUMBER: Final = re.compile(r"0x[0-9a-f]{1,16}|[0-9]{1,16}", re.ASCII | re.IGNORECASE)
_SHOWN: Final = 40


class ProgramError(Exception):
    """A text is no program.  The message is one line: place, what was expected, what was there."""

    def __init__(self, name: str, line: int, column: int, expected: str, found: str = "") -> None:
        self.name = name
        """The file, as the caller named it."""
        self.line = line
        self.column = column
        """Line and column count from 1; the column counts characters."""
        self.expected = expected
        shown = ascii(found if len(found) <= _SHOWN else found[:_SHOWN] + "...")
        got = f", found {shown}" if found else ""
        super().__init__(f"{name}:{line}:{column}: expected {expected}{got}")

    def __reduce__(self) -> tuple[type[ProgramError], tuple[str, int, int, str]]:
        """Survive pickling, which a worker process needs (what was found is lost)."""
        return ProgramError, (self.name, self.line, self.column, self.expected)


class Word(NamedTuple):
    """A word of the text and where it stands."""

    text: str
    name: str
    line: int
    column: int

    def error(self, expected: str) -> ProgramError:
        """The error that something else was expected here."""
        return ProgramError(self.name, self.line, self.column, expected, self.text)

    def cut(self, separator: str) -> tuple[Word, Word | None]:
        """What stands before the first separator and what stands after it (None: there is none)."""
        left, found, right = self.text.partition(separator)
        if not found:
            return self, None
        column = self.column + len(left) + len(separator)
        return self._replace(text=left), self._replace(text=right, column=column)

    def number(self, low: int, high: int, *, base: int = 10) -> int:
        """The number in low..high that the word spells, in decimal or with 0x in hexadecimal."""
        if _NUMBER.fullmatch(self.text):
            value = int(self.text, 0 if self.text[1:2] in ("x", "X") else 10)
            if low <= value <= high:
                return value
        raise self.error(f"a number in {spell_number(low, base)}..{spell_number(high, base)}")

    def value(self, kind: FieldType) -> int:
        """The argument of that type that the word spells."""
        if kind.words:
            if self.text in kind.words:
                return kind.low + kind.words.index(self.text)
            raise self.error(" or ".join(kind.words))
        if kind.bits:
            return self._set(kind.bits)
        return self.number(kind.low, kind.high, base=kind.base)

    def _set(self, names: tuple[str, ...]) -> int:
        """The bits of a comma-separated set of names, or of "none"."""
        value = 0
        for part in () if self.text == "none" else self.text.split(","):
            if part not in names or value & 1 << names.index(part):
                raise self.error(f"none or a list of {','.join(names)}")
            value |= 1 << names.index(part)
        return value


def spell_number(value: int, base: int) -> str:
    """The number as the text form writes it."""
    return f"{value:#x}" if base == 16 else f"{value:d}"


def spell(value: int, kind: FieldType) -> str:
    """An argument as the text form writes it: the inverse of `Word.value`."""
    if kind.words:
        return kind.words[value - kind.low]
    if kind.bits:
        return ",".join(n for bit, n in enumerate(kind.bits) if value >> bit & 1) or "none"
    return spell_number(value, kind.base)


class Line(NamedTuple):
    """The words of one line, at least one, and the place behind the last."""

    words: tuple[Word, ...]
    end: Word


def lines(text: str | bytes, name: str) -> Iterator[Line]:
    """The lines that are not empty, without comments."""
    if isinstance(text, bytes):
        text = _decoded(text, name)
    if len(text) > MAX_TEXT:
        raise ProgramError(name, 1, 1, f"at most {MAX_TEXT} characters")
    for number, line in enumerate(text.split("\n"), start=1):
        if len(line) > MAX_LINE:
            raise ProgramError(name, number, MAX_LINE + 1, f"at most {MAX_LINE} characters a line")
        code = line.partition("#")[0]
        words = tuple(
            Word(match.group(), name, number, match.start() + 1) for match in _WORD.finditer(code)
        )
        if words:
            yield Line(words, Word("", name, number, words[-1].column + len(words[-1].text)))


def _decoded(data: bytes, name: str) -> str:
    """The text in UTF-8 bytes; an error names the line of the first byte that is none."""
    try:
        return data[: MAX_TEXT * 4 + 1].decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        column = error.start - (before.rfind(b"\n") + 1) + 1
        raise ProgramError(name, before.count(b"\n") + 1, column, "text in UTF-8") from None
