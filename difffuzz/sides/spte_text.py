# SPDX-License-Identifier: GPL-2.0-only
"""An SPTE in words: its bits by name, as the masks of its side have them."""

from __future__ import annotations

from collections.abc import Iterator

from difffuzz.facts.paging import (
    PAGE_SHIFT,
    PT_PAGE_SIZE_MASK,
    PT_PRESENT_MASK,
    PT_USER_MASK,
    PT_WRITABLE_MASK,
    VMX_EPT_READABLE_MASK,
)
from difffuzz.facts.spte import (
    MMIO_SPTE_GEN_HIGH_MASK,
    MMIO_SPTE_GEN_LOW_MASK,
    REMOVED_SPTE,
    SPTE_BASE_ADDR_MASK,
    SPTE_MMU_PRESENT_MASK,
)
from difffuzz.kvm.spte import SPTE_TDP_AD_DISABLED_MASK, SPTE_TDP_AD_MASK
from difffuzz.sides.kvm_state import Masks


def spte_text(masks: Masks, spte: int, level: int) -> str:
    """The value and what it says; `level` is that of the table it is in."""
    return f"{spte:#x} ({', '.join(_words(masks, spte, level))})"


def _words(masks: Masks, spte: int, level: int) -> Iterator[str]:
    if not spte:
        yield "absent"
    elif spte == REMOVED_SPTE:
        yield "frozen"
    elif masks.enable_mmio_caching and spte & masks.shadow_mmio_mask == masks.shadow_mmio_value:
        yield "MMIO"
        generation = spte & (MMIO_SPTE_GEN_LOW_MASK | MMIO_SPTE_GEN_HIGH_MASK)
        yield f"generation bits {generation:#x}"
    elif not spte & SPTE_MMU_PRESENT_MASK:
        yield "not present"
    else:
        leaf = level == 1 or spte & PT_PAGE_SIZE_MASK
        pfn = (spte & SPTE_BASE_ADDR_MASK) >> PAGE_SHIFT
        yield f"maps pfn {pfn:#x}" if leaf else f"table at pfn {pfn:#x}"
        yield from _bits(masks, spte)


def _bits(masks: Masks, spte: int) -> Iterator[str]:
    """Those that are set; `no` with those whose absence says something."""
    ept = masks.shadow_x_mask != 0
    readable = VMX_EPT_READABLE_MASK if ept else PT_PRESENT_MASK
    yield "readable" if spte & readable else "not readable"
    yield "writable" if spte & PT_WRITABLE_MASK else "not writable"
    forbidden = spte & masks.shadow_nx_mask or masks.shadow_x_mask & ~spte
    yield "not executable" if forbidden else "executable"
    if not ept and spte & PT_USER_MASK:
        yield "user"
    if spte & masks.shadow_mmu_writable_mask:
        yield "MMU-writable"
    if spte & SPTE_TDP_AD_MASK == SPTE_TDP_AD_DISABLED_MASK:
        yield "A/D bits not in use"
    if spte & masks.shadow_accessed_mask:
        yield "accessed"
    if spte & masks.shadow_dirty_mask:
        yield "dirty"
    if spte & PT_PAGE_SIZE_MASK:
        yield "huge"
