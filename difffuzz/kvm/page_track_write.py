# SPDX-License-Identifier: GPL-2.0-only
"""page_track.c: adding and removing write-tracked gfns."""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn

from .kvm_host import PG_LEVEL_4K, Kvm, KvmMemorySlot
from .kvm_main import kvm_flush_remote_tlbs
from .mmu_lpage import kvm_mmu_gfn_allow_lpage, kvm_mmu_gfn_disallow_lpage
from .mmu_slot import kvm_mmu_slot_gfn_write_protect
from .page_track import update_gfn_track


def kvm_slot_page_track_add_page(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> None:
    """From now on guest writes to `gfn` are emulated; mmu_lock is held for write."""
    kvm.mmu_lock.assert_held_write("kvm_slot_page_track_add_page")
    update_gfn_track(kvm, slot, gfn, 1)
    # A huge page could not be write-protected for one gfn only.
    kvm_mmu_gfn_disallow_lpage(kvm, slot, gfn)
    if kvm_mmu_slot_gfn_write_protect(kvm, slot, gfn, PG_LEVEL_4K):
        kvm_flush_remote_tlbs(kvm)


def kvm_slot_page_track_remove_page(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn) -> None:
    """One user less that tracks writes to `gfn`; the next fault may map it writable."""
    kvm.mmu_lock.assert_held_write("kvm_slot_page_track_remove_page")
    update_gfn_track(kvm, slot, gfn, -1)
    kvm_mmu_gfn_allow_lpage(kvm, slot, gfn)
