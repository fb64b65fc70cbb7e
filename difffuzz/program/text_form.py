# SPDX-License-Identifier: GPL-2.0-only
"""Reads the text form of a program, version 1: what people write, mail and keep in git.

    difffuzz program v1
    # a comment ends with its line
    config vcpus=2 layout=npt max_level=2M
    area 1 hugetlb2m
    slot 0 as=0 gfn=0x0 pages=0x400 area=0 page=0x0 flags=dirty
    vcpu0: write gfn=0x200
    host0: dontneed area=0 page=0x0 n=0x200
    schedule 12:vcpu1 30:host0

The first line must stand first; the others may come in any order, of which only that of the
operations and that of the slots have a meaning.  What is not said has its default.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from .fields import BRACKET, MMU_PAGES, Field
from .limits import (
    AREA_PAGES,
    MAX_OPS,
    MAX_SCHEDULE,
    MAX_SLOTS,
    MAX_STEP,
    MAX_VCPUS,
    N_AREAS,
    SCHEDULED,
    THREADS,
)
from .model import (
    AREA_KINDS,
    CONFIG_CHOICES,
    DEFAULT_AREAS,
    GUESTS,
    NESTED,
    Config,
    Op,
    Program,
    SlotSpec,
)
from .normalise import (
    as_nested,
    clash,
    fit,
    honestly,
    normalise_config,
    slots_end,
    within_four_levels,
)
from .ops import BY_NAME, HONEST, NESTED_OPS, OPS, SLOT_FIELDS, SLOT_SPANS, Kind
from .text_lex import Line, ProgramError, Word, lines
from .text_render import HEADER, spell_choice

__all__ = ["ProgramError", "parse"]

_OPS_OF: Final = [
    ", ".join(spec.name for spec in OPS.values() if thread in spec.threads)
    for thread in range(len(THREADS))
]
_NESTED_NAMES: Final = {spec.name for spec in NESTED_OPS.values()}
_CHOICES: Final[Mapping[str, Mapping[str, int | str]]] = {
    key: {spell_choice(key, value): value for value in values}
    for key, values in CONFIG_CHOICES.items()
}
_CONFIG_KEYS: Final = ", ".join(key for key in Config._fields if key not in ("areas", "slots"))


def parse(text: str | bytes, name: str = "<text>") -> Program:
    """The program that the text describes, normalised.

    Any text that is no program raises ProgramError with the place and what was expected there;
    nothing is mended silently.  `name` is what the error calls the text.
    """
    reader = _Reader()
    source = lines(text, name)
    first = next(source, None)
    if first is None:
        raise ProgramError(name, 1, 1, f"the line {HEADER!r}")
    if [word.text for word in first.words] != HEADER.split():
        raise first.words[0].error(f"the line {HEADER!r}")
    for line in source:
        reader.line(line)
    return reader.program()


class _Reader:
    """What was read so far."""

    __slots__ = ("areas", "erring", "given", "nested", "ops", "placed", "schedule", "slots")

    def __init__(self) -> None:
        self.given: dict[str, tuple[int | str, Word]] = {}
        self.areas: dict[int, str] = {}
        self.erring: Word | None = None
        """The first word that only a host that errs may say."""
        self.nested: Word | None = None
        """The first operation's name that only programs with an L2 may say."""
        self.slots: list[SlotSpec] = []
        self.placed: list[Word] = []
        """The first word of each slot's line."""
        self.ops: list[tuple[Op, Word]] = []
        self.schedule: list[tuple[int, int]] = []

    def line(self, line: Line) -> None:
        """Read one line."""
        head = line.words[0]
        if head.text.endswith(":"):
            self._op(line)
        elif head.text == "config":
            self._config(line)
        elif head.text == "area":
            self._area(line)
        elif head.text == "slot":
            self._slot(line)
        elif head.text == "schedule":
            self._schedule(line)
        else:
            raise head.error("config, area, slot, schedule or a thread with a colon")

    def _config(self, line: Line) -> None:
        for word in line.words[1:]:
            key, value = word.cut("=")
            if key.text != "mmu_pages" and key.text not in _CHOICES:
                raise key.error(f"key=value with a key of {_CONFIG_KEYS}")
            if value is None:
                raise word.error(f"{key.text}=value")
            if key.text in self.given:
                raise key.error(f"{key.text} only once")
            if key.text == "mmu_pages":
                self.given[key.text] = (value.number(MMU_PAGES.low, MMU_PAGES.high), value)
                continue
            choices = _CHOICES[key.text]
            if value.text not in choices:
                raise value.error(" or ".join(choices))
            self.given[key.text] = (choices[value.text], value)

    def _area(self, line: Line) -> None:
        if len(line.words) < 3:
            raise line.end.error("area NUMBER KIND")
        area = line.words[1].number(0, N_AREAS - 1)
        if area in self.areas:
            raise line.words[1].error("each area only once")
        if line.words[2].text not in AREA_KINDS:
            raise line.words[2].error(" or ".join(AREA_KINDS))
        if len(line.words) > 3:
            raise line.words[3].error("the end of the line")
        self.areas[area] = line.words[2].text

    def _slot(self, line: Line) -> None:
        slot = SlotSpec(*_arguments(line, 1, SLOT_FIELDS, SLOT_SPANS))
        if len(self.slots) >= MAX_SLOTS:
            raise line.words[0].error(f"at most {MAX_SLOTS} slots")
        for other in self.slots:
            if clash(slot, other):
                raise line.words[1].error(
                    f"a slot that shares neither id nor gfns with slot {other.slot} of its space"
                )
        self.slots.append(slot)
        self.placed.append(line.words[0])

    def _op(self, line: Line) -> None:
        label = line.words[0]
        if label.text[:-1] not in THREADS:
            raise label.error("a thread: " + ", ".join(THREADS))
        thread = THREADS.index(label.text[:-1])
        name = line.words[1] if len(line.words) > 1 else line.end
        spec = BY_NAME.get(name.text)
        if spec is None or thread not in spec.threads:
            raise name.error(f"an operation of {THREADS[thread]}: {_OPS_OF[thread]}")
        if len(self.ops) >= MAX_OPS:
            raise label.error(f"at most {MAX_OPS} operations")
        args = _arguments(line, 2, spec.fields, spec.spans)
        if spec.name in _NESTED_NAMES:
            args = fit(args, OPS[spec.kind].fields, ())
            self.nested = self.nested or name
        op = Op(spec.kind, thread, args)
        if spec.kind in HONEST and honestly(spec.kind, args) != args and self.erring is None:
            self.erring = _erring_word(line)
        self.ops.append((op, label))

    def _schedule(self, line: Line) -> None:
        for word in line.words[1:]:
            number, thread = word.cut(":")
            if thread is None or thread.text not in SCHEDULED:
                raise word.error("STEP:THREAD")
            step = number.number(0, MAX_STEP - 1)
            if self.schedule and step <= self.schedule[-1][0]:
                raise number.error(f"a step after {self.schedule[-1][0]}")
            if len(self.schedule) >= MAX_SCHEDULE:
                raise word.error(f"at most {MAX_SCHEDULE} switches")
            self.schedule.append((step, SCHEDULED.index(thread.text)))

    def program(self) -> Program:
        """The program, once every line was read."""
        values: dict[str, Any] = {key: value for key, (value, _) in self.given.items()}
        areas = tuple(self.areas.get(n, kind) for n, kind in enumerate(DEFAULT_AREAS))
        config = normalise_config(Config(**values, areas=areas, slots=tuple(self.slots)))
        for key, (value, word) in self.given.items():
            if getattr(config, key) != value:
                fit = spell_choice(key, getattr(config, key))
                raise word.error(f"{key}={fit}, to go with the rest of config")
        end = slots_end(config)
        why = "four_levels" if config.four_levels else "maxphyaddr"
        why += "=" + spell_choice(why, getattr(config, why))
        for slot, word in zip(self.slots, self.placed, strict=True):
            if slot.gfn + slot.npages > end:
                raise word.error(f"gfns below {end:#x} (config {why})")
        if self.erring is not None and not config.host_errs:
            right = "whole"
            if self.erring.text not in BRACKET.words:
                right = f"a number in 0x1..{AREA_PAGES:#x}"
            raise self.erring.error(f"{right}: else the host errs (config host_errs=on)")
        if self.nested is not None and config.guest not in NESTED:
            either = " or ".join(guest for guest in GUESTS if guest in NESTED)
            raise self.nested.error(f"an operation of this guest: an L2 has config guest={either}")
        vcpus = config.vcpus
        for op, label in self.ops:
            if op.kind is Kind.VCPU_CREATE:
                vcpus = min(vcpus + 1, MAX_VCPUS)
            elif vcpus <= op.thread < MAX_VCPUS:
                raise label.error(f"one of the {vcpus} vCPUs that exist here (config vcpus=)")
            if config.four_levels and within_four_levels((op,)) != (op,):
                raise label.error(f"gfns that four levels of tables map, below {end:#x} ({why})")
        ops = tuple(op for op, _ in self.ops)
        if config.guest in NESTED:
            ops = as_nested(ops)
        return Program(config, ops, tuple(self.schedule))


def _erring_word(line: Line) -> Word:
    """The word of the operation that only a host that errs may say."""
    for word in line.words[2:]:
        if word.text in BRACKET.words[1:]:
            return word
    return next(word for word in line.words if word.text.startswith("n="))


def _arguments(
    line: Line, start: int, fields: tuple[Field, ...], spans: tuple[tuple[int, int, int], ...]
) -> tuple[int, ...]:
    """The arguments in the words from `start` on: bare ones without a key, others in any order."""
    found: dict[str, tuple[int, Word]] = {}
    by_key = {field.text_key: field for field in fields}
    bare = [field for field in fields if field.bare]
    for word in line.words[start:]:
        key, value = word.cut("=")
        if value is None and bare:
            field, value = bare.pop(0), word
        else:
            named = by_key.get(key.text)
            if named is None or named.bare:
                raise key.error(_usage(fields))
            if value is None:
                raise key.error(f"{key.text}=value")
            field = named
        if field.name in found:
            raise key.error(f"{field.text_key} only once")
        found[field.name] = (value.value(field.type), value)
    args: list[int] = []
    for field in fields:
        if field.name in found:
            args.append(found[field.name][0])
        elif field.default is not None:
            args.append(field.default)
        else:
            raise line.end.error(_usage((field,)))
    for base, count, limit in spans:
        if args[base] + args[count] > limit:
            word = found[fields[count].name][1]
            room = hex(limit - args[base])
            raise word.error(f"at most {room} pages from {fields[base].text_key}={args[base]:#x}")
    return tuple(args)


def _usage(fields: tuple[Field, ...]) -> str:
    """What may stand behind an operation."""
    if not fields:
        return "the end of the line"
    return " ".join(
        f"{field.text_key}=" if not field.bare else " or ".join(field.type.words) or field.text_key
        for field in fields
    )
