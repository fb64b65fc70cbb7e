# SPDX-License-Identifier: GPL-2.0-only
"""An SPTE in words: its bits by name, as the masks of its side have them."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import NamedTuple

from difffuzz.facts.paging import (
    PAGE_SHIFT,
    PT_PAGE_SIZE_MASK,
    PT_PRESENT_MASK,
    PT_USER_MASK,
    PT_WRITABLE_MASK,
    VMX_EPT_READABLE_MASK,
)
from difffuzz.facts.spte import (
    SPTE_BASE_ADDR_MASK,
    SPTE_MMU_PRESENT_MASK,
    is_frozen_spte,
)
from difffuzz.sides.kvm_state import Masks


class Kind(StrEnum):
    """What an SPTE is."""

    ABSENT = "absent"
    FROZEN = "frozen"
    MMIO = "MMIO"
    NOT_PRESENT = "not present"
    LEAF = "leaf"
    TABLE = "table"


class Decoded(NamedTuple):
    """An SPTE taken apart.  `pfn`: of the page or the table, -1 for none; `bits`: their names."""

    kind: Kind
    pfn: int
    bits: tuple[str, ...]


def decode(masks: Masks, spte: int, level: int) -> Decoded:
    """`level` is that of the table it is in."""
    if not spte:
        return Decoded(Kind.ABSENT, -1, ())
    if is_frozen_spte(spte):
        return Decoded(Kind.FROZEN, -1, ())
    if masks.enable_mmio_caching and spte & masks.shadow_mmio_mask == masks.shadow_mmio_value:
        generation = spte & (masks.mmio_gen_low_mask | masks.mmio_gen_high_mask)
        return Decoded(Kind.MMIO, -1, (f"generation bits {generation:#x}",))
    if not spte & SPTE_MMU_PRESENT_MASK:
        return Decoded(Kind.NOT_PRESENT, -1, ())
    kind = Kind.LEAF if level == 1 or spte & PT_PAGE_SIZE_MASK else Kind.TABLE
    pfn = (spte & SPTE_BASE_ADDR_MASK) >> PAGE_SHIFT
    return Decoded(kind, pfn, tuple(_bits(masks, spte)))


def spte_text(masks: Masks, spte: int, level: int) -> str:
    """The value and what it says; `level` is that of the table it is in."""
    kind, pfn, bits = decode(masks, spte, level)
    what = f"maps pfn {pfn:#x}" if kind is Kind.LEAF else str(kind)
    if kind is Kind.TABLE:
        what = f"table at pfn {pfn:#x}"
    return f"{spte:#x} ({', '.join((what, *bits))})"


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
    if spte & masks.tdp_ad_mask == masks.tdp_ad_disabled:
        yield "A/D bits not in use"
    if spte & masks.shadow_accessed_mask:
        yield "accessed"
    if spte & masks.shadow_dirty_mask:
        yield "dirty"
    if spte & PT_PAGE_SIZE_MASK:
        yield "huge"
