# SPDX-License-Identifier: GPL-2.0-only
"""The JSON form: what the text form says, with a name for each field (docs/export.md)."""

from __future__ import annotations

from collections.abc import Iterable

from ..program import THREADS, Op, SlotSpec
from ..program.fields import BOOL, Field
from ..program.limits import SCHEDULED
from ..program.model import Config
from ..program.ops import SLOT_FIELDS
from ..program.text_render import HEADER, spell_choice, spelled
from .reproducer import Reproducer
from .text import as_text

FORMAT = HEADER
Value = int | str | bool | list[str]


def as_json(one: Reproducer) -> dict[str, object]:
    """The document."""
    program = one.program
    return {
        "format": FORMAT,
        "name": one.name,
        "sides": {"left": one.left, "right": one.right},
        "mode": one.mode,
        "concurrent": one.concurrent,
        "notes": one.notes,
        "config": _config(program.config),
        "areas": list(program.config.areas),
        "slots": [_slot(slot) for slot in program.config.slots],
        "operations": [_operation(op, program.config.guest) for op in program.ops],
        "schedule": [
            {"step": step, "thread": SCHEDULED[thread]} for step, thread in program.schedule
        ],
        "text": as_text(one),
    }


_SPELLED = ("max_level", "four_levels")
"""Settings that are words in the text form, whatever they are inside."""


def _config(config: Config) -> dict[str, Value]:
    return {
        key: value if isinstance(value, bool | int) and key not in _SPELLED else spelt
        for key, value in config._asdict().items()
        if key not in ("areas", "slots")
        for spelt in [spell_choice(key, value)]
    }


def _slot(slot: SlotSpec) -> dict[str, Value]:
    return _named(SLOT_FIELDS, slot)


def _operation(op: Op, guest: str) -> dict[str, object]:
    spec, args = spelled(op, guest)
    return {
        "thread": THREADS[op.thread],
        "kind": spec.name,
        "arguments": _named(spec.fields, args),
    }


def _named(fields: Iterable[Field], args: Iterable[int]) -> dict[str, Value]:
    """The arguments by their keys of the text form."""
    pairs = zip(fields, args, strict=True)
    return {field.text_key: _value(field, value) for field, value in pairs}


def _value(field: Field, value: int) -> Value:
    """A number, a word, true or false, or the words of a set."""
    kind = field.type
    if kind is BOOL:
        return bool(value)
    if kind.bits:
        return [word for bit, word in enumerate(kind.bits) if value >> bit & 1]
    return kind.words[value - kind.low] if kind.words else value
