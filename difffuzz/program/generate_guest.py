# SPDX-License-Identifier: GPL-2.0-only
"""Makes programs whose guest has page tables of its own: a machine, phrases about its tables."""

from __future__ import annotations

from itertools import accumulate
from random import Random
from typing import Any, Final

from .guest_tables import LATE_GFN
from .limits import MAX_OPS, VCPU_THREADS
from .model import AREA_KINDS, CONFIG_CHOICES, Config, Op, Program, SlotSpec
from .normalise import normalise, normalise_config
from .phrases.guest_pages import GUEST_PHRASES, GuestPhrase, GuestScene, by_device, toggles
from .phrases.guest_shadow import DEVICE_PHRASES, SHADOW_PHRASES, by_the_kernel
from .phrases.parts import SYNC

DEFAULT_OPS: Final = 24
_DEVICE: Final = 0.2
"""How often a program has a device that writes to memory: after it next to nothing is judged."""
_OF_GUESTS: Final = GUEST_PHRASES + SHADOW_PHRASES
_OF_DEVICES: Final = ((by_device, 4), *DEVICE_PHRASES)
_NOT_FOR: Final = {"ept12": (toggles, by_the_kernel), "npt12": (by_the_kernel,)}
_PLAIN: Final = 0.5
_THEMED: Final = 0.5
"""How often a program is mostly about two or three phrases."""
_CHANCED: Final = ("ad", "layout", "max_level", "nx", "mmio_caching", "eager_split", "slot_zap_all")
_PHASES: Final = (4, 8, 16)
"""Operations of a phase in which threads run at once, about: one of these."""
_HOMES: Final = (0x200, 0x200, 0x40, 0x400, LATE_GFN)


def generate_guest(
    rng: Random,
    guest: str,
    *,
    config: Config | None = None,
    ops: int = DEFAULT_OPS,
    used: list[str] | None = None,
) -> Program:
    """A normalised program of about `ops` operations; `used` gets the names of its phrases."""
    if config is None:
        config = guest_config(rng, guest)
    maker = GuestScene(rng, config)
    phrases = [*_of(guest), *(_OF_DEVICES if rng.random() < _DEVICE else ())]
    themes = rng.sample(range(len(phrases)), rng.choice((2, 3))) if rng.random() < _THEMED else []
    weights = list(accumulate(w + 40 * (n in themes) for n, (_, w) in enumerate(phrases)))
    made: list[Op] = []
    while len(made) < ops:
        phrase = rng.choices(phrases, cum_weights=weights)[0][0]
        maker.used.append(phrase.__name__)
        made += phrase(maker)
    if used is not None:
        used += maker.used
    return normalise(Program(config, tuple(made[:MAX_OPS])))


def at_once(rng: Random, program: Program) -> Program:
    """The same with threads at once: what its vCPUs do is done by several, which meet at times."""
    vcpus = max(program.config.vcpus, rng.choice((2, 2, 3)))
    phase, made = rng.choice(_PHASES), list[Op]()
    for op in program.ops:
        made.append(op._replace(thread=rng.randrange(vcpus)) if op.thread in VCPU_THREADS else op)
        if rng.random() * phase < 1:
            made.append(SYNC)
    config = program.config._replace(vcpus=vcpus)
    return normalise(Program(config, (SYNC, *made)[:MAX_OPS]))


def guest_config(rng: Random, guest: str) -> Config:
    """A machine for such a guest: its home slot, others behind it, and one that may be late."""
    values: dict[str, Any] = {"guest": guest, "vcpus": rng.choice((1, 1, 2, 2, 3))}
    if rng.random() > _PLAIN:
        for name in _CHANCED:
            if rng.random() < 0.25:
                values[name] = rng.choice(CONFIG_CHOICES[name])
    slots = [SlotSpec(0, 0, 0, rng.choice(_HOMES), 0, 0)]
    if rng.random() < 0.5:
        slots.append(SlotSpec(2, 0, 0x400, 0x200, rng.choice((0, 1, 2)), 0x400))
    if rng.random() < 0.4:
        slots.append(SlotSpec(3, 0, 0x200, 0x200, rng.choice((0, 1, 3)), 0x200))
    if rng.random() < 0.4:
        slots.append(SlotSpec(1, 0, LATE_GFN, rng.choice((1, 2)), 1, LATE_GFN))
    areas = Config().areas
    if rng.random() < 0.2:
        area = rng.randrange(len(areas))
        areas = (*areas[:area], rng.choice(AREA_KINDS), *areas[area + 1 :])
    return normalise_config(Config(**values, areas=areas, slots=tuple(slots)))


def guest_ops(rng: Random, config: Config) -> list[Op]:
    """One phrase about the tables as they are at first, for a program that is changed."""
    maker = GuestScene(rng, config)
    phrases = _of(config.guest)
    weights = [weight for _, weight in phrases]
    return rng.choices(phrases, weights)[0][0](maker)


def _of(guest: str) -> tuple[tuple[GuestPhrase, int], ...]:
    """The phrases of such guests: an EPT goes by no registers, an NPT by fewer."""
    left_out = _NOT_FOR.get(guest, ())
    return tuple(one for one in _OF_GUESTS if one[0] not in left_out)
