# SPDX-License-Identifier: GPL-2.0-only
"""The words of the language as regular expressions, in the part of their syntax that editors share.

An expression has literals, `[0-9]`, `(?:a|b)`, `?`, `*`, `+` and `{1,16}` only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ..program import fields
from ..program.fields import Field, FieldType
from ..program.limits import SCHEDULED, THREADS
from ..program.model import AREA_KINDS, CONFIG_CHOICES, Config
from ..program.ops import BY_NAME, SLOT_FIELDS
from ..program.text_render import HEADER, spell_choice

NUMBER = "(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,16})"


class Argument(NamedTuple):
    """What may stand behind the words that a line begins with."""

    key: str
    """With its `=`; empty if the value stands alone."""
    value: str
    """An expression."""


class LineOf(NamedTuple):
    """A kind of line."""

    name: str
    """Letters and `_` only, unlike every other line's."""
    threads: str
    """An expression; empty if the line is no operation."""
    word: str
    """That it begins with, behind the thread."""
    arguments: tuple[Argument, ...]


def escaped(word: str) -> str:
    """A word of the language as an expression: of what means something there it has dots only."""
    return word.replace(".", "[.]")


def either(words: Iterable[str]) -> str:
    """An expression for one of the words, the longest first."""
    by_length = sorted(words, key=len, reverse=True)
    return f"(?:{'|'.join(map(escaped, by_length))})"


def value(type: FieldType) -> str:
    """An expression for the values of a type."""
    if type.words:
        return either(type.words)
    if type.bits:
        one = either(type.bits)
        return f"(?:none|{one}(?:,{one})*)"
    return NUMBER


def arguments(given: Iterable[Field]) -> tuple[Argument, ...]:
    """Of an operation or a memslot."""
    return tuple(
        Argument("" if field.bare else f"{field.text_key}=", value(field.type)) for field in given
    )


def _settings() -> Iterator[Argument]:
    for key in Config._fields:
        if key in CONFIG_CHOICES:
            words = (spell_choice(key, one) for one in CONFIG_CHOICES[key])
            yield Argument(f"{key}=", either(words))
        elif key == "mmu_pages":
            yield Argument(f"{key}=", value(fields.MMU_PAGES))


def line_kinds() -> Iterator[LineOf]:
    """Every kind of line but the first one of a program, which is HEADER."""
    yield LineOf("line_config", "", "config", tuple(_settings()))
    kinds = Argument("", either(AREA_KINDS))
    yield LineOf("line_area", "", "area", (Argument("", value(fields.AREA)), kinds))
    yield LineOf("line_slot", "", "slot", arguments(SLOT_FIELDS))
    yield LineOf("line_schedule", "", "schedule", (Argument("", f"{NUMBER}:{either(SCHEDULED)}"),))
    for spec in BY_NAME.values():
        threads = either(THREADS[thread] for thread in spec.threads)
        yield LineOf(f"op_{spec.name}", threads, spec.name, arguments(spec.fields))


def first_line() -> str:
    """An expression for the first line of a program, without what may stand around it."""
    return "[ \\t]+".join(HEADER.split())
