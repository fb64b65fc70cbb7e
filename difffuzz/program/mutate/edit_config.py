# SPDX-License-Identifier: GPL-2.0-only
"""Mutator: change the configuration: one choice, one area, or one initial slot.

Never touched: paging mode and guest, which decide what sides a program can run on and so are the
campaign's choice.
"""

from __future__ import annotations

from random import Random
from typing import Final

from ..fields import MMU_PAGES
from ..generate import generate_slot
from ..limits import MAX_SLOTS, N_AREAS
from ..model import AREA_KINDS, CONFIG_CHOICES, DELIBERATE, Config, Program, SlotSpec
from ..normalise import normalise
from ..op_maker import any_value
from ..ops import SLOT_FIELDS

name: Final = "edit_config"
_CHOICES: Final = tuple(key for key in CONFIG_CHOICES if key not in DELIBERATE)


def apply(program: Program, rng: Random, other: Program | None = None) -> Program:
    """The program with another configuration."""
    config = program.config
    way = rng.random()
    if way < 0.45:
        key = rng.choice(_CHOICES)
        config = config._replace(**{key: rng.choice(CONFIG_CHOICES[key])})  # type: ignore[arg-type]
    elif way < 0.5:
        config = config._replace(mmu_pages=any_value(rng, MMU_PAGES))
    elif way < 0.65:
        config = _with_area(config, rng)
    else:
        config = config._replace(slots=_other_slots(config.slots, rng))
    return normalise(Program(config, program.ops, program.schedule))


def _with_area(config: Config, rng: Random) -> Config:
    """Another kind for one area, mostly one that a slot uses."""
    area = int(rng.random() * N_AREAS)
    if config.slots and rng.random() < 0.8:
        area = rng.choice(config.slots).area
    kinds = (*config.areas[:area], rng.choice(AREA_KINDS), *config.areas[area + 1 :])
    return config._replace(areas=kinds)


def _other_slots(slots: tuple[SlotSpec, ...], rng: Random) -> tuple[SlotSpec, ...]:
    """One slot more, one less, or one with another value in a field."""
    way = rng.random()
    if not slots or (way < 0.25 and len(slots) < MAX_SLOTS):
        return (*slots, generate_slot(rng, slots))
    at = int(rng.random() * len(slots))
    if way < 0.4:
        return (*slots[:at], *slots[at + 1 :])
    n = int(rng.random() * len(SLOT_FIELDS))
    value = any_value(rng, SLOT_FIELDS[n].type)
    if SLOT_FIELDS[n].type.hot and rng.random() < 0.3:
        value = slots[at][n] + rng.choice((1, -1, 512, -512))
    slot = SlotSpec._make((*slots[at][:n], value, *slots[at][n + 1 :]))
    return (*slots[:at], slot, *slots[at + 1 :])
