# SPDX-License-Identifier: GPL-2.0-only
"""Phrases that mechanisms of shadow paging suggest: what is linked late, what is shared, what the
kernel writes through a page of the user, what a device moves.
"""

from __future__ import annotations

from typing import Final

from ..guest_tables import ADDRESSES, ENTRIES, LATE_GFN, PAGES, TABLES
from ..limits import HOST_THREADS, VMM_THREAD
from ..model import DIRTY_LOG, Op, SlotSpec
from ..ops import Kind
from .guest_pages import FLAGS, USUAL, Entry, GuestPhrase, GuestScene, create_late, target_of

_HOME: Final = (0x10, 0x11, 0x12, 0x13)
_LARGE: Final = (0x200, 0x400)
"""Pages that one of 2M can begin at."""
_READ_ONLY: Final = FLAGS["p"] | FLAGS["u"]


def linked_late(maker: GuestScene) -> list[Op]:
    """A table is out of sync, or one below it is, when another entry comes to point to it.

    That entry was not present before, so that the guest need not flush.
    """
    rng, thread = maker.rng, maker.vcpu()
    address = rng.choice(ADDRESSES)
    path = maker.path(address, thread)
    if len(path) < len(ADDRESSES[0]):
        return []
    level = rng.choice((1, 2))  # the entry of a directory, or of a table above them
    table, leaf = path[level + 1][0], path[-1]
    letters = "CD" if level == 1 else "EF"
    others = [(letter, n) for letter in letters for n in (0, 1) if (letter, n) != path[level]]
    link = rng.choice(others)
    ops = [maker.write(link, None, 0, thread), maker.access(ADDRESSES.index(address), thread)]
    if rng.random() < 0.4:
        beside = leaf[0], (leaf[1] + 1) % 4
        ops.append(maker.write(beside, rng.choice(_HOME), USUAL, thread))
    ops.append(maker.write(leaf, rng.choice(_HOME), USUAL, thread))
    ops.append(maker.write(link, table, USUAL, thread))
    for wanted in ({link, (leaf[0], (leaf[1] + 2) % 4)}, {link, leaf}):
        # The fault that links it maps what it is about: another address shows what else is there.
        found = [
            number
            for number, other in enumerate(ADDRESSES)
            if wanted <= set(maker.path(other, thread))
        ]
        number = rng.choice(found) if found else maker.through(link, thread)
        ops.append(maker.access(number, thread))
    return ops


def by_the_kernel(maker: GuestScene) -> list[Op]:
    """Without CR0.WP the kernel writes a read-only page of the user; others use it, SMEP or not."""
    rng, thread = maker.rng, maker.vcpu()
    entry = maker.entry("GHI")
    flags = _READ_ONLY | (FLAGS["a"] | FLAGS["d"] if rng.random() < 0.5 else 0)
    ops = [maker.write(entry, rng.choice(_HOME), flags, thread)]
    number = maker.through(entry, thread)
    if maker.mode(thread, "wp"):
        ops.append(maker.toggle(thread, "wp"))
    if not maker.mode(thread, "smep") and rng.random() < 0.7:
        ops.append(maker.toggle(thread, "smep"))
    if rng.random() < 0.3:
        ops.append(Op(Kind.GVA_READ, thread, (number, 1)))
    ops.append(Op(Kind.GVA_WRITE, thread, (number, 0)))
    uses = [Op(Kind.GVA_EXEC, thread, (number, 0)), Op(Kind.GVA_READ, thread, (number, 1))]
    uses.append(Op(Kind.GVA_WRITE, thread, (number, 1)))
    rng.shuffle(uses)
    ops += uses[: rng.choice((1, 2, 3))]
    if rng.random() < 0.6:
        ops.append(maker.toggle(thread, "wp"))
        ops.append(Op(Kind.GVA_WRITE, thread, (number, 0)))
    return ops


def shared_large(maker: GuestScene) -> list[Op]:
    """Two entries map one large page with different rights; it is read, then written.

    Where KVM maps it by small pages the table of these has the rights in its role, and the two
    share it if they have the same.
    """
    rng, thread = maker.rng, maker.vcpu()
    one, other = rng.sample([(letter, n) for letter in "EF" for n in (0, 1)], 2)
    gfn = rng.choice(_LARGE)
    ops = [maker.write(one, gfn, USUAL | FLAGS["ps"], thread)]
    ops.append(maker.write(other, gfn, _READ_ONLY | FLAGS["ps"], thread))
    slot = _slot_at(maker, gfn)
    if slot is not None and rng.random() < 0.7:  # logged, it is mapped by small pages
        ops.append(Op(Kind.MEMSLOT_FLAGS, VMM_THREAD, (slot.slot, 0, DIRTY_LOG)))
    place = int(rng.random() * 4)
    first, second = _at(maker, one, place, thread), _at(maker, other, place, thread)
    ops.append(Op(Kind.GVA_READ, thread, (first, 0)))
    ops.append(Op(Kind.GVA_WRITE, thread, (first, 0)))
    ops.append(Op(Kind.GVA_READ, thread, (second, 0)))
    return [*ops, Op(Kind.GVA_WRITE, thread, (second, int(rng.random() < 0.5)))]


def _at(maker: GuestScene, entry: Entry, place: int, thread: int) -> int:
    """An address through a directory's entry, with that last place."""
    found = [
        number
        for number, address in enumerate(ADDRESSES)
        if address[-1] == place and entry in maker.path(address, thread)
    ]
    return maker.rng.choice(found) if found else place


def _slot_at(maker: GuestScene, gfn: int) -> SlotSpec | None:
    """The first memslot with that gfn."""
    return next((s for s in maker.config.slots if s.gfn <= gfn < s.gfn + s.npages), None)


def _by_device(maker: GuestScene, entry: Entry, target: str | int, flags: int) -> Op:
    maker.links[entry] = target
    return Op(Kind.DMA, VMM_THREAD, (ENTRIES.index(entry), target_of(target), flags))


def _host_takes(maker: GuestScene, gfn: int) -> list[Op]:
    """The host takes the page behind a gfn away, if it has one."""
    slot = _slot_at(maker, gfn)
    if slot is None:
        return []
    page = slot.page + gfn - slot.gfn
    kind = maker.rng.choice((Kind.MIGRATE, Kind.DONTNEED, Kind.SWAP_OUT))
    return [Op(kind, HOST_THREADS[0], (slot.area, page, 1)[: 2 + (kind == Kind.DONTNEED)])]


def device_moves(maker: GuestScene) -> list[Op]:
    """A device lets a large page be another one; then the host takes a page of that."""
    rng, thread = maker.rng, maker.vcpu()
    entry = rng.choice("EF"), rng.choice((0, 1))
    before, after = rng.sample((*_LARGE, TABLES["A"]), 2)
    one, other = rng.sample(range(4), 2)
    ops: list[Op] = []
    for gfn in (before, after):
        slot = _slot_at(maker, gfn)
        if slot is not None and rng.random() < 0.7:
            ops.append(Op(Kind.MEMSLOT_FLAGS, VMM_THREAD, (slot.slot, 0, DIRTY_LOG)))
    ops.append(maker.write(entry, _named(before), USUAL | FLAGS["ps"], thread))
    ops.append(maker.access(_at(maker, entry, one, thread), thread))
    ops.append(_by_device(maker, entry, _named(after), USUAL | FLAGS["ps"]))
    number = _at(maker, entry, other, thread)
    ops.append(maker.access(number, thread))
    ops += _host_takes(maker, after + other + 1)
    return [*ops, maker.access(number, thread)]


def _named(gfn: int) -> str | int:
    """A gfn as entries point to it."""
    return next((letter for letter, table in TABLES.items() if table == gfn), gfn)


def device_turns(maker: GuestScene) -> list[Op]:
    """A device makes a table of a large page that begins there, or the other way round."""
    rng, thread = maker.rng, maker.vcpu()
    ops = [] if maker.slot is not None else [create_late(maker, LATE_GFN, 0x200)]
    inner = "L", rng.choice((0, 1))
    entry = rng.choice("EF"), rng.choice((0, 1))
    sizes = [FLAGS["ps"], 0]
    rng.shuffle(sizes)
    ops.append(maker.write(inner, rng.choice(PAGES), USUAL, thread))
    ops.append(maker.write(entry, "L", USUAL | sizes[0], thread))
    ops.append(maker.access(_at(maker, entry, 1 - inner[1], thread), thread))
    ops.append(_by_device(maker, entry, "L", USUAL | sizes[1]))
    number = _at(maker, entry, inner[1], thread)
    ops.append(maker.access(number, thread))
    if rng.random() < 0.5:
        ops += _host_takes(maker, LATE_GFN + 1 + inner[1])
    return [*ops, maker.access(number, thread)]


def device_unmaps(maker: GuestScene) -> list[Op]:
    """A device points an entry that is used to where no memory is; then the host takes the page."""
    rng, thread = maker.rng, maker.vcpu()
    entry = maker.entry("GHI")
    gfn = rng.choice(_HOME)
    number = maker.through(entry, thread)
    ops = [maker.write(entry, gfn, _READ_ONLY | FLAGS["a"], thread)]
    ops.append(Op(Kind.GVA_READ, thread, (number, 0)))
    ops.append(_by_device(maker, entry, 0xFEE00, USUAL | FLAGS["a"] | FLAGS["d"]))
    ops.append(Op(Kind.GVA_WRITE, thread, (number, 0)))
    return [*ops, *_host_takes(maker, gfn), maker.access(number, thread)]


SHADOW_PHRASES: Final[tuple[tuple[GuestPhrase, int], ...]] = (
    (linked_late, 14),
    (by_the_kernel, 8),
    (shared_large, 8),
)
DEVICE_PHRASES: Final[tuple[tuple[GuestPhrase, int], ...]] = (
    (device_moves, 20),
    (device_turns, 20),
    (device_unmaps, 12),
)
"""Of programs that have a device."""
