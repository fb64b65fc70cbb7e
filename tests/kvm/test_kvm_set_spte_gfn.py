# SPDX-License-Identifier: GPL-2.0-only
"""kvm_set_spte_gfn(): the host put another page at an address, and KVM maps that, read-only.

No program comes there: the invalidation around change_pte has unmapped the page (docs/coverage.md).
So the handler is called as if it had not.
"""

from __future__ import annotations

import pytest

from difffuzz.kvm.mmu_notifier import KvmGfnRange
from difffuzz.kvm.mmu_slot import kvm_set_spte_gfn
from difffuzz.sched import KernelSplat

from .litmus import models
from .vm import Modelled

MAPPED = """
    slot 0 gfn=0x0 pages=0x400 area=1
    vcpu0: write gfn=0x3
    vcpu0: write gfn=0x4
    """
AGED = f"{MAPPED}host0: age area=1 page=0x3 n=0x1 flush=on\n"
"""The CPU may set the accessed bit of gfn 0x3: such an SPTE is exchanged, not just written."""
PFN = 0x100100
WRITE = 2


def changed(side: Modelled, gfn: int, pte: int) -> bool:
    """Calls the handler for one page, as change_pte does; True if a flush is due."""
    kvm = side.kvm
    slot = kvm.memslots[0].id_hash[0]
    kvm.mmu_lock.write_lock()
    flush = kvm_set_spte_gfn(kvm, KvmGfnRange(slot, gfn, gfn + 1, pte, False))
    kvm.mmu_lock.write_unlock()
    assert kvm.splats == []
    return flush


def leaves(side: Modelled) -> dict[int, tuple[int, bool]]:
    """pfn and W of each leaf, by gfn."""
    return {gfn: (leaf.pfn, leaf.writable) for _, gfn, leaf in side.tables.all_leaves()}


@pytest.mark.parametrize("mmu", [0, 1], ids=["kvm_set_pte_rmap", "set_spte_gfn"])
def test_kvm_set_spte_gfn_maps_a_page_that_is_read_only(mmu: int) -> None:
    side = models(AGED)[mmu]
    before = leaves(side)
    assert changed(side, 0x3, PFN << 12 | 1)
    assert leaves(side) == {0x3: (PFN, False), 0x4: before[0x4]}
    assert side.kvm.stat.pages == [2, 0, 0]


@pytest.mark.parametrize("mmu", [0, 1], ids=["kvm_set_pte_rmap", "set_spte_gfn"])
def test_kvm_set_spte_gfn_unmaps_a_page_that_is_writable(mmu: int) -> None:
    side = models(MAPPED)[mmu]
    before = leaves(side)
    assert changed(side, 0x3, PFN << 12 | 1 | WRITE)
    assert leaves(side) == {0x4: before[0x4]}
    assert side.kvm.stat.pages == [1, 0, 0]


@pytest.mark.parametrize("mmu", [0, 1], ids=["kvm_set_pte_rmap", "set_spte_gfn"])
def test_kvm_set_spte_gfn_of_what_is_not_mapped(mmu: int) -> None:
    side = models(MAPPED)[mmu]
    before = leaves(side)
    assert not changed(side, 0x5, PFN << 12 | 1)
    assert leaves(side) == before


def test_set_spte_gfn_goes_by_the_iterators_old_spte() -> None:
    """As in Linux 6.1: it is not 0 after the first write, unless that was an exchange.

    The second write then looks like one leaf in the place of another: BUG() in
    __handle_changed_spte().  Nobody comes there, and 6.10 has no change_pte.
    """
    _, tdp = models(MAPPED)
    with pytest.raises(KernelSplat, match="__handle_changed_spte: a leaf replaced"):
        changed(tdp, 0x3, PFN << 12 | 1)
