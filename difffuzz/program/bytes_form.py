# SPDX-License-Identifier: GPL-2.0-only
"""The bytes form: what a byte-level fuzzer mutates.

Every byte string decodes to a normalised program, in linear time, and `decode(encode(p)) == p` for
every normalised program.  The encoding of a program is never longer than MAX_BYTES.

    header:  one byte for each choice of the configuration (some share one), one for each area, the
             MMU page limit
    records: a tag byte, then the fields of an operation, of an initial slot, or of a switch

A field is one byte that stands for a value (many bytes stand for the same one), or, from _LONG on,
three bytes that hold any value of 20 bits, or, with _LONGER, six for one of a gfn's 40.  Records
may stand in any order: only the order of operations, of slots and of switches among themselves
counts.  What is cut off at the end reads as zeros.

The meaning of a byte changes when an operation is added: what is to be kept is kept as text.
"""

from __future__ import annotations

from itertools import product
from operator import attrgetter
from typing import Final, NamedTuple

from .fields import COUNT, GFN, MMU_PAGES, FieldType
from .limits import MAX_BYTES, MAX_OPS, MAX_SCHEDULE, MAX_STEP, MAX_VCPUS, MOST_BITS, SCHEDULED
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
from .normalise import as_nested, honestly, normalise_config, within_four_levels
from .ops import HONEST, OPS, SLOT_FIELDS, SLOT_SPANS, Kind

_LONG: Final = 240
"""Bytes from here on begin a value of 20 bits: 4 in this byte, 16 in the next two."""
_LONGER: Final = _LONG - 1
"""This byte begins a value of 40 bits in the next five, where the type has values beyond 20 bits.
It stood for a value that has a byte of its own: no program was ever written with it."""
_STEP: Final = FieldType("step", 1, MAX_STEP, hot=tuple(range(1, _LONG + 1)))
_THREAD: Final = FieldType("thread", 0, len(SCHEDULED) - 1)
_SLOT: Final = -1
_SWITCH: Final = -2
_RARE: Final = {"paging"}
"""Choices that a random byte should leave at their default nearly always."""
_SHARED: Final = ("recovery_ratio", "slot_zap_all", "host_errs", "guest", "exit_races")
"""Choices that share the byte between the others and the areas.  It named a kernel once, by one of
the first few values, which mean the defaults since: bytes of old corpora keep their meaning."""
_shared: Final = attrgetter(*_SHARED)
_OF_ROOT: Final = ("root_level", "maxphyaddr", "four_levels")
"""Choices that share a byte: where it is small it stands for the first of them alone."""
_of_root: Final = attrgetter(*_OF_ROOT)
_KERNELS: Final = 8
"""So many values are left to those."""
_PAD: Final = bytes(6 * (1 + max(len(SLOT_FIELDS), *(len(spec.fields) for spec in OPS.values()))))

Codes = tuple[tuple[int, ...], int, int]


class _Form(NamedTuple):
    """How the record behind one tag is read: `what` is a Kind, _SLOT or _SWITCH."""

    what: int
    kind: Kind
    thread: int
    fields: tuple[Codes, ...]
    spans: tuple[tuple[int, int, int], ...]


def _values(kind: FieldType) -> tuple[int, ...]:
    """The values that single bytes stand for, in the order of the bytes."""
    return kind.hot or tuple(range(kind.low, kind.high + 1))


def _codes(kind: FieldType) -> Codes:
    """byte -> value (-1, -2: a long, longer one begins), the lowest value, and how many there are.

    Each short value has a byte; the bytes left over stand for the hottest few of them.
    """
    short = _values(kind)
    table = [*short, *(short[byte % min(len(short), 8)] for byte in range(len(short), 256))]
    if kind.hot:
        table[_LONG:] = [-1] * (256 - _LONG)
        if kind.high - kind.low >= 1 << 20:
            assert len(short) < _LONGER < 256, "each short value has a byte"
            table[_LONGER] = -2
    return tuple(table), kind.low, kind.high - kind.low + 1


def _short(kind: FieldType) -> dict[int, bytes]:
    """value -> its byte, for the values that have one."""
    found: dict[int, bytes] = {}
    for byte, value in enumerate(_values(kind)):
        found.setdefault(value, bytes((byte,)))
    return found


def _forms() -> tuple[_Form, ...]:
    """tag -> form.  The first tags are each form once; the others repeat forms by weight."""
    slot = _Form(_SLOT, Kind.READ, 0, tuple(_codes(f.type) for f in SLOT_FIELDS), SLOT_SPANS)
    switch = _Form(_SWITCH, Kind.READ, 0, (_codes(_THREAD), _codes(_STEP)), ())
    forms = [slot, switch]
    repeats = [slot] * 10 + [switch] * 2
    for kind, spec in OPS.items():
        fields = tuple(_codes(field.type) for field in spec.fields)
        of_kind = [_Form(kind, kind, thread, fields, spec.spans) for thread in spec.threads]
        forms += of_kind
        repeats += [of_kind[turn % len(of_kind)] for turn in range(spec.weight)]
    free = 256 - len(forms)
    return (*forms, *(repeats[turn * len(repeats) // free] for turn in range(free)))


def _roots() -> tuple[tuple[int | str, ...], ...]:
    """byte -> levels of a table, address bits, vCPUs with four levels beside others with five.

    The last few bytes are for other CPUs than the usual; those before them for vCPUs that differ,
    which stood for the usual once, as others do: no program was ever written with them.
    """
    levels, bits, sets = (CONFIG_CHOICES[name] for name in _OF_ROOT)
    differing = [(5, MOST_BITS, vcpus) for vcpus in sets[1:]]
    others = [*differing, *((*one, sets[0]) for one in product(levels, bits[1:]))]
    usual = [(levels[byte % len(levels)], bits[0], sets[0]) for byte in range(256 - len(others))]
    return (*usual, *others)


_ROOTS_READ: Final = _roots()
_ROOTS_WRITE: Final = {root: byte for byte, root in reversed(list(enumerate(_ROOTS_READ)))}


def _choice(name: str) -> tuple[int | str, ...]:
    """byte -> value of a choice of the configuration."""
    values = CONFIG_CHOICES[name]
    if name == _OF_ROOT[0]:
        return tuple(level for level, *_ in _ROOTS_READ)
    if name in _RARE:
        return (*values, *(values[0] for _ in range(256 - len(values))))
    return tuple(values[byte % len(values)] for byte in range(256))


_FORMS: Final = _forms()
_TAGS: Final = {
    (form.what, form.thread): bytes((tag,)) for tag, form in reversed(list(enumerate(_FORMS)))
}
_SHORTS: Final = {kind: tuple(_short(f.type) for f in spec.fields) for kind, spec in OPS.items()}
_LOWS: Final = {kind: tuple(f.type.low for f in spec.fields) for kind, spec in OPS.items()}
_SLOT_SHORTS: Final = tuple(_short(field.type) for field in SLOT_FIELDS)
_SLOT_LOWS: Final = tuple(field.type.low for field in SLOT_FIELDS)

_MMU_PAGES_AT: Final = Config._fields.index("mmu_pages")
_SEPARATE: Final = [
    name
    for name in Config._fields
    if name in CONFIG_CHOICES and name not in (*_SHARED, *_OF_ROOT[1:])
]
_CHOICES_READ: Final = tuple(_choice(name) for name in _SEPARATE)
_ROOT: Final = _SEPARATE.index(_OF_ROOT[0])
_ERRS: Final = len(_SEPARATE) + _SHARED.index("host_errs")
"""Where the choices have whether the host errs."""
_PAIRS: Final = list(product(*(CONFIG_CHOICES[name] for name in _SHARED[:2])))
_ERRING: Final = 256 - len(_PAIRS)
"""From this byte on the host errs ..."""
_GUESTS: Final = _ERRING - len(_PAIRS)
"""... and from this one up to there guests have page tables: a random byte seldom makes one."""
_EXITING: Final = _GUESTS - len(_PAIRS)
"""From here up to there an exit races."""
_LATER: Final = _EXITING - len(_PAIRS) * (len(GUESTS) - 2)
"""From here up to there are the guests that came later, the last one first: others keep theirs."""
_SHARED_READ: Final = (
    *(
        (
            *_PAIRS[(byte - _KERNELS) % len(_PAIRS) if byte >= _KERNELS else 0],
            False,
            GUESTS[0],
            False,
        )
        for byte in range(_LATER)
    ),
    *((*pair, False, guest, False) for guest in reversed(GUESTS[2:]) for pair in _PAIRS),
    *((*pair, False, GUESTS[0], True) for pair in _PAIRS),
    *((*pair, False, GUESTS[1], False) for pair in _PAIRS),
    *((*pair, True, GUESTS[0], False) for pair in _PAIRS),
)
_SHARED_WRITE: Final = {
    pair: bytes((byte,)) for byte, pair in reversed(list(enumerate(_SHARED_READ)))
}
_AREAS_READ: Final = tuple(
    tuple((default, *AREA_KINDS)[byte % (1 + len(AREA_KINDS))] for byte in range(256))
    for default in DEFAULT_AREAS
)
_AREAS: Final = len(_CHOICES_READ) + 1
"""Where the header's bytes for areas begin."""
_HEADER_WRITE: Final = tuple(
    (
        Config._fields.index(name),
        {value: byte for byte, value in reversed(list(enumerate(CONFIG_CHOICES[name])))},
    )
    for name in _SEPARATE
)
_MMU_PAGES_CODES: Final = _codes(MMU_PAGES)
_MMU_PAGES_SHORT: Final = _short(MMU_PAGES)
_STEP_SHORT: Final = _short(_STEP)
_HEADER: Final = _AREAS + len(_AREAS_READ)

assert COUNT.high - COUNT.low < 1 << 20, "a long value has 20 bits"
assert GFN.high < 1 << 40, "a longer value has 40 bits"


def decode(data: bytes) -> Program:
    """The program that the bytes stand for.  Total: there is no wrong input."""
    data = data[:MAX_BYTES]
    size = len(data)
    padded = data + bytes(_HEADER) + _PAD
    choices = [table[byte] for table, byte in zip(_CHOICES_READ, padded, strict=False)]
    *shared, exits = _SHARED_READ[padded[len(_CHOICES_READ)]]
    _, bits, four_levels = _ROOTS_READ[padded[_ROOT]]
    choices += (*shared, bits, exits, four_levels)
    areas = [table[byte] for table, byte in zip(_AREAS_READ, padded[_AREAS:_HEADER], strict=True)]
    mmu_pages = _MMU_PAGES_CODES[0][padded[_HEADER]]
    position = _HEADER + 1
    if mmu_pages < 0:
        mmu_pages = _long(padded, _HEADER) % _MMU_PAGES_CODES[2]
        position += 2
    ops: list[Op] = []
    slots: list[SlotSpec] = []
    schedule: list[tuple[int, int]] = []
    step = -1
    vcpus: int = choices[0]  # type: ignore[assignment]
    errs = choices[_ERRS]
    forms = _FORMS
    new = tuple.__new__  # what Op() does, without its Python-level wrapper
    while position < size:
        what, kind, thread, fields, spans = forms[padded[position]]
        position += 1
        args: list[int] = []
        for table, low, count in fields:
            value = table[padded[position]]
            if value < 0:
                if value == -1:
                    value = low + _long(padded, position) % count
                    position += 2
                else:
                    value = int.from_bytes(padded[position + 1 : position + 6], "big")
                    value = low + value % count
                    position += 5
            position += 1
            args.append(value)
        for base, length, limit in spans:
            if args[base] + args[length] > limit:
                args[length] = limit - args[base]
        if not errs and kind in HONEST and what >= 0:
            args[:] = honestly(kind, tuple(args))
        if what >= 0:
            if len(ops) < MAX_OPS:
                if thread < MAX_VCPUS:
                    if thread >= vcpus:
                        thread %= vcpus
                elif kind is Kind.VCPU_CREATE and vcpus < MAX_VCPUS:
                    vcpus += 1
                ops.append(new(Op, (kind, thread, tuple(args))))
        elif what == _SLOT:
            slots.append(SlotSpec(*args))
        elif len(schedule) < MAX_SCHEDULE and step + args[1] < MAX_STEP:
            step += args[1]
            schedule.append((step, args[0]))
    config = _config(choices, mmu_pages, tuple(areas), tuple(slots))
    told = tuple(ops)
    if config.guest in NESTED:
        told = as_nested(told)
    if config.four_levels:
        told = within_four_levels(told)
    return Program(config, told, tuple(schedule))


def _long(padded: bytes, at: int) -> int:
    """The long value whose first byte stands at `at`."""
    return (padded[at] - _LONG) << 16 | padded[at + 1] << 8 | padded[at + 2]


def _config(
    choices: list[int | str], mmu_pages: int, areas: tuple[str, ...], slots: tuple[SlotSpec, ...]
) -> Config:
    """The configuration from the values of the header, with its rules applied."""
    choices.insert(_MMU_PAGES_AT, mmu_pages)
    return normalise_config(Config._make((*choices, areas, slots)))


def encode(program: Program) -> bytes:
    """The bytes of a normalised program; at most MAX_BYTES."""
    config = program.config
    first = [table[config[at]] for at, table in _HEADER_WRITE]  # type: ignore[index]
    first[_ROOT] = _ROOTS_WRITE[_of_root(config)]
    parts = [bytes(first)]
    parts.append(_SHARED_WRITE[_shared(config)])
    parts.append(
        bytes(
            [
                0 if kind == default else 1 + AREA_KINDS.index(kind)
                for kind, default in zip(config.areas, DEFAULT_AREAS, strict=True)
            ]
        )
    )
    parts.append(_MMU_PAGES_SHORT.get(config.mmu_pages) or _wide(config.mmu_pages))
    for slot in config.slots:
        parts.append(_TAGS[_SLOT, 0])
        for value, short, low in zip(slot, _SLOT_SHORTS, _SLOT_LOWS, strict=True):
            parts.append(short.get(value) or _wide(value - low))
    for kind, thread, args in program.ops:
        parts.append(_TAGS[kind, thread])
        if args:
            for value, short, low in zip(args, _SHORTS[kind], _LOWS[kind], strict=True):
                parts.append(short.get(value) or _wide(value - low))
    last = -1
    for step, thread in program.schedule:
        parts.append(_TAGS[_SWITCH, 0])
        parts.append(bytes((thread,)))
        parts.append(_STEP_SHORT.get(step - last) or _wide(step - last - 1))
        last = step
    return b"".join(parts)


def _wide(offset: int) -> bytes:
    """The three or six bytes of the value that lies `offset` above the lowest of its type."""
    if offset >> 20:
        return bytes((_LONGER,)) + offset.to_bytes(5, "big")
    return bytes((_LONG | offset >> 16, offset >> 8 & 255, offset & 255))
