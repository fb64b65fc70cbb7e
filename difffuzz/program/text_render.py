# SPDX-License-Identifier: GPL-2.0-only
"""Writes the text form of a program: `parse(render(p)) == p` for every normalised program."""

from __future__ import annotations

from typing import Final

from .fields import Field
from .limits import SCHEDULED, THREADS, VCPU_THREADS
from .model import CONFIG_CHOICES, DEFAULT_AREAS, NESTED, Config, Op, OpSpec, Program
from .ops import NESTED_OPS, OPS, SLOT_FIELDS
from .text_lex import spell

HEADER: Final = "difffuzz program v1"
_BOOLEAN: Final = {key for key, values in CONFIG_CHOICES.items() if isinstance(values[0], bool)}
_SWITCHES_A_LINE: Final = 8


def render(program: Program, *, comment: str = "") -> str:
    """The text form; `comment` (any lines) stands behind the first line, each line with a `#`."""
    config = program.config
    out = [HEADER]
    out += [f"# {line}".rstrip() for line in comment.splitlines()]
    said = [
        f"{key}={spell_choice(key, getattr(config, key))}"
        for key, value, default in zip(Config._fields, config, Config(), strict=True)
        if value != default and key not in ("areas", "slots")
    ]
    if said:
        out.append("config " + " ".join(said))
    for area, (kind, default) in enumerate(zip(config.areas, DEFAULT_AREAS, strict=True)):
        if kind != default:
            out.append(f"area {area} {kind}")
    for slot in config.slots:
        out.append(f"slot{_arguments(slot, SLOT_FIELDS)}".removesuffix(" flags=none"))
    out += [render_op(op, config.guest) for op in program.ops]
    switches = [f"{step}:{SCHEDULED[thread]}" for step, thread in program.schedule]
    for first in range(0, len(switches), _SWITCHES_A_LINE):
        out.append("schedule " + " ".join(switches[first : first + _SWITCHES_A_LINE]))
    return "\n".join(out) + "\n"


def render_op(op: Op, guest: str = "none") -> str:
    """The line of one operation, as in `host0: dontneed area=0 page=0x0 n=0x200`.

    `guest`: Config.guest of its program."""
    spec, args = spelled(op, guest)
    return f"{THREADS[op.thread]}: {spec.name}{_arguments(args, spec.fields)}"


def spelled(op: Op, guest: str) -> tuple[OpSpec, tuple[int, ...]]:
    """What an operation is called in a program of such a guest, and the arguments it has there."""
    spec = OPS[op.kind]
    if guest not in NESTED or op.kind not in NESTED_OPS:
        return spec, op.args
    said = NESTED_OPS[op.kind]
    return said, tuple(op.args[spec.position(field.name)] for field in said.fields)


def spell_choice(key: str, value: int | str) -> str:
    """A value of the configuration as the text form writes it."""
    if key == "max_level":
        return ("4K", "2M", "1G")[int(value) - 1]
    if key == "four_levels":
        vcpus = [THREADS[vcpu] for vcpu in VCPU_THREADS if int(value) >> vcpu & 1]
        return ",".join(vcpus) or "none"
    if key in _BOOLEAN:
        return "on" if value else "off"
    return str(value)


def _arguments(args: tuple[int, ...], fields: tuple[Field, ...]) -> str:
    """The arguments, each with a space in front."""
    return "".join(
        f" {'' if field.bare else field.text_key + '='}{spell(value, field.type)}"
        for value, field in zip(args, fields, strict=True)
    )
