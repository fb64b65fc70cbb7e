# SPDX-License-Identifier: GPL-2.0-only
"""The state-coverage signal: which operation changed SPTEs how, and which answers it gave."""

from __future__ import annotations

from difffuzz.facts.paging import (
    PT_ACCESSED_MASK,
    PT_DIRTY_MASK,
    PT_PAGE_SIZE_MASK,
    PT_WRITABLE_MASK,
    VMX_EPT_ACCESS_BIT,
    VMX_EPT_DIRTY_BIT,
)
from difffuzz.facts.spte import SPTE_MMU_PRESENT_MASK, is_frozen_spte
from difffuzz.program import Kind
from difffuzz.program.limits import FEATURES
from difffuzz.sides.base import Outcome

EPT_LEAF = 1 << 4
"""A leaf of EPT has it: its memory type is write-back (6). In x86 tables it is PCD, never set."""
_RESULTS = ("ok", "mmio", "sigbus", "error", "stuck", "done", "nothing", "fault")
RESULTS = {name: number for number, name in enumerate(_RESULTS)}


def spte_class(spte: int, level: int) -> int:
    """What kind of SPTE it is on that level, 0..15."""
    if not spte:
        return 0
    if not spte & SPTE_MMU_PRESENT_MASK:
        return 1 if is_frozen_spte(spte) else 2
    if level > 1 and not spte & PT_PAGE_SIZE_MASK:
        return 3
    # W, accessed and dirty; the pfn is ignored.
    ept = spte & EPT_LEAF
    accessed = spte & (VMX_EPT_ACCESS_BIT if ept else PT_ACCESSED_MASK)
    dirty = spte & (VMX_EPT_DIRTY_BIT if ept else PT_DIRTY_MASK)
    return 4 | spte & PT_WRITABLE_MASK | (1 if accessed else 0) | (8 if dirty else 0)


def transition(side: int, kind: Kind, level: int, old: int, new: int) -> int:
    """Feature of one change of an SPTE."""
    word = ((side * 64 + kind) * 8 + level) * 256 + spte_class(old, level) * 16
    word += spte_class(new, level)
    return (word * 2654435761 >> 7) % FEATURES


def answer(side: int, kind: Kind, outcome: Outcome) -> int:
    """Feature of one outcome."""
    word = (side * 64 + kind) * 8 + RESULTS[outcome.result]
    for ret in outcome.rets[-4:]:
        word = word * 16 + (ret & 15)
    word = word * 4 + outcome.parked * 2 + (outcome.value < 0)
    return (word * 2246822519 >> 5) % FEATURES
