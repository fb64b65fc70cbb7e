# SPDX-License-Identifier: GPL-2.0-only
"""What a guest's page tables say, as they are in its memory: the specification's walk.

It looks through memslots and the host's page table, faults nothing in and shares no code with the
CPUs that are judged by it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

from difffuzz.machine.host import VM_WRITE, HostMM
from difffuzz.program.fields import SWITCHED
from difffuzz.program.model import READONLY
from difffuzz.sides.memory_map import MemoryMap

P, W, U, A, D, PS = 1 << 0, 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7
NX: Final = 1 << 63
ADDRESS: Final = (1 << 52) - (1 << 12)
PF_PRESENT, PF_WRITE, PF_USER, PF_RSVD, PF_FETCH = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
READ, WRITE, EXEC = 0, 1, 2
MAXPHYADDR_BITS: Final = ((1 << 52) - 1) & ~((1 << 46) - 1)
"""Address bits that the CPU does not have; see facts.paging.MAXPHYADDR."""

PAGE, ABSENT, RESERVED, HOLE = "page", "absent", "reserved", "hole"


class Translation(NamedTuple):
    """What the tables say of one address, accessed and dirty bits aside.

    `kind`: a page; an entry that is not present, or one with reserved bits; or a table where no
    memory is that can be read, of which nothing follows.  `nx`: some present entry has that bit,
    which is reserved while EFER.NX is off.
    """

    kind: str
    gfn: int = 0
    user: bool = False
    writable: bool = False
    nx: bool = False


class Path(NamedTuple):
    """A translation and the entries that it comes from, as (gpa, entry), from the root down."""

    translation: Translation
    entries: tuple[tuple[int, int], ...]
    table: int
    """gfn of the last table that was looked at."""


class Descent(NamedTuple):
    """A way through tables: where it ends, and why."""

    kind: str
    gfn: int
    """That the address is mapped to; of a page only."""
    every: int
    """Bits that all entries have."""
    some: int
    """Bits that any entry has."""
    entries: tuple[tuple[int, int], ...]
    """As of a Path: those that were used."""
    table: int


class EntryFormat(NamedTuple):
    """Bits of an entry: any of `present` makes it one; accessed and dirty bits are 0 without.

    `exempts`: without CR0.WP the kernel writes what is not writable."""

    present: int = P
    writable: int = W
    accessed: int = A
    dirty: int = D
    exempts: bool = True


class Modes(NamedTuple):
    """What of a vCPU's registers decides what its tables mean."""

    wp: bool = True
    smep: bool = False
    nx: bool = True

    def switched(self, what: int) -> Modes:
        """With one of them changed, by its place in SWITCHED."""
        name = SWITCHED.words[what]
        return self._replace(**{name: not getattr(self, name)})


class GuestMemory:
    """A guest's memory in one address space, through the memslots of a host process."""

    __slots__ = ("_held", "_map", "_mm")

    def __init__(self, mm: HostMM, memory: MemoryMap) -> None:
        self._mm = mm
        self._map = memory
        self._held: dict[int, int | None] | None = None

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Nothing changes meanwhile: each page is looked at once."""
        self._held = {}
        try:
            yield
        finally:
            self._held = None

    def content(self, gfn: int) -> int | None:
        """What is in the page; None where nothing can be read."""
        held = self._held
        if held is not None and gfn in held:
            return held[gfn]
        slot = self._map.slot_at(0, gfn)
        found = None if slot is None else self._mm.content(slot.hva(gfn))
        if held is not None:
            held[gfn] = found
        return found

    def word(self, gpa: int) -> int | None:
        """The word there; None where nothing can be read."""
        content = self.content(gpa >> 12)
        return None if content is None else self._mm.contents.word(content, gpa >> 3 & 511)

    def writable(self, gfn: int) -> bool:
        """May the guest write the page?"""
        slot = self._map.slot_at(0, gfn)
        if slot is None or slot.flags & READONLY:
            return False
        return bool(self._mm.prot(slot.hva(gfn)) & VM_WRITE)

    def is_denied(self, gfn: int) -> bool:
        """Is it memory that KVM may write, but the host lets nobody write?"""
        slot = self._map.slot_at(0, gfn)
        if slot is None or slot.flags & READONLY:
            return False
        return not self._mm.prot(slot.hva(gfn)) & VM_WRITE

    def walk(self, root: int, gva: int) -> Path:
        """The path of an address from the table at gfn `root`."""
        went = self.descend(root, gva, P, _reserved)
        nx = bool(went.some & NX)
        if went.kind != PAGE:
            found = Translation(went.kind, nx=nx)
        else:
            found = Translation(PAGE, went.gfn, bool(went.every & U), bool(went.every & W), nx)
        return Path(found, went.entries, went.table)

    def descend(
        self, root: int, gva: int, present: int, reserved: Callable[[int, int], bool]
    ) -> Descent:
        """Goes from the table at gfn `root` to what maps the address.

        An entry is there if it has any bit of `present`; `reserved`: of an entry and its level.
        """
        table, level = root << 12, 4
        entries: list[tuple[int, int]] = []
        kind = PAGE
        every, some = -1, 0
        while True:
            gpa = table + (gva >> 3 + 9 * level & 511) * 8
            entry = self.word(gpa)
            if entry is None:
                kind = HOLE
            elif not entry & present:
                kind = ABSENT
            elif reserved(entry, level):
                kind = RESERVED
            if entry is None or kind != PAGE:
                return Descent(kind, 0, every, some, tuple(entries), table >> 12)
            entries.append((gpa, entry))
            every &= entry
            some |= entry
            if level == 1 or entry & PS:
                break
            table = entry & ADDRESS
            level -= 1
        inside = (1 << 12 + 9 * (level - 1)) - 1
        gfn = (entry & ADDRESS & ~inside | gva & inside) >> 12
        return Descent(PAGE, gfn, every, some, tuple(entries), table >> 12)


def _reserved(entry: int, level: int) -> bool:
    """Reserved bits, EFER.NX aside: no page of 1G or more; 2M pages are aligned (bit 12 is PAT)."""
    if entry & MAXPHYADDR_BITS:
        return True
    if not entry & PS or level == 1:
        return False
    return level > 2 or bool(entry & (1 << 21) - (1 << 13))


def fault_code(found: Translation, modes: Modes, access: int, user: bool) -> int:
    """The error code of the #PF that the access takes; -1: it takes none."""
    code = (PF_USER if user else 0) | (PF_WRITE if access == WRITE else 0)
    if access == EXEC and (modes.nx or modes.smep):
        code |= PF_FETCH
    if found.kind == RESERVED or (found.nx and not modes.nx):
        return code | PF_PRESENT | PF_RSVD
    if found.kind == ABSENT:
        return code
    return -1 if permits(found, modes, access, user) else code | PF_PRESENT


def permits(found: Translation, modes: Modes, access: int, user: bool) -> bool:
    """Does a page translation allow the access?"""
    if found.kind != PAGE or (user and not found.user):
        return False
    if access == WRITE:
        return found.writable or not (user or modes.wp)
    if access == EXEC:
        return not found.nx and not (modes.smep and found.user and not user)
    return True
