# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/page_track.c: the counts of write-tracked gfns.

Adding and removing pages changes SPTEs and is in page_track_write.py.
"""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn
from difffuzz.facts.errno import EPERM

from .kvm_host import Kvm, KvmMemorySlot
from .memslots import search_memslots


def kvm_page_track_write_tracking_enabled(kvm: Kvm) -> bool:
    """The model is of a kernel with CONFIG_KVM_EXTERNAL_WRITE_TRACKING."""
    return True


def kvm_page_track_create_memslot(kvm: Kvm, slot: KvmMemorySlot) -> None:
    """Gives a new slot its counts."""
    if kvm_page_track_write_tracking_enabled(kvm):
        slot.arch.gfn_track = {}


def update_gfn_track(kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, count: int) -> None:
    """Adds `count` to the users that track writes to `gfn`."""
    track = slot.arch.gfn_track
    assert track is not None
    kvm.sched.touch(("track", gfn))
    index = gfn - slot.base_gfn
    value = track.get(index, 0) + count
    if value < 0 or value > 0xFFFF:
        kvm.warn("update_gfn_track", "count out of range")
        return
    if value:
        track[index] = value
    else:
        track.pop(index, None)


def slot_track_count(slot: KvmMemorySlot | None, gfn: Gfn) -> int:
    """How many users track writes to `gfn` in this slot."""
    if slot is None or slot.arch.gfn_track is None:
        return 0
    return slot.arch.gfn_track.get(gfn - slot.base_gfn, 0)


def kvm_slot_page_track_is_active(kvm: Kvm, slot: KvmMemorySlot | None, gfn: Gfn) -> bool:
    """True if writes to `gfn` are tracked, in either address space."""
    kvm.sched.touch(("track", gfn), False)
    if slot is None:
        return False
    if not kvm_page_track_write_tracking_enabled(kvm):
        return False
    if slot_track_count(slot, gfn):
        return True
    other_slot = search_memslots(kvm.memslots[slot.as_id ^ 1], gfn)
    return slot_track_count(other_slot, gfn) != 0


def mmu_try_to_unsync_pages(
    kvm: Kvm, slot: KvmMemorySlot, gfn: Gfn, can_unsync: bool, prefetch: bool
) -> int:
    """-EPERM if a writable SPTE for `gfn` is forbidden (mmu.c)."""
    # Left out: shadow pages of guest page tables, which it makes unsync.
    if kvm_slot_page_track_is_active(kvm, slot, gfn):
        return -EPERM
    return 0
