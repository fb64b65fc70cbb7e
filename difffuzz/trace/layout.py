# SPDX-License-Identifier: GPL-2.0-only
"""What the bits of a traced SPTE say (arch/x86/kvm/mmu/spte.h)."""

from __future__ import annotations

from typing import Final, NamedTuple

from difffuzz.facts.paging import PT_WRITABLE_MASK
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK, SPTE_MMU_PRESENT_MASK

_LARGE: Final = 1 << 7
_NONPRESENT: Final = 1 << 63
"""An absent SPTE of x86-64 since 6.10 (SHADOW_NONPRESENT_VALUE)."""
_RWX: Final = 7
_PFN_BITS: Final = (1 << 34) - 1
"""pfns are compared up to here: above may be memory encryption's bit, which pfns do not have."""


class Layout(NamedTuple):
    """Masks of one of the two formats."""

    name: str
    dirty: int
    host_writable: int
    mmu_writable: int


EPT: Final = Layout("ept", 1 << 9, 1 << 57, 1 << 58)
NPT: Final = Layout("npt", 1 << 6, 1 << 9, 1 << 10)


def pages(level: int) -> int:
    """4K pages that an SPTE of the level maps."""
    return 1 << (9 * (level - 1))


def present(spte: int) -> bool:
    """is_shadow_present_pte()"""
    return spte & SPTE_MMU_PRESENT_MASK != 0


def leaf(spte: int, level: int) -> bool:
    """A present leaf: is_last_spte()."""
    return present(spte) and (level == 1 or spte & _LARGE != 0)


def table(spte: int, level: int) -> bool:
    """A present SPTE that points to a page table."""
    return present(spte) and not leaf(spte, level)


def absent(spte: int) -> bool:
    """Nothing is there."""
    return spte in (0, _NONPRESENT)


def frozen(spte: int) -> bool:
    """REMOVED_SPTE, or FROZEN_SPTE as it is called since."""
    return spte & ~_NONPRESENT == 0x5A0


def mmio(spte: int) -> bool:
    """Neither present nor absent nor frozen: what else there is says that there is no memory."""
    return not (present(spte) or absent(spte) or frozen(spte))


def pfn(spte: int) -> int:
    """The pfn, as far as all formats agree where it is."""
    return ((spte & SPTE_BASE_ADDR_MASK) >> 12) & _PFN_BITS


def same_pfn(one: int, other: int) -> bool:
    """Of two pfns."""
    return (one ^ other) & _PFN_BITS == 0


def tracked(spte: int) -> bool:
    """Access-tracked: its permissions are put aside, so that they say nothing."""
    return present(spte) and not spte & _RWX


def writable(spte: int) -> bool:
    """is_writable_pte()"""
    return spte & PT_WRITABLE_MASK != 0


def layout_of(sptes: list[int]) -> Layout | None:
    """The format of present leaves, by where their host-writable bit is; None: they do not tell."""
    ept = sum(spte & EPT.host_writable != 0 for spte in sptes)
    npt = sum(spte & NPT.host_writable != 0 and not spte & EPT.host_writable for spte in sptes)
    # Bit 9 is EPT's dirty bit, so that one leaf with bit 57 settles it.
    if ept:
        return EPT
    return NPT if npt else None
