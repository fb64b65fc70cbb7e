# SPDX-License-Identifier: GPL-2.0-only
"""Makes programs from nothing: a configuration, useful slots, and phrases of a few kinds.

Swarm testing: each program uses a random subset of the kinds, because a bug that needs two kinds
close together is drowned by thirty others, and some kinds suppress what others would reach.  Most
programs have a theme besides: one or two phrases that come again and again, often in a machine
that suits them, because a bug in what they are about takes several details to be right at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Any, Final

from . import addresses
from .far import far
from .fields import MMU_PAGES
from .limits import MAX_OPS, MAX_STEP, WORKER_THREAD
from .model import (
    AREA_KINDS,
    CONFIG_CHOICES,
    DEFAULT_AREAS,
    DELIBERATE,
    DIRTY_LOG,
    Config,
    Op,
    Program,
    SlotSpec,
)
from .normalise import normalise, normalise_config
from .op_maker import OpMaker
from .ops import GUEST_KINDS, OPS, Kind
from .phrases import PHRASES, THEMES, Phrase
from .phrases.parts import SYNC
from .phrases.race import race

DEFAULT_OPS: Final = 24
"""Operations of a generated program, about."""
_SWITCH_GAP: Final = 40
"""Preemption points between two switches of a generated schedule, about."""
_FIXED: Final = DELIBERATE | {"vcpus"}
"""Choices that are not made by rolling dice: the campaign's, or one with its own weights."""
_KINDS: Final = tuple(kind for kind in OPS if kind not in GUEST_KINDS)
_PAIRED: Final = frozenset({Kind.BEGIN_FAULT, Kind.END_FAULT})
"""Kinds that only phrases make: alone they hardly ever do anything."""
_LAYOUTS: Final = (
    # gfn, pages, page: aligned, of many tables, off by one page, ending inside a 2M page, of 1G,
    # tiny, off by one page of the dirty bitmap's words
    (0x0, 0x400, 0x0),
    (0x0, 0x800, 0x200),
    (0x0, 0x1400, 0x0),
    (0x0, 0x600, 0x1),
    (0x200, 0x2FF, 0x200),
    (0x1FF, 0x402, 0x1FF),
    (0x40000, 0x40000, 0x40000),
    (0x40000, 0x40200, 0x0),
    (0x3FE00, 0x400, 0x3FE00),
    (0x80000, 0x8, 0x0),
    (0xC0001, 0x601, 0x401),
    (0x1C1, 0x43F, 0x1C1),
    (0x1, 0x7FF, 0x1),
)
_FLAGS: Final = (0, 0, 0, 0, 1, 1, 1, 2, 3)
_AREAS: Final = (0, 0, 0, 1, 2, 2, 3)
_SLOTS: Final = (1, 1, 2, 2, 2, 3)
_THEMED: Final = 0.7
_RACES: Final = 0.7
"""How often a concurrent program is made of races alone."""
_ONE_SLOT: Final = 0.6
"""How often such a program has a single slot of transparent huge pages."""
_RACE_PAGES: Final = (0x200, 0x400, 0x1400)
"""How many 4K pages that has: one, two or ten regions of 2M."""
_RACE_OPS: Final = (4, 4, 8, 8, 16)
"""How long it is then, at least: the schedules of small programs can be explored."""
_VCPUS: Final = (1, 2, 2, 2, 2, 3)
"""Of a concurrent program: threads that do not meet are no race."""
_MITIGATED: Final = 0.4
"""How often it begins under the NX mitigation, which brings in tables, a list and a worker."""
_PLAIN: Final = 0.7
"""How often a race is where pages may be huge, MMIO is cached, and no generation is about to wrap:
else no table is cut off, no MMIO SPTE stays, and a change of slots zaps everything."""
_RANGES: Final = 0.3
"""How often a race is where TLBs are flushed by ranges of gfns: those may name too few."""
_EXITS: Final = 0.03
"""How often the process that owns the VM of a concurrent program exits while others go on."""
_FAR: Final = 0.02
"""How often a program lies where the CPU's addresses end, or the fourth level of tables."""
_DIFFERING: Final = 0.04
"""How often the roots of its vCPUs, if there are several, have different numbers of levels."""
_SYNCS: Final = (0, 0, 1, 2, 3, 5)
"""Places where all threads of a concurrent program meet."""
_SCHEDULED: Final = 0.5
"""How often a concurrent program has a schedule; whoever runs one without chooses for it."""
_SUITED: Final = 0.5
"""How often a choice of the configuration is made as a theme would have it."""
_THEME_WEIGHT: Final = 60
"""Of all phrases of a theme together, in every program."""


def generate(
    rng: Random,
    *,
    config: Config | None = None,
    ops: int = DEFAULT_OPS,
    paging: str = "tdp",
    concurrent: bool = False,
    near: bool = False,
    used: list[str] | None = None,
) -> Program:
    """A normalised program of about `ops` operations; `used` gets the names of its phrases.

    With `config` that configuration is used as it is, else one is made for `paging`; few of those
    have their gfns above 4 GiB, and with `near` none.  A
    `concurrent` one has places where all threads meet, often a schedule, and few addresses.
    """
    theme = rng.sample(THEMES, rng.choice((1, 1, 2))) if rng.random() < _THEMED else []
    races = concurrent and rng.random() < _RACES
    own = config is None
    if config is None:
        config = generate_config(rng, paging=paging, theme=theme)
        if concurrent:
            nx = rng.random() < _MITIGATED
            vcpus, layout = rng.choice(_VCPUS), rng.choice(CONFIG_CHOICES["layout"])
            config = normalise_config(config._replace(vcpus=vcpus, nx=nx, layout=str(layout)))
        if races and rng.random() < _PLAIN:
            config = normalise_config(config._replace(max_level=3, mmio_caching=True, gen_bias=0))
        if races and rng.random() < _RANGES:
            config = normalise_config(config._replace(range_flush=True))
        if races and rng.random() < _ONE_SLOT:
            pages, flags = rng.choice(_RACE_PAGES), rng.choice((0, DIRTY_LOG))
            slot = SlotSpec(slot=0, as_id=0, gfn=0, npages=pages, area=0, page=0, flags=flags)
            areas = ("thp", *config.areas[1:])
            config = normalise_config(config._replace(areas=areas, slots=(slot,)))
    if own and not near and paging == "tdp" and config.vcpus > 1 and rng.random() < _DIFFERING:
        config = with_differing_levels(rng, config)
    count = rng.choice((1, 1, 2, 3) if concurrent else (1, 2, 2, 3, 5))
    places = [addresses.pick(rng, config) for _ in range(count)]
    maker = OpMaker(rng, config, places)
    kinds = swarm(rng)
    for phrase in theme:
        kinds = tuple(sorted({*kinds, *phrase.needs}))
    phrases = [phrase for phrase in PHRASES if phrase.needs <= set(kinds)]
    extra = _THEME_WEIGHT // max(1, len(theme))
    weights = list(accumulate(phrase.weight + extra * (phrase in theme) for phrase in phrases))
    weighted = [kind for kind in kinds for _ in range(OPS[kind].weight) if kind not in _PAIRED]
    target = min(max(1, int(rng.expovariate(1 / ops)) if rng.random() < 0.3 else ops), MAX_OPS)
    made: list[Op] = []
    if races:
        target = min(target, rng.choice(_RACE_OPS))
        while len(made) < target:
            made += race(maker)
    while len(made) < target:
        made += rng.choices(phrases, cum_weights=weights)[0].ops(maker, weighted)
    if used is not None:
        used += maker.used
    schedule: tuple[tuple[int, int], ...] = ()
    if concurrent:
        for _ in range(0 if SYNC in made else rng.choice(_SYNCS)):
            made.insert(rng.randrange(len(made) + 1), SYNC)
        if rng.random() < _SCHEDULED:
            schedule = generate_schedule(rng, made)
    if own and concurrent and rng.random() < _EXITS:
        config = config._replace(exit_races=True)
        made[MAX_OPS - 2 :] = []
        made += [Op(Kind.NX, WORKER_THREAD, (int(on),)) for on in (not config.nx, config.nx)]
    program = normalise(Program(config, tuple(made[:MAX_OPS]), schedule))
    if own and not near and paging == "tdp" and rng.random() < _FAR:
        program = far(program, rng)
    return program


def is_concurrent(program: Program) -> bool:
    """True if its threads are meant to run at once: it has a schedule, or places where all meet."""
    return bool(program.schedule) or SYNC in program.ops


def swarm(rng: Random) -> tuple[Kind, ...]:
    """The kinds of one program: about half of them or few, an access and a host change at least."""
    share = rng.choice((0.15, 0.3, 0.5, 0.8))
    chosen = {kind for kind in _KINDS if rng.random() < share}
    chosen.add(rng.choice((Kind.WRITE, Kind.WRITE, Kind.READ, Kind.EXEC)))
    chosen.add(rng.choice((Kind.DONTNEED, Kind.MUNMAP, Kind.MIGRATE, Kind.COW_WRITE)))
    if rng.random() < 0.6:
        chosen.add(Kind.BEGIN_FAULT)
    return tuple(sorted(chosen))


def generate_config(rng: Random, *, paging: str = "tdp", theme: Sequence[Phrase] = ()) -> Config:
    """A configuration for that paging: few or many choices not at their defaults, some slots."""
    values: dict[str, Any] = {"paging": paging, "vcpus": rng.choice((1, 1, 2, 2, 2, 3, 4))}
    share = rng.choice((0.1, 0.1, 0.3, 0.6) if theme else (0.1, 0.3, 0.6, 0.9))
    for name, choices in CONFIG_CHOICES.items():
        if name not in _FIXED and rng.random() < share:
            values[name] = rng.choice(choices)
    for phrase in theme:
        for name, value in phrase.machine:
            if rng.random() < _SUITED:
                values[name] = value
    if rng.random() < 0.1:
        values["mmu_pages"] = rng.choice(MMU_PAGES.hot)
    areas = tuple(rng.choice(AREA_KINDS) if rng.random() < 0.25 else kind for kind in DEFAULT_AREAS)
    layouts = [layout for phrase in theme for layout in phrase.layouts]
    slots: list[SlotSpec] = []
    for _ in range(rng.choice(_SLOTS)):
        slots.append(generate_slot(rng, slots, layouts))
    return normalise_config(Config(**values, areas=areas, slots=tuple(slots)))


def with_differing_levels(rng: Random, config: Config) -> Config:
    """The configuration with roots of five levels and, for some of its vCPUs, of four."""
    four = rng.randrange(1, 1 << config.vcpus)
    config = config._replace(root_level=5, layout="ept", four_levels=four)
    return normalise_config(config)


def generate_slot(
    rng: Random, others: Sequence[SlotSpec], suited: Sequence[tuple[int, int, int]] = ()
) -> SlotSpec:
    """A slot with the next id at an interesting place, half of the time one of the `suited`.

    Some stand in SMM's address space, often over the gfns of an ordinary one; some share their
    host pages with another slot.  Areas of huge pages are preferred.
    """
    gfn, pages, page = rng.choice(suited if suited and rng.random() < _SUITED else _LAYOUTS)
    area = rng.choice(_AREAS)
    slot = SlotSpec(len(others), 0, gfn, pages, area, page, rng.choice(_FLAGS))
    if others and rng.random() < 0.4:
        other = rng.choice(others)
        slot = slot._replace(as_id=1)
        if rng.random() < 0.5:
            slot = slot._replace(gfn=other.gfn, npages=other.npages)
    elif others and rng.random() < 0.2:
        other = rng.choice(others)
        slot = slot._replace(area=other.area, page=other.page)
    return slot


def generate_schedule(rng: Random, ops: list[Op]) -> tuple[tuple[int, int], ...]:
    """Some switches between the threads of the operations."""
    threads = sorted({op.thread for op in ops})
    switches = []
    step = 0
    for _ in range(rng.randrange(1, 4 + len(ops))):
        step += 1 + int(rng.expovariate(1 / _SWITCH_GAP))
        if step < MAX_STEP:
            switches.append((step, rng.choice(threads)))
    return tuple(switches)
