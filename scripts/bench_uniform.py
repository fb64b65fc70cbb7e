# SPDX-License-Identifier: GPL-2.0-only
"""The plainest baseline of bench-bugs: every choice of a program is drawn evenly.

No phrases and no themes: kinds (in a concurrent run a place where all threads meet is one of them),
threads, arguments and the configuration are what a first random generator draws, each from the
values that are worth trying.
"""

from __future__ import annotations

from random import Random
from typing import Any

from difffuzz.program import OPS, Config, Kind, Op, Program, SlotSpec, normalise
from difffuzz.program.generate import DEFAULT_OPS
from difffuzz.program.limits import MAX_SLOTS, N_AREAS
from difffuzz.program.model import AREA_KINDS, CONFIG_CHOICES
from difffuzz.program.ops import SLOT_FIELDS
from difffuzz.program.scene import any_value

_ALONE = tuple(spec for spec in OPS.values() if spec.weight)
_AT_ONCE = (*_ALONE, OPS[Kind.SYNC])


def uniform(rng: Random, paging: str, concurrent: bool) -> Program:
    """A program as long as the generator's."""
    kinds = _AT_ONCE if concurrent else _ALONE
    choices: dict[str, Any] = {name: rng.choice(of) for name, of in CONFIG_CHOICES.items()}
    choices["paging"] = paging
    slots = [
        SlotSpec(*(any_value(rng, field.type) for field in SLOT_FIELDS))
        for _ in range(rng.randint(1, MAX_SLOTS // 2))
    ]
    areas = tuple(rng.choice(AREA_KINDS) for _ in range(N_AREAS))
    ops = []
    for _ in range(DEFAULT_OPS):
        spec = rng.choice(kinds)
        args = tuple(any_value(rng, field.type) for field in spec.fields)
        ops.append(Op(spec.kind, rng.choice(spec.threads), args))
    return normalise(Program(Config(**choices, areas=areas, slots=tuple(slots)), tuple(ops), ()))
