# SPDX-License-Identifier: GPL-2.0-only
"""The grammar of the text form, made from the tables that its reader goes by.

Two kinds of rules: the parts of `LINES` are words, with blanks between them; the parts of `WORDS`
stand together.  "..." is text, [ ] may be left out, { } comes any number of times, | is a choice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ..program.limits import SCHEDULED, THREADS
from ..program.model import AREA_KINDS, CONFIG_CHOICES, Config
from ..program.ops import BY_NAME
from ..program.text_render import HEADER, spell_choice

MARKS = (
    '`"..."` is text, `[ ]` may be left out, `{ }` comes any number of times, `|` is a choice. A '
    "key is that of an argument, a value a number or a word of its type; digits are decimal, hex "
    "ones are of either case."
)
"""How to read it; Markdown."""
LINES: Mapping[str, str] = {
    "program": "header { line }",
    "header": " ".join(f'"{word}"' for word in HEADER.split()),
    "line": "[ config | area | slot | operation | schedule ]",
    "config": '"config" { setting }',
    "area": '"area" number kind',
    "slot": '"slot" { argument }',
    "operation": "thread name { argument }",
    "schedule": '"schedule" { switch }',
}
"""The rules of lines, by name."""


def _choice(words: Iterable[str]) -> str:
    return " | ".join(f'"{word}"' for word in words)


def _settings() -> str:
    return " |\n".join(
        f'"{key}=" ( {_choice(spell_choice(key, value) for value in CONFIG_CHOICES[key])} )'
        if key in CONFIG_CHOICES
        else f'"{key}=" number'
        for key in Config._fields
        if key not in ("areas", "slots")
    )


WORDS: Mapping[str, str] = {
    "setting": _settings(),
    "kind": _choice(AREA_KINDS),
    "thread": f'( {_choice(THREADS)} ) ":"',
    "name": _choice(BY_NAME),
    "argument": '[ key "=" ] value { "," value }',
    "switch": f'number ":" ( {_choice(SCHEDULED)} )',
    "number": 'digit { digit } | "0x" hex { hex }',
}
"""The rules of words, by name; `key`, `value`, `digit` and `hex` say what they are."""


def text(width: int = 80) -> str:
    """Both kinds of rules, as a page shows them."""
    said = ["of lines: each part is a word, with blanks or tabs between\n"]
    said += [_rule(name, rule, width) for name, rule in LINES.items()]
    said += ["\nof words: the parts stand together\n"]
    said += [_rule(name, rule, width) for name, rule in WORDS.items()]
    return "\n".join(said)


def _rule(name: str, rule: str, width: int) -> str:
    """A rule in lines of that width; what follows the first is indented."""
    lines = [f"{name:9} ="]
    for number, meant in enumerate(rule.split("\n")):
        if number:
            lines.append(" " * 11)
        for part in meant.split(" "):
            if len(lines[-1]) + len(part) >= width:
                lines.append(" " * 11)
            lines[-1] += f" {part}"
    return "\n".join(lines)
