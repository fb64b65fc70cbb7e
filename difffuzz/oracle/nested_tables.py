# SPDX-License-Identifier: GPL-2.0-only
"""The oracle of an L1 that runs an L2: what L1's EPT or NPT says of the addresses of L2.

What it maps may be cached by each vCPU until L1 invalidates it there (INVEPT, or a VMRUN that
flushes the ASID: each of L1's NPTs has one), also while the other is in use, and whatever L2 is
entered and left.  L1's own paging is left out: an access of it is where it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from difffuzz.oracle.guest_tables import GuestTables, Made
from difffuzz.oracle.guest_walk import (
    EXEC,
    MAXPHYADDR_BITS,
    PAGE,
    PF_FETCH,
    PS,
    RESERVED,
    WRITE,
    EntryFormat,
    GuestMemory,
    Modes,
    Path,
    Translation,
    fault_code,
    permits,
)
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Kind
from difffuzz.program.guest_tables import DIRECT_BASE, ROOTS, TABLES
from difffuzz.sides.base import Outcome

R, W, X = 1 << 0, 1 << 1, 1 << 2
UPPER_RESERVED: Final = 0x78
"""Bits 6:3 of an entry that points to a table; the memory type of one that maps a page is 0."""
EPT_FORMAT: Final = EntryFormat(R | W | X, W, 1 << 8, 1 << 9, exempts=False)
EPT_FORMAT_NO_AD: Final = EPT_FORMAT._replace(accessed=0, dirty=0)
NPT_FORMAT: Final = EntryFormat(exempts=False)
_CONTEXTS: Final = 100
"""Numbers from here on are a vCPU under one of L1's roots."""
VIOLATION, MISCONFIG = 0, 8


class EptMemory(GuestMemory):
    """L1's memory, in which an EPT lies."""

    __slots__ = ()

    def walk(self, root: int, gva: int) -> Path:
        """The path of an L2's gpa from the table at gfn `root`.

        Of a translation `user` is readable, `nx` not executable."""
        went = self.descend(root, gva, R | W | X, _misconfigured)
        if went.kind != PAGE:
            return Path(Translation(went.kind), went.entries, went.table)
        rights = went.every
        found = Translation(PAGE, went.gfn, bool(rights & R), bool(rights & W), not rights & X)
        return Path(found, went.entries, went.table)


def _misconfigured(entry: int, level: int) -> bool:
    """What VMX says of an entry: writable and not readable, or reserved bits."""
    if entry & (R | W) == W or entry & MAXPHYADDR_BITS:
        return True
    if level == 1:
        return False
    if not entry & PS:
        return bool(entry & UPPER_RESERVED)
    return level > 2 or bool(entry & (1 << 21) - (1 << 12))


class NestedTables(GuestTables):
    """Of one side: L1's two roots as each vCPU may have cached them.

    A vCPU is told by its number, or as a context: under one root.
    """

    def context(self, vcpu: int) -> int:
        """The vCPU under the root that it uses."""
        if vcpu >= _CONTEXTS:
            return vcpu
        return self.contexts(vcpu)[self.chosen.get(vcpu, 0)]

    def contexts(self, vcpu: int) -> range:
        """The vCPU under each root."""
        first = _CONTEXTS + len(ROOTS) * vcpu
        return range(first, first + len(ROOTS))

    def begin(self, vcpu: int) -> None:
        """A vCPU is there, and may cache what both roots say."""
        for context, letter in zip(self.contexts(vcpu), ROOTS, strict=True):
            self.root[context] = TABLES[letter]
            super().begin(context)

    def now(self, vcpu: int, gva: int) -> Path:
        """What the tables say now."""
        if gva >= DIRECT_BASE:
            return Path(_itself(gva), (), gva - DIRECT_BASE >> 12)
        return super().now(self.context(vcpu), gva)

    def may_use(self, vcpu: int, gva: int) -> set[Translation]:
        """What an access of that address may use."""
        if gva >= DIRECT_BASE:
            return {_itself(gva)}
        return super().may_use(self.context(vcpu), gva)

    def instruction(self, vcpu: int, kind: Kind, args: tuple[int, ...]) -> None:
        """What one of L1's that is no access does."""
        if kind == Kind.CR3:
            self.chosen[vcpu] = args[0]
        elif kind == Kind.INVLPG:
            self.flushed_all(vcpu)

    def flushed_all(self, vcpu: int) -> None:
        """L1 invalidates what is cached by the root in use."""
        super().flushed_all(self.context(vcpu))

    def access(self, vcpu: int, made: Made, outcome: Outcome) -> Iterator[Violation]:
        """What is wrong with an access."""
        yield from super().access(self.context(vcpu), made, outcome)


class EptTables(NestedTables):
    """L1 has EPTs.  Of a translation `user` is readable, `nx` not executable."""

    format = EPT_FORMAT
    memory_type = EptMemory

    def permits(self, found: Translation, modes: Modes, made: Made) -> bool:
        """Does a page translation allow the access?"""
        if found.kind != PAGE:
            return False
        if made.access == WRITE:
            return found.writable
        return not found.nx if made.access == EXEC else found.user

    def fault_code(self, found: Translation, modes: Modes, made: Made) -> int:
        """What the access exits to L1 with; -1: it does not."""
        if found.kind == RESERVED:
            return MISCONFIG
        return -1 if self.permits(found, modes, made) else VIOLATION

    def is_excused(self, value: int, found: Translation, modes: Modes, made: Made) -> bool:
        """Is a fault that the tables do not give one that a rule allows?"""
        fetched = made.access == EXEC and found.kind == PAGE and not found.user
        excused = value == VIOLATION and fetched and self._is_mmio(found.gfn, write=False)
        self._allowed["emulated-fetch"] += excused
        return excused


class NptTables(NestedTables):
    """L1 has NPTs, walked as the user's tables are.  `modes`: L1's, by context; EFER.NX counts."""

    format = NPT_FORMAT
    faults_flush = False

    def instruction(self, vcpu: int, kind: Kind, args: tuple[int, ...]) -> None:
        """What one of L1's that is no access does."""
        super().instruction(vcpu, kind, args)
        if kind == Kind.TOGGLE:
            for context in self.contexts(vcpu):
                self.modes[context] = self.modes.get(context, Modes()).switched(args[0])

    def permits(self, found: Translation, modes: Modes, made: Made) -> bool:
        """Does a page translation allow the access?  KVM keeps none from before EFER.NX changed."""
        if found.nx and not modes.nx:
            return False
        return permits(found, Modes(nx=modes.nx), made.access, user=True)

    def fault_code(self, found: Translation, modes: Modes, made: Made) -> int:
        """What the access exits to L1 with; -1: it does not.  A fetch is always told as one."""
        code = fault_code(found, Modes(nx=modes.nx), made.access, user=True)
        return code | PF_FETCH if code >= 0 and made.access == EXEC else code

    def is_excused(self, value: int, found: Translation, modes: Modes, made: Made) -> bool:
        """Is a fault that the tables do not give one that a rule allows?"""
        expected = self.fault_code(found, modes, made)
        excused = expected >= 0 and value == expected & ~PF_FETCH and not modes.nx
        self._allowed["npt-fetch"] += excused
        return excused


def _itself(gva: int) -> Translation:
    """Where an access of L1 is."""
    return Translation(PAGE, gva - DIRECT_BASE >> 12, user=True, writable=True)
