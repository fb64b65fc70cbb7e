# SPDX-License-Identifier: GPL-2.0-only
"""The nearest program that keeps every rule.

A normalised program has arguments in range, threads that may run their operations, no operation of
a vCPU before it exists (`Config.vcpus`, plus one for each vcpu_create in front), initial slots that
do not overlap, a configuration that hardware could have, and an ascending schedule.  Normalising is
idempotent and returns the same object where nothing is to do.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from .fields import COUNT, FEW, GFN, MMU_PAGES, Field
from .guest_tables import HOME_PAGES, LATE_GFN
from .limits import (
    FOUR_LEVEL_BITS,
    FOUR_LEVEL_GFNS,
    GFN_LIMIT,
    MAX_OPS,
    MAX_SCHEDULE,
    MAX_SLOTS,
    MAX_STEP,
    MAX_VCPUS,
    MOST_BITS,
    N_AREAS,
    PAGE_BITS,
    SCHEDULED,
    USUAL_BITS,
)
from .model import (
    AREA_KINDS,
    CONFIG_CHOICES,
    DEFAULT_AREAS,
    DIRTY_LOG,
    NESTED,
    Config,
    Op,
    Program,
    SlotSpec,
)
from .ops import HONEST, NESTED_OPS, OPS, SLOT_FIELDS, SLOT_SPANS, Kind

_LEAST_SHADOWED: Final = 64
"""MMU pages of a guest with page tables: the walk of one address takes four."""
_LAYOUTS: Final = {"ept12": "ept", "npt12": "npt"}
"""An L1 has what its CPU has."""
_HOME: Final = 0x200
"""Pages of the home slot, unless the program says more."""
Spans = tuple[tuple[int, int, int], ...]
_BOUNDS: Final = [(field.type.low, field.type.high) for field in SLOT_FIELDS]
_RULES: Final = {
    kind: (
        spec.threads,
        spec.threads[0] == 0,
        tuple((field.type.low, field.type.high) for field in spec.fields),
        spec.spans,
    )
    for kind, spec in OPS.items()
}
_NAMES_GFN: Final = {
    kind: (
        types.index(GFN),
        next((at for at, one in enumerate(types) if one in (COUNT, FEW)), -1),
    )
    for kind, spec in OPS.items()
    if GFN in (types := [field.type for field in spec.fields])
}
"""By kind: where its arguments have a gfn, and how many pages from there on it is about, or -1."""
_CHOICES: Final = [
    (position, name, CONFIG_CHOICES[name], frozenset(CONFIG_CHOICES[name]))
    for position, name in enumerate(Config._fields)
    if name in CONFIG_CHOICES
]


def normalise(program: Program) -> Program:
    """The nearest program that keeps every rule; the program itself if it does."""
    config = normalise_config(program.config)
    ops = normalise_ops(program.ops, config.vcpus, config.host_errs)
    if config.guest in NESTED:
        ops = as_nested(ops)
    if config.four_levels:
        ops = within_four_levels(ops)
    schedule = program.schedule
    if schedule:
        schedule = normalise_schedule(schedule)
    if config is program.config and ops is program.ops and schedule is program.schedule:
        return program
    return Program(config, ops, schedule)


def normalise_ops(ops: tuple[Op, ...], vcpus: int, errs: bool = False) -> tuple[Op, ...]:
    """Operations with every argument in range and on a thread that may run them.

    `errs`: the host may err (Config.host_errs).
    """
    if len(ops) > MAX_OPS:
        ops = ops[:MAX_OPS]
    rules = _RULES
    changes: list[tuple[int, Op]] = []
    for position, (kind, thread, args) in enumerate(ops):
        threads, on_vcpu, bounds, spans = rules[kind]
        good = len(args) == len(bounds)
        if good:
            for value, (low, high) in zip(args, bounds, strict=True):
                if not low <= value <= high:
                    good = False
                    break
            for base, count, limit in spans:
                if args[base] + args[count] > limit:
                    good = False
                    break
        if not good:
            args = fit(args, OPS[kind].fields, spans)
        if not errs and kind in HONEST and args != (honest := honestly(kind, args)):
            good, args = False, honest
        home = thread
        if thread not in threads:
            home = threads[thread % len(threads)]
        if on_vcpu:
            if home >= vcpus:
                home %= vcpus
        elif kind == Kind.VCPU_CREATE and vcpus < MAX_VCPUS:
            vcpus += 1
        if not good or home != thread:
            changes.append((position, Op(kind, home, args)))
    if not changes:
        return ops
    result = list(ops)
    for position, op in changes:
        result[position] = op
    return tuple(result)


def as_nested(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """The operations of a program with an L2: fields that count for nothing are at their lowest."""
    changes = {
        at: op._replace(args=_telling(op))
        for at, op in enumerate(ops)
        if op.kind in NESTED_OPS and op.args != _telling(op)
    }
    return tuple(changes.get(at, op) for at, op in enumerate(ops)) if changes else ops


def _telling(op: Op) -> tuple[int, ...]:
    told = {field.name for field in NESTED_OPS[op.kind].fields}
    pairs = zip(op.args, OPS[op.kind].fields, strict=True)
    return tuple(value if field.name in told else field.type.low for value, field in pairs)


def within_four_levels(ops: tuple[Op, ...]) -> tuple[Op, ...]:
    """The operations with no gfn that tables of four levels do not map; no memslot gets there."""
    changes = {
        at: op._replace(args=args)
        for at, op in enumerate(ops)
        if op.kind in _NAMES_GFN and (args := _mapped_by_four(op)) != op.args
    }
    return tuple(changes.get(at, op) for at, op in enumerate(ops)) if changes else ops


def _mapped_by_four(op: Op) -> tuple[int, ...]:
    at, count = _NAMES_GFN[op.kind]
    # How long the memslot is that moves, nobody knows here.
    end = FOUR_LEVEL_GFNS - (COUNT.high if op.kind is Kind.MEMSLOT_MOVE else 0)
    args = list(op.args)
    args[at] %= end
    if count >= 0:
        args[count] = min(args[count], end - args[at])
    return tuple(args)


def honestly(kind: Kind, args: tuple[int, ...]) -> tuple[int, ...]:
    """The arguments of a host operation as a host has them that does not err."""
    for position, low, high in HONEST[kind]:
        if not low <= args[position] <= high:
            value = min(max(args[position], low), high)
            args = (*args[:position], value, *args[position + 1 :])
    return args


def fit(args: Iterable[int], fields: tuple[Field, ...], spans: Spans) -> tuple[int, ...]:
    """The arguments wrapped into their ranges, missing ones at their lowest, counts cut to fit."""
    given = list(args)[: len(fields)]
    given += [field.type.low for field in fields[len(given) :]]
    for position, (value, field) in enumerate(zip(given, fields, strict=True)):
        low, high = field.type.low, field.type.high
        if not low <= value <= high:
            given[position] = low + (value - low) % (high - low + 1)
    for base, count, limit in spans:
        given[count] = min(given[count], limit - given[base])
    return tuple(given)


def normalise_schedule(schedule: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
    """The switches by ascending step, one a step (the first wins), at most MAX_SCHEDULE."""
    switches: dict[int, int] = {}
    for step, thread in schedule:
        switches.setdefault(step % MAX_STEP, thread % len(SCHEDULED))
    result = tuple(sorted(switches.items())[:MAX_SCHEDULE])
    return schedule if result == schedule else result


def normalise_config(config: Config) -> Config:
    """A configuration that hardware and kernel could have, with slots that can all be created.

    Tables of five levels and more than 48 address bits go together; without the latter only NPT has
    the former, where the host's own tables have five levels (`kvm_mmu_get_tdp_level()`).  So only
    with EPT have vCPUs different numbers of levels; the host has 52 address bits then.
    Nested paging on AMD has accessed and dirty bits and no PML; PML needs EPT with them; a
    nonpaging guest is shadowed with ordinary x86 entries in PAE tables, which have no 1G page, and
    without nested paging nothing limits KVM to 4K (`kvm_configure_mmu()`).
    """
    changes: dict[str, Any] = {}
    for position, name, choices, legal in _CHOICES:
        if config[position] not in legal:
            changes[name] = choices[0]
    if not 0 <= config.mmu_pages <= MMU_PAGES.high:
        changes["mmu_pages"] = min(max(config.mmu_pages, 0), MMU_PAGES.high)
    if config.areas != DEFAULT_AREAS:
        areas = normalise_areas(config.areas)
        if areas != config.areas:
            changes["areas"] = areas
    if changes:
        config = config._replace(**changes)
    config = _consistent(config)
    slots = config.slots
    if slots:
        slots = normalise_slots(slots, slots_end(config))
    if config.guest != "none":
        slots = _with_home(slots)
    return config._replace(slots=slots) if slots != config.slots else config


def memslots_end(config: Config) -> int:
    """The first gfn that no memslot has, kvm_mmu_max_gfn() + 1."""
    if config.paging == "tdp":
        return 1 << config.maxphyaddr - PAGE_BITS
    return GFN_LIMIT


def slots_end(config: Config) -> int:
    """The first gfn that no initial memslot of a program has."""
    return min(memslots_end(config), FOUR_LEVEL_GFNS if config.four_levels else GFN_LIMIT)


def _consistent(config: Config) -> Config:
    """Apply the rules between fields; each field is in range already."""
    if config.guest != "none":
        config = _for_guest(config)
    changes: dict[str, Any] = {}
    if config.paging == "nonpaging":
        if config.layout != "npt":
            changes["layout"] = "npt"
        if config.max_level != 2:
            changes["max_level"] = 2
    if config.layout == "npt" or changes:
        if not config.ad:
            changes["ad"] = True
        if config.dirty_mode != "wrprot":
            changes["dirty_mode"] = "wrprot"
    elif config.dirty_mode == "pml" and not config.ad:
        changes["dirty_mode"] = "wrprot"
    if config.init_set and not config.manual_protect:
        changes["manual_protect"] = True
    if config.exit_races and (config.host_errs or config.guest != "none"):
        changes["exit_races"] = False
    if config.root_level == 4:
        if config.maxphyaddr > FOUR_LEVEL_BITS:
            changes["maxphyaddr"] = FOUR_LEVEL_BITS
    elif config.maxphyaddr <= FOUR_LEVEL_BITS and changes.get("layout", config.layout) == "ept":
        changes["maxphyaddr"] = MOST_BITS
    if config.four_levels:
        if config.root_level == 4 or changes.get("layout", config.layout) != "ept":
            changes["four_levels"] = 0
        elif config.maxphyaddr != MOST_BITS:
            changes["maxphyaddr"] = MOST_BITS
    return config._replace(**changes) if changes else config


def _for_guest(config: Config) -> Config:
    """With what a guest with page tables of its own needs: paging, tables of four levels,
    synchronous faults, shadow pages enough for a walk of each vCPU."""
    wanted: dict[str, Any] = {
        "paging": "tdp",
        "root_level": 4,
        "maxphyaddr": USUAL_BITS,
        "async_pf": False,
        "host_errs": False,
    }
    if config.guest in _LAYOUTS:
        wanted["layout"] = _LAYOUTS[config.guest]
    if 0 < config.mmu_pages < _LEAST_SHADOWED:
        wanted["mmu_pages"] = _LEAST_SHADOWED
    changes = {name: value for name, value in wanted.items() if getattr(config, name) != value}
    return config._replace(**changes) if changes else config


def _with_home(slots: tuple[SlotSpec, ...]) -> tuple[SlotSpec, ...]:
    """The slots behind the home slot, where the guest's tables lie: slot 0 at gfn 0."""
    home = SlotSpec(0, 0, 0, _HOME, 0, 0)
    for slot in slots:
        if slot[:3] == (0, 0, 0) and slot.npages >= HOME_PAGES:
            home = slot._replace(area=0, page=0, flags=slot.flags & DIRTY_LOG)
            home = home._replace(npages=min(home.npages, LATE_GFN))
            break
    others = [slot for slot in slots if slot[:3] != (0, 0, 0) and not clash(slot, home)]
    return (home, *others)[:MAX_SLOTS]


def normalise_areas(areas: tuple[str, ...]) -> tuple[str, ...]:
    """Exactly N_AREAS known kinds; the default stands in for what is missing or unknown."""
    given = (*areas[:N_AREAS], *DEFAULT_AREAS[len(areas) :])
    return tuple(
        kind if kind in AREA_KINDS else default
        for kind, default in zip(given, DEFAULT_AREAS, strict=True)
    )


def normalise_slots(slots: tuple[SlotSpec, ...], end: int = GFN_LIMIT) -> tuple[SlotSpec, ...]:
    """The slots in order, below gfn `end`, without those whose id or gfns an earlier one of their
    space has."""
    kept: list[SlotSpec] = []
    for slot in slots:
        if any(
            not low <= value <= high for value, (low, high) in zip(slot, _BOUNDS, strict=True)
        ) or any(slot[base] + slot[count] > limit for base, count, limit in SLOT_SPANS):
            slot = SlotSpec(*fit(slot, SLOT_FIELDS, SLOT_SPANS))
        if slot.gfn + slot.npages > end:
            gfn = slot.gfn % end
            slot = slot._replace(gfn=gfn, npages=min(slot.npages, end - gfn))
        if len(kept) < MAX_SLOTS and not any(clash(slot, other) for other in kept):
            kept.append(slot)
    return tuple(kept)


def clash(slot: SlotSpec, other: SlotSpec) -> bool:
    """Can the two not both exist: the same id in the same address space, or common gfns there?"""
    if slot.as_id != other.as_id:
        return False
    if slot.slot == other.slot:
        return True
    return slot.gfn < other.gfn + other.npages and other.gfn < slot.gfn + slot.npages
