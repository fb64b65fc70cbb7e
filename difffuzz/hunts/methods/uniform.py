# SPDX-License-Identifier: GPL-2.0-only
"""Method: every choice of a program is drawn evenly, the plainest baseline.

No phrases and no themes: kinds (in a concurrent run a place where all threads meet is one of them),
threads, arguments and the configuration are what a first random generator draws, each from the
values that are worth trying.
"""

from __future__ import annotations

from random import Random

from ...program import OPS, Config, Kind, Op, Program, SlotSpec, normalise
from ...program.generate import DEFAULT_OPS
from ...program.limits import MAX_SLOTS, N_AREAS
from ...program.model import AREA_KINDS, CONFIG_CHOICES, DELIBERATE
from ...program.op_maker import any_value
from ...program.ops import SLOT_FIELDS
from ...variants.catalogue import Bug
from ..models import judge_of, pagings_of
from ..row import Row

_ALONE = tuple(spec for spec in OPS.values() if spec.weight)
_AT_ONCE = (*_ALONE, OPS[Kind.SYNC])


def hunt(bug: Bug, row: Row) -> None:
    """Programs from nothing until one shows the bug."""
    judge, pagings, rng = judge_of(bug, row), pagings_of(bug), Random(row.seed)
    while not row.over:
        row.take(judge.shown(uniform(rng, rng.choice(pagings), bug.concurrent)))


def uniform(rng: Random, paging: str, concurrent: bool) -> Program:
    """A program as long as the generator's."""
    kinds = _AT_ONCE if concurrent else _ALONE
    rolled = [name for name in CONFIG_CHOICES if name not in DELIBERATE]
    choices = {name: rng.choice(CONFIG_CHOICES[name]) for name in rolled}
    choices["paging"] = paging
    config = Config()._replace(**choices)  # type: ignore[arg-type]
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
    return normalise(Program(config._replace(areas=areas, slots=tuple(slots)), tuple(ops)))
