# SPDX-License-Identifier: GPL-2.0-only
"""A CPU with nested paging that runs a guest with page tables: it walks these through KVM's.

Each access to a table of the guest's goes through EPT or NPT; it is one that writes, as CPUs with
accessed and dirty bits make it.  Translations of guest addresses are not cached, so that the
guest's tables are always looked at as they are; what EPT or NPT gives is cached (hw.Cpu).
"""

from __future__ import annotations

from typing import NamedTuple

from difffuzz.facts.paging import (
    PFERR_FETCH_MASK,
    PFERR_PRESENT_MASK,
    PFERR_RSVD_MASK,
    PFERR_USER_MASK,
    PFERR_WRITE_MASK,
    PHYS_ADDR_MASK,
    PT64_NX_MASK,
    PT_ACCESSED_MASK,
    PT_DIRTY_MASK,
    PT_PAGE_SIZE_MASK,
    PT_PRESENT_MASK,
    PT_USER_MASK,
    PT_WRITABLE_MASK,
)

from .hw import WALK_LIMIT, Cpu
from .mm import Mm
from .pageformat import EXEC, PAE, READ, WRITE
from .user_access import store_word

LEVELS = 4


class Registers:
    """What of a vCPU's registers its page walks depend on.  `root`: gfn in CR3."""

    __slots__ = ("nx", "root", "smep", "wp")

    def __init__(self) -> None:
        self.root = 0
        self.wp = True
        self.smep = False
        self.nx = True


class Walked(NamedTuple):
    """How a walk ended: pfn >= 0; or the error code of a #PF; or neither, an exit to KVM."""

    pfn: int
    fault: int = -1
    gpa: int = 0
    """Where the exit is for, or what the access reached."""
    access: int = READ


class Walker:
    """Walks of one vCPU; `root` is where KVM's tables are."""

    __slots__ = ("_cpu", "_level", "_mm", "_root")

    def __init__(self, cpu: Cpu, mm: Mm, root_hpa: int, root_level: int) -> None:
        self._cpu = cpu
        self._mm = mm
        self._root = root_hpa
        self._level = root_level

    def walk(self, registers: Registers, gva: int, access: int, user: bool) -> Walked:
        """One access by address."""
        for _ in range(WALK_LIMIT):
            walked = self._walk(registers, gva, access, user)
            if walked is not None:
                return walked
        raise AssertionError("a page walk does not come to rest")

    def _walk(self, registers: Registers, gva: int, access: int, user: bool) -> Walked | None:
        """One walk; None if the tables changed under it."""
        table_access = WRITE if self._cpu.fmt.ad else READ
        gpa, level = registers.root << 12, LEVELS
        by_user, writable, nx = True, True, False
        path: list[tuple[int, int, int]] = []
        while True:
            where = gpa + (gva >> 3 + 9 * level & 511) * 8
            pfn = self._translate(where, table_access)
            if pfn < 0:
                return Walked(-1, gpa=where, access=table_access)
            index = where >> 3 & 511
            entry = self._mm.contents.word(self._mm.frames.data(pfn), index)
            if not entry & PT_PRESENT_MASK:
                return Walked(-1, _code(registers, access, user, 0))
            if is_reserved(entry, level, registers.nx):
                reserved = PFERR_PRESENT_MASK | PFERR_RSVD_MASK
                return Walked(-1, _code(registers, access, user, reserved))
            by_user = by_user and bool(entry & PT_USER_MASK)
            writable = writable and bool(entry & PT_WRITABLE_MASK)
            nx = nx or bool(entry & PT64_NX_MASK)
            path.append((where, index, entry))
            if level == 1 or entry & PT_PAGE_SIZE_MASK:
                break
            gpa = entry & PHYS_ADDR_MASK
            level -= 1
        if not permitted(registers, (by_user, writable, nx), access, user):
            return Walked(-1, _code(registers, access, user, PFERR_PRESENT_MASK))
        exits = self._set_bits(path, access == WRITE)
        if exits != -1:
            return None if exits < 0 else Walked(-1, gpa=exits, access=WRITE)
        below = (1 << 12 + 9 * (level - 1)) - 1
        gpa = path[-1][2] & PHYS_ADDR_MASK & ~below | gva & below
        return Walked(self._translate(gpa, access), gpa=gpa, access=access)

    def _translate(self, gpa: int, access: int) -> int:
        return self._cpu.translate(self._root, self._level, gpa, access)

    def _set_bits(self, path: list[tuple[int, int, int]], write: bool) -> int:
        """Accessed bits from the root down and the leaf's dirty bit; -1 if all is done.

        -2: an entry is another by now, be it by another vCPU or by the walk itself, which came by
        the same table twice.  Else the gpa of an entry that cannot be written.
        """
        for at, (where, index, entry) in enumerate(path):
            new = entry | PT_ACCESSED_MASK
            if write and at == len(path) - 1:
                new |= PT_DIRTY_MASK
            if new == entry:
                continue
            pfn = self._translate(where, WRITE)
            if pfn < 0:
                return where
            if self._mm.contents.word(self._mm.frames.data(pfn), index) != entry:
                return -2
            store_word(self._mm, pfn, index, new)
        return -1


def is_reserved(entry: int, level: int, nx: bool) -> bool:
    """Does the CPU refuse the entry?  It has no pages of 1G, as the guest's CPUID says."""
    if entry & PT64_NX_MASK and not nx:
        return True
    if level == 3 and entry & PT_PAGE_SIZE_MASK:
        return True
    return PAE.is_reserved(entry, level, LEVELS)


def permitted(
    registers: Registers, rights: tuple[bool, bool, bool], access: int, user: bool
) -> bool:
    """May it?  `rights`: by the user, writable, not executable."""
    by_user, writable, nx = rights
    if user and not by_user:
        return False
    if access == WRITE:
        return writable or (not user and not registers.wp)
    if access == EXEC:
        return not nx and not (registers.smep and by_user and not user)
    return True


def _code(registers: Registers, access: int, user: bool, why: int) -> int:
    """The error code of a #PF; `why`: present, reserved."""
    code = why | (PFERR_USER_MASK if user else 0)
    if access == WRITE:
        code |= PFERR_WRITE_MASK
    if access == EXEC and (registers.nx or registers.smep):
        code |= PFERR_FETCH_MASK
    return code
