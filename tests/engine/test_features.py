# SPDX-License-Identifier: GPL-2.0-only
"""What kind of SPTE the state features tell apart, in either layout of page tables."""

from __future__ import annotations

import pytest

from difffuzz.engine.features import spte_class
from difffuzz.program import parse
from tests.kvm.vm import model

WRITABLE, ACCESSED, DIRTY = 2, 1, 8
SLOT = "0 gfn=0x0 pages=0x1 area=1"
WRITE = "vcpu0: write gfn=0x0"
AGE = "host0: age area=1 page=0x0 n=0x1 flush=on"


def class_after(config: str, *ops: str) -> int:
    """The class of the only 4K leaf after these operations."""
    side = model(config, SLOT)
    text = "\n".join(["difffuzz program v1", f"config {config}", f"slot {SLOT}", *ops, ""])
    for number, op in enumerate(parse(text).ops):
        side.execute(op, number + 1)
    (spte,) = [
        spte
        for page in side.kvm.mem.pages.values()
        if page.sp.role.level == 1
        for spte in page.ent.values()
    ]
    return spte_class(spte, 1)


@pytest.mark.parametrize("layout", ["ept", "npt"])
def test_accessed_and_dirty_are_told_in_either_layout(layout: str) -> None:
    config = f"layout={layout}"
    assert class_after(config, WRITE) == 4 | WRITABLE | ACCESSED | DIRTY
    assert class_after(config, WRITE, AGE) == 4 | WRITABLE | DIRTY


def test_without_accessed_bits_there_are_none() -> None:
    assert class_after("layout=ept ad=off", WRITE) == 4 | WRITABLE
