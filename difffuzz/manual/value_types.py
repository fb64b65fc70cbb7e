# SPDX-License-Identifier: GPL-2.0-only
"""How the reference writes fields: the types of their values, usage lines, tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..program import fields
from ..program.fields import Field, FieldType
from ..program.text_lex import spell
from .docstrings import documented
from .markdown import code, plain


def types() -> dict[str, FieldType]:
    """The types of values by their name in the source, GFN and so on, as the source has them."""
    return {name: value for name, value in vars(fields).items() if isinstance(value, FieldType)}


def named(type: FieldType) -> str:
    """The type's name."""
    return next(name for name, value in types().items() if value is type)


def spelled_values(type: FieldType) -> str:
    """What an argument of the type may be; Markdown."""
    if type.words:
        return ", ".join(map(code, type.words))
    if type.bits:
        return f"`none`, or any of {', '.join(map(code, type.bits))} with commas"
    return f"{code(spell(type.low, type))} to {code(spell(type.high, type))}"


def spelled_default(field: Field) -> str:
    """A field's default as the text form writes it."""
    assert field.default is not None
    return spell(field.default, field.type)


def usage(given: Iterable[Field]) -> str:
    """The arguments as a usage line has them, each with a blank in front."""
    return "".join(f" {_argument(field)}" for field in given)


def _argument(field: Field) -> str:
    word = f"{'' if field.bare else field.text_key + '='}{named(field.type)}"
    return word if field.default is None else f"[{word}]"


def rows(given: Iterable[Field]) -> Iterator[tuple[str, str, str, str]]:
    """Of each field: key, type, values, default."""
    for field in given:
        key = "" if field.bare else code(f"{field.text_key}=")
        default = "must be there" if field.default is None else code(spelled_default(field))
        yield key or "(alone)", code(named(field.type)), spelled_values(field.type), default


def type_rows() -> Iterator[tuple[str, str, str]]:
    """Of each type: name, values, what it is."""
    said = documented(fields)
    for name, type in types().items():
        yield code(name), spelled_values(type), plain(said[name])
