# SPDX-License-Identifier: GPL-2.0-only
"""Phrases of a guest with page tables: entries that change, and who uses them then.

What is written at random maps nothing: a phrase knows what the tables say (Links), changes an entry
and uses an address that goes through it.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final

from ..fields import SWITCHED
from ..guest_tables import (
    ADDRESSES,
    ENTRIES,
    ENTRY_WORDS,
    FLAG_WORDS,
    HOME_ROOTS,
    LATE_GFN,
    PAGES,
    ROOTS,
    SHAPE,
    TABLES,
    TARGET_WORDS,
)
from ..limits import HOST_THREADS, VMM_THREAD
from ..model import DIRTY_LOG, NESTED, Config, Op
from ..ops import OPS, Kind

Entry = tuple[str, int]
LEAVES: Final = "GHI"
UPPER: Final = "ABCDEF"
FLAGS: Final = {name: 1 << n for n, name in enumerate(FLAG_WORDS)}
USUAL: Final = FLAGS["p"] | FLAGS["w"] | FLAGS["u"]
_RIGHTS: Final = (
    USUAL,
    USUAL,
    USUAL,
    USUAL | FLAGS["a"] | FLAGS["d"],
    USUAL | FLAGS["a"],
    USUAL & ~FLAGS["w"],
    USUAL & ~FLAGS["w"],
    USUAL & ~FLAGS["u"],
    USUAL | FLAGS["nx"],
    FLAGS["p"],
    0,
)
_ACCESSES: Final = (Kind.GVA_READ, Kind.GVA_WRITE, Kind.GVA_WRITE, Kind.GVA_EXEC)
_LATE_SLOTS: Final = (
    # gfn, pages: the late table alone, the page behind it alone, both
    (LATE_GFN, 1),
    (LATE_GFN + 1, 1),
    (LATE_GFN, 2),
    (LATE_GFN, 0x200),
)


class GuestScene:
    """A guest as the operations so far left it: what its entries point to, and each vCPU's root."""

    def __init__(self, rng: Random, config: Config) -> None:
        self.rng = rng
        self.config = config
        self.links: dict[Entry, str | int | None] = dict(_first_links())
        self.roots: dict[int, str] = {}
        self.modes: dict[int, set[str]] = {}
        """What of CR0.WP, CR4.SMEP and EFER.NX is not as at first, of each vCPU."""
        self.used: list[str] = []
        self.slot: int | None = next((s.slot for s in config.slots if s.gfn == LATE_GFN), None)
        """The memslot that is at LATE_GFN, as far as is known."""

    def vcpu(self) -> int:
        """The thread of a vCPU."""
        return int(self.rng.random() * self.config.vcpus)

    def entry(self, letters: str = UPPER + LEAVES + "L") -> Entry:
        """An entry of one of the tables."""
        letter = self.rng.choice(letters)
        places = SHAPE[-1] if letter in LEAVES else SHAPE[0]
        return letter, int(self.rng.random() * places)

    def through(self, entry: Entry, thread: int) -> int:
        """An address that goes through the entry, from the vCPU's root; any, if none does."""
        found = [
            number
            for number, address in enumerate(ADDRESSES)
            if entry in self.path(address, thread)
        ]
        return self.rng.choice(found) if found else int(self.rng.random() * len(ADDRESSES))

    def path(self, address: tuple[int, ...], thread: int) -> list[Entry]:
        """The entries that an address goes through."""
        table: str | int | None = self.roots.get(thread, ROOTS[0])
        path: list[Entry] = []
        for place in address:
            if not isinstance(table, str):
                break
            path.append((table, place))
            table = self.links.get((table, place))
        return path

    def write(self, entry: Entry, target: str | int | None, flags: int, thread: int) -> Op:
        """The guest writes an entry."""
        how = int(self.rng.random() < 0.08)
        self.links[entry] = target if flags & 1 else None
        args = (ENTRIES.index(entry), target_of(target), flags if target is not None else 0, how)
        return Op(Kind.PTE, thread, args)

    def access(self, number: int, thread: int) -> Op:
        """An access of an address."""
        user = int(self.rng.random() < 0.4)
        return Op(self.rng.choice(_ACCESSES), thread, (number, user))

    def flush(self, number: int, thread: int) -> list[Op]:
        """The guest flushes the address, by the instruction or by loading a root, or does not."""
        way = self.rng.random()
        if way < 0.45:
            return [Op(Kind.INVLPG, thread, (number,))]
        if way < 0.8:
            return [self.load(thread, self.roots.get(thread, ROOTS[0]))]
        return []

    def toggle(self, thread: int, what: str) -> Op:
        """The guest changes CR0.WP, CR4.SMEP or EFER.NX."""
        self.modes.setdefault(thread, set()).symmetric_difference_update({what})
        return Op(Kind.TOGGLE, thread, (SWITCHED.words.index(what),))

    def mode(self, thread: int, what: str) -> bool:
        """Is it on?"""
        return (what in self.modes.get(thread, set())) != (what != "smep")

    def load(self, thread: int, root: str) -> Op:
        """The guest loads a root."""
        self.roots[thread] = root
        return Op(Kind.CR3, thread, (ROOTS.index(root),))

    def fitting(self, entry: Entry) -> str | int:
        """What the entry may well point to."""
        letter = entry[0]
        below = {"A": "CD", "B": "CD", "C": "EF", "D": "EF", "E": "GHI", "F": "GHI", "L": "GHI"}
        if letter in below and self.rng.random() < 0.8:
            return self.rng.choice(below[letter] + ("L" if letter in "CDEF" else ""))
        if self.rng.random() < 0.1:
            return self.rng.choice(tuple(TABLES))
        return self.rng.choice(PAGES)


def _first_links() -> dict[Entry, str | int]:
    """What sides/guest_memory.py puts into the tables, as far as addresses go."""
    links: dict[Entry, str | int] = {}
    for letter, targets in (("A", "CD"), ("B", "DC"), ("C", "EF"), ("D", "FE"), ("E", "GH")):
        links |= {(letter, n): to for n, to in enumerate(targets)}
    links |= {("F", 0): "I", ("F", 1): 0x200}
    links |= {("G", n): 0x10 + n for n in range(4)}
    links |= dict(zip((("H", n) for n in range(4)), (0x200, 0x201, 0x400, 0x11), strict=True))
    rest = (LATE_GFN + 1, 0x12, 0x3FF, 0xFEE00)
    return links | dict(zip((("I", n) for n in range(4)), rest, strict=True))


def target_of(target: str | int | None) -> int:
    """Its place in TARGETS."""
    if target is None:
        return 0
    return TARGET_WORDS.index(target if isinstance(target, str) else f"{target:#x}")


def use(maker: GuestScene) -> list[Op]:
    """Some address is used, perhaps twice."""
    thread, number = maker.vcpu(), int(maker.rng.random() * len(ADDRESSES))
    return [maker.access(number, thread) for _ in range(maker.rng.choice((1, 1, 2)))]


def change(maker: GuestScene) -> list[Op]:
    """An address is used, an entry on its path changes and is flushed, the address is used."""
    rng = maker.rng
    thread, entry = maker.vcpu(), maker.entry()
    number = maker.through(entry, thread)
    ops = [maker.access(number, thread)] if rng.random() < 0.7 else []
    target: str | int | None = maker.links.get(entry)
    if target is None or rng.random() < 0.7:
        target = maker.fitting(entry)
    flags = rng.choice(_RIGHTS)
    if entry[0] in "EF" and isinstance(target, int) and rng.random() < 0.8:
        flags |= FLAGS["ps"]
    ops.append(maker.write(entry, target, flags, thread))
    ops += maker.flush(number, thread)
    ops.append(maker.access(maker.through(entry, thread), thread))
    return ops


def restore(maker: GuestScene) -> list[Op]:
    """An entry goes and comes back as it was, and the address is used in between."""
    thread, entry = maker.vcpu(), maker.entry(UPPER + LEAVES)
    target = maker.links.get(entry)
    number = maker.through(entry, thread)
    if target is None:
        target = maker.fitting(entry)
    flags = USUAL | (FLAGS["ps"] if entry[0] in "EF" and isinstance(target, int) else 0)
    ops = [maker.write(entry, None, 0, thread), *maker.flush(number, thread)]
    if maker.rng.random() < 0.6:
        ops.append(maker.access(number, thread))
    ops.append(maker.write(entry, target, flags, thread))
    return [*ops, maker.access(maker.through(entry, thread), thread)]


def leaves(maker: GuestScene) -> list[Op]:
    """Several entries of one table of leaves change, without a flush until they have all."""
    rng = maker.rng
    thread, letter = maker.vcpu(), rng.choice(LEAVES)
    numbers = [maker.through((letter, n), thread) for n in range(SHAPE[-1])]
    ops = [maker.access(rng.choice(numbers), thread)]
    for _ in range(rng.choice((1, 2, 3))):
        entry = letter, int(rng.random() * SHAPE[-1])
        ops.append(maker.write(entry, rng.choice(PAGES), rng.choice(_RIGHTS), thread))
    if rng.random() < 0.6:
        ops.append(maker.load(thread, rng.choice(HOME_ROOTS)))
    return [*ops, *(maker.access(rng.choice(numbers), thread) for _ in range(2))]


def other_root(maker: GuestScene) -> list[Op]:
    """The guest goes to the other root, changes an entry there, and comes back."""
    rng = maker.rng
    thread = maker.vcpu()
    before = maker.roots.get(thread, ROOTS[0])
    entry = maker.entry()
    number = maker.through(entry, thread)
    ops = [maker.access(number, thread), maker.load(thread, HOME_ROOTS[before == HOME_ROOTS[0]])]
    ops.append(maker.write(entry, maker.fitting(entry), rng.choice(_RIGHTS), thread))
    if rng.random() < 0.5:
        ops.append(maker.access(maker.through(entry, thread), thread))
    ops.append(maker.load(thread, before))
    return [*ops, maker.access(maker.through(entry, thread), thread)]


def two_cpus(maker: GuestScene) -> list[Op]:
    """One vCPU changes what another uses, and each flushes for itself."""
    one, other = maker.vcpu(), maker.vcpu()
    entry = maker.entry(LEAVES + "EF")
    number = maker.through(entry, other)
    ops = [maker.access(number, other)]
    ops.append(maker.write(entry, maker.fitting(entry), maker.rng.choice(_RIGHTS), one))
    if maker.rng.random() < 0.7:
        ops += maker.flush(number, other)
    return [*ops, maker.access(number, other), maker.access(number, one)]


def toggles(maker: GuestScene) -> list[Op]:
    """CR0.WP, CR4.SMEP or EFER.NX changes between two uses of an address."""
    switches = (1, 2, 2, 2) if maker.config.guest in NESTED else (0, 0, 1, 1, 2)
    thread, what = maker.vcpu(), maker.rng.choice(switches)
    entry = maker.entry(LEAVES)
    flags = (FLAGS["p"] | FLAGS["u"], USUAL, USUAL | FLAGS["nx"])[what]
    ops = [maker.write(entry, maker.rng.choice(PAGES), flags, thread)]
    number = maker.through(entry, thread)
    name = SWITCHED.words[what]
    ops += [maker.access(number, thread), maker.toggle(thread, name), maker.access(number, thread)]
    if what == 2 or maker.rng.random() < 0.5:
        ops += [maker.toggle(thread, name), maker.access(number, thread)]
    return ops


def late_table(maker: GuestScene) -> list[Op]:
    """The late table comes into use: its slot is made, it is filled, an entry points to it."""
    rng = maker.rng
    thread = maker.vcpu()
    ops = [] if maker.slot is not None else [create_late(maker, LATE_GFN, rng.choice((1, 2)))]
    inner = "L", int(rng.random() * 2)
    upper = rng.choice(("C", "D", "E", "F", "D", "C")), int(rng.random() * 2)
    ops.append(maker.write(inner, maker.fitting(inner), USUAL, thread))
    ops.append(maker.write(upper, "L", USUAL, thread))
    number = maker.through(inner, thread)
    ops.append(maker.access(number, thread))
    ops.append(maker.write(inner, maker.fitting(inner), rng.choice(_RIGHTS), thread))
    if rng.random() < 0.5:
        ops += maker.flush(number, thread)
    return [*ops, maker.access(maker.through(inner, thread), thread)]


def mmio_before(maker: GuestScene) -> list[Op]:
    """A gfn is used where no memory is, and memory comes there."""
    rng = maker.rng
    thread = maker.vcpu()
    ops = []
    if maker.slot is not None:
        ops.append(_delete(maker))
    gfn, pages = rng.choice(_LATE_SLOTS)
    if rng.random() < 0.5:
        ops.append(Op(rng.choice((Kind.WRITE, Kind.WRITE, Kind.READ)), thread, (gfn,)))
    entry = maker.entry(LEAVES)
    if rng.random() < 0.5:
        ops.append(maker.write(entry, LATE_GFN + 1, USUAL, thread))
        ops.append(maker.access(maker.through(entry, thread), thread))
    number = maker.through(entry, thread)
    ops.append(maker.access(number, thread))
    if rng.random() < 0.6:
        beside = entry[0], (entry[1] + 1) % SHAPE[-1]
        ops.append(maker.write(beside, rng.choice(PAGES), USUAL, thread))
    ops.append(create_late(maker, gfn, pages))
    ops += maker.flush(number, thread)
    ops.append(maker.access(number, thread))
    return [*ops, *(late_table(maker) if rng.random() < 0.4 else ())]


def late_again(maker: GuestScene) -> list[Op]:
    """The late slot goes, its gfn is used, and it comes back with what it held."""
    rng = maker.rng
    thread = maker.vcpu()
    ops = [] if maker.slot is not None else [create_late(maker, LATE_GFN, 1)]
    inner = "L", int(rng.random() * 2)
    ops.append(maker.write(inner, maker.fitting(inner), USUAL, thread))
    ops.append(_delete(maker))
    ops.append(Op(rng.choice((Kind.WRITE, Kind.READ)), thread, (LATE_GFN,)))
    ops.append(create_late(maker, LATE_GFN, 1))
    upper = rng.choice("CDEF"), int(rng.random() * 2)
    ops.append(maker.write(upper, "L", USUAL, thread))
    ops.append(maker.access(maker.through(inner, thread), thread))
    ops.append(maker.write(inner, maker.fitting(inner), USUAL, thread))
    return [*ops, *maker.flush(0, thread), maker.access(maker.through(inner, thread), thread)]


def late_root(maker: GuestScene) -> list[Op]:
    """The late table is the root, while its slot is there, goes, or comes."""
    rng = maker.rng
    thread = maker.vcpu()
    before = maker.roots.get(thread, ROOTS[0])
    inner = "L", int(rng.random() * 2)
    ops = []
    if maker.slot is None and rng.random() < 0.6:
        ops.append(create_late(maker, LATE_GFN, 1))
    if maker.slot is not None:
        ops.append(maker.write(inner, rng.choice("CD"), USUAL, thread))
    ops.append(maker.load(thread, "L"))
    number = maker.through(inner, thread)
    ops.append(maker.access(number, thread))
    if rng.random() < 0.5:
        ops.append(create_late(maker, LATE_GFN, 1) if maker.slot is None else _delete(maker))
        ops.append(maker.access(number, thread))
    if rng.random() < 0.6:
        ops.append(Op(Kind.INVLPG, thread, (number,)))
    ops.append(maker.load(thread, before))
    return [*ops, maker.access(number, thread)]


def create_late(maker: GuestScene, gfn: int, pages: int) -> Op:
    """A slot at the late gfns, of pages that no other has."""
    maker.slot = 1
    area = 1 if maker.rng.random() < 0.8 else 3
    return Op(Kind.MEMSLOT_CREATE, VMM_THREAD, (1, 0, gfn, pages, area, 0x600, 0))


def _delete(maker: GuestScene) -> Op:
    slot, maker.slot = maker.slot or 1, None
    return Op(Kind.MEMSLOT_DELETE, VMM_THREAD, (slot, 0))


def flood(maker: GuestScene) -> list[Op]:
    """An entry is written so often that KVM stops shadowing its table."""
    thread, entry = maker.vcpu(), maker.entry(UPPER + LEAVES)
    number = maker.through(entry, thread)
    ops = [maker.access(number, thread)]
    for _ in range(maker.rng.choice((3, 4, 5))):
        ops.append(maker.write(entry, maker.fitting(entry), USUAL, thread))
    return [*ops, *maker.flush(number, thread), maker.access(maker.through(entry, thread), thread)]


_HOST: Final = (
    Kind.SWAP_OUT,
    Kind.SWAP_OUT,
    Kind.MIGRATE,
    Kind.FORK,
    Kind.AGE,
    Kind.THP_COLLAPSE,
    Kind.THP_SPLIT,
    Kind.DONTNEED,
    Kind.MPROTECT,
    Kind.WRITEBACK,
)


def host(maker: GuestScene) -> list[Op]:
    """The host does something to a table or a page while an address is used."""
    rng = maker.rng
    thread, entry = maker.vcpu(), maker.entry()
    number = maker.through(entry, thread)
    kind = rng.choice(_HOST)
    page = TABLES[entry[0]] if rng.random() < 0.6 else rng.choice((0x10, 0x11, 0x12, 0x13, 0x200))
    if kind in (Kind.DONTNEED, Kind.MPROTECT):
        page = rng.choice((0x10, 0x11, 0x12, 0x13))  # a table that is gone is no test of KVM
    area = 0 if page < LATE_GFN else 1
    args = {"area": area, "page": page, "n": 1, "prot": rng.choice((1, 2)), "flush": 0}
    fields = OPS[kind].fields
    op = Op(kind, HOST_THREADS[0], tuple(args[field.name] for field in fields))
    ops = [maker.access(number, thread), op]
    if rng.random() < 0.5:
        ops.append(maker.write(entry, maker.fitting(entry), USUAL, thread))
        ops += maker.flush(number, thread)
    return [*ops, maker.access(number, thread)]


def logged(maker: GuestScene) -> list[Op]:
    """Dirty pages are logged where tables are, while they are written."""
    thread, entry = maker.vcpu(), maker.entry()
    number = maker.through(entry, thread)
    on = Op(Kind.MEMSLOT_FLAGS, VMM_THREAD, (0, 0, DIRTY_LOG))
    ops = [maker.access(number, thread), on]
    ops.append(maker.write(entry, maker.fitting(entry), USUAL, thread))
    ops += [*maker.flush(number, thread), maker.access(number, thread)]
    if maker.rng.random() < 0.5:
        ops.append(Op(Kind.DIRTY_GET, VMM_THREAD, (0, 0)))
    return ops


def by_device(maker: GuestScene) -> list[Op]:
    """A device writes an entry while the address is used."""
    thread, entry = maker.vcpu(), maker.entry()
    number = maker.through(entry, thread)
    write = maker.write(entry, maker.fitting(entry), USUAL, thread)
    return [
        maker.access(number, thread),
        Op(Kind.DMA, VMM_THREAD, write.args[:3]),
        *maker.flush(number, thread),
        maker.access(number, thread),
    ]


def reload(maker: GuestScene) -> list[Op]:
    """KVM drops the vCPU's roots."""
    thread = maker.vcpu()
    number = int(maker.rng.random() * len(ADDRESSES))
    return [maker.access(number, thread), Op(Kind.RELOAD, thread), maker.access(number, thread)]


GuestPhrase = Callable[[GuestScene], list[Op]]
GUEST_PHRASES: Final[tuple[tuple[GuestPhrase, int], ...]] = (
    (use, 12),
    (change, 30),
    (restore, 10),
    (leaves, 14),
    (other_root, 10),
    (two_cpus, 8),
    (toggles, 8),
    (late_table, 8),
    (late_root, 6),
    (mmio_before, 8),
    (late_again, 6),
    (flood, 5),
    (host, 10),
    (logged, 4),
    (reload, 3),
)
"""How often each is made."""
assert len(ENTRY_WORDS) == len(ENTRIES)
