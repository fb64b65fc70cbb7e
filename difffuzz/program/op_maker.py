# SPDX-License-Identifier: GPL-2.0-only
"""Makes single operations that fit a configuration: what generator and mutators draw from."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from . import addresses
from .addresses import Place
from .fields import AREA, AS_ID, COUNT, GFN, HOST_COUNT, PAGE, SLOT, FieldType
from .limits import MAX_SLOTS, VMM_THREAD
from .model import Config, Op, Program
from .ops import OPS, Kind, OpSpec

_FOCUSED: Final = 0.85
"""How often an operation is about a place of the focus."""
_ALIGNED: Final = (512, 512 * 512)
_WORD: Final = 64
"""Pages of one word of a dirty bitmap: a log is cleared by whole words, or up to the slot's end."""
_WHOLE: Final = 0.85
_SECOND: Final = 0.2
"""How often the VMM's second thread does what both may do."""


class OpMaker:
    """A configuration and the few places that the operations of one program are about."""

    __slots__ = ("config", "focus", "rng", "used")

    def __init__(self, rng: Random, config: Config, focus: Sequence[Place] = ()) -> None:
        self.rng = rng
        self.config = config
        self.focus = focus
        self.used: list[str] = []
        """The names of the phrases that were made of it."""

    def place(self) -> Place:
        """A place of the focus or next to one; now and then any hot place."""
        rng = self.rng
        if not self.focus or rng.random() > _FOCUSED:
            return addresses.pick(rng, self.config)
        return addresses.near(rng, rng.choice(self.focus))

    def op(self, kind: Kind, place: Place | None = None, thread: int | None = None) -> Op:
        """An operation of that kind, by default at a place of the focus, on a thread that may."""
        spec = OPS[kind]
        if thread is None or thread not in spec.threads:
            thread = self.thread(spec)
        return Op(kind, thread, self.args(spec, place or self.place()))

    def thread(self, spec: OpSpec) -> int:
        """A thread that may run the operation; one of the vCPUs of the configuration.

        What user space may do on its second thread is mostly done on the first.
        """
        if spec.threads[0] == VMM_THREAD:
            return spec.threads[-1] if self.rng.random() < _SECOND else VMM_THREAD
        count = self.config.vcpus if spec.threads[0] == 0 else len(spec.threads)
        return spec.threads[int(self.rng.random() * count)]

    def args(self, spec: OpSpec, place: Place) -> tuple[int, ...]:
        """Arguments for the operation at the place, within all limits."""
        rng = self.rng
        fields = spec.fields
        count = 0
        if spec.spans:
            count = any_value(rng, COUNT)
            for block in _ALIGNED:
                if count >= block and rng.random() < 0.5:
                    place = addresses.aligned(place, block)
        args: list[int] = []
        for field in fields:
            kind = field.type
            if kind is GFN:
                args.append(place.gfn)
            elif kind is AREA:
                args.append(place.area)
            elif kind is PAGE:
                args.append(self._page(field.name, place))
            elif kind in (COUNT, HOST_COUNT):
                args.append(count)
            elif kind is SLOT:
                args.append(place.slot.slot if place.slot else int(rng.random() * MAX_SLOTS))
            elif kind is AS_ID:
                args.append(place.as_id)
            else:
                args.append(any_value(rng, kind))
        if spec.kind is Kind.DIRTY_CLEAR and place.slot is not None and rng.random() < _WHOLE:
            first, length = spec.position("first"), spec.position("n")
            args[first] &= -_WORD
            rest = place.slot.npages - args[first]
            args[length] = min(max(_WORD, args[length] & -_WORD), max(rest, 1))
        for base, length, limit in spec.spans:
            if args[base] + args[length] > limit:
                args[length] = limit - args[base]
        return tuple(args)

    def _page(self, field: str, place: Place) -> int:
        """The value of a page field, by its name: offset in the slot, other page, or the page."""
        if field == "first":
            return place.gfn - place.slot.gfn if place.slot else 0
        if field in ("other", "to"):
            return addresses.pick(self.rng, self.config).page
        return place.page


def any_value(rng: Random, kind: FieldType) -> int:
    """A value of the type: a hot one if it has some, else any."""
    if kind.hot:
        return rng.choice(kind.hot)
    return kind.low + int(rng.random() * (kind.high - kind.low + 1))


def scene_of(program: Program, rng: Random) -> OpMaker:
    """The maker of an existing program: its focus are places that a few of its operations name."""
    config = program.config
    if not program.ops or not config.slots:
        return OpMaker(rng, config)
    focus = []
    for _ in range(2):
        place = place_of(rng.choice(program.ops), config)
        if place is not None:
            focus.append(place)
    return OpMaker(rng, config, focus)


def place_of(op: Op, config: Config) -> Place | None:
    """The place that the operation names by gfn, or by area and page; None if it names none."""
    gfn = area = page = -1
    for field, value in zip(OPS[op.kind].fields, op.args, strict=True):
        if field.type is GFN:
            gfn = value
        elif field.type is AREA:
            area = value
        elif field.name == "page":
            page = value
    for slot in config.slots:
        if gfn >= 0:
            offset = gfn - slot.gfn
        elif area == slot.area:
            offset = page - slot.page
        else:
            continue
        if 0 <= offset < slot.npages:
            return addresses.inside(slot, offset)
    return Place(gfn, 0, None, max(area, 0), max(page, 0)) if gfn >= 0 else None
