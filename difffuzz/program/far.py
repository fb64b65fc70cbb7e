# SPDX-License-Identifier: GPL-2.0-only
"""Moves a program up in guest memory: to its CPU's last gfn, or across what four levels map."""

from __future__ import annotations

from random import Random
from typing import Final

from .fields import GFN
from .limits import FOUR_LEVEL_BITS, FOUR_LEVEL_GFNS, LOW_GFNS
from .model import CONFIG_CHOICES, Program, SlotSpec
from .normalise import normalise, normalise_config, slots_end
from .ops import OPS, SLOT_FIELDS

_ACROSS: Final = 0.3
"""How often a machine of five levels has its programs where the fourth ends."""


def far(program: Program, rng: Random) -> Program:
    """The program on a CPU with other address bits, all of its gfns moved by as many GiB.

    It should be one with nested paging whose gfns are below 4 GiB: all of them keep what they have
    in common, and may end where the CPU's addresses do.
    """
    config = program.config
    bits = rng.choice(CONFIG_CHOICES["maxphyaddr"])
    levels = 5 if int(bits) > FOUR_LEVEL_BITS else config.root_level
    config = normalise_config(config._replace(maxphyaddr=int(bits), root_level=levels))
    end = slots_end(config)
    distance = end - LOW_GFNS
    if end > FOUR_LEVEL_GFNS and rng.random() < _ACROSS:
        distance = FOUR_LEVEL_GFNS - LOW_GFNS // 2
    slots = []
    for slot in config.slots:
        args = zip(SLOT_FIELDS, slot, strict=True)
        slots.append(SlotSpec(*(v + distance if f.type is GFN else v for f, v in args)))
    ops = tuple(
        op._replace(
            args=tuple(
                value + distance if field.type is GFN else value
                for field, value in zip(OPS[op.kind].fields, op.args, strict=True)
            )
        )
        for op in program.ops
    )
    return normalise(Program(config._replace(slots=tuple(slots)), ops, program.schedule))
