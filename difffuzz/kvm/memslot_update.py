# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c and arch/x86/kvm/x86.c: creating, deleting, moving, changing memslots.

Each address space has two sets of memslots: readers use the active one, a change is made in the
other, then they swap, and the change is made again in what became the inactive one.
"""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn, Hva
from difffuzz.facts.errno import EEXIST, EINVAL

from .kvm_host import (
    KVM_ADDRESS_SPACE_NUM,
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY,
    KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS,
    KVM_MEMSLOT_INVALID,
    KVM_MEMSLOT_PAGES_TO_MMU_PAGES_RATIO,
    KVM_MIN_ALLOC_MMU_PAGES,
    KVM_REQ_UPDATE_CPU_DIRTY_LOGGING,
    PG_LEVEL_2M,
    PG_LEVEL_4K,
    Kvm,
    KvmMemorySlot,
    KvmMemslots,
    pages_per_hpage,
)
from .kvm_main import kvm_make_all_cpus_request
from .memslots import gfn_to_index, kvm_for_each_memslot_in_gfn_range
from .mmu_internal import kvm_mmu_max_gfn
from .mmu_page import kvm_mmu_change_mmu_pages
from .mmu_slot import (
    kvm_arch_flush_remote_tlbs_memslot,
    kvm_memslots_have_rmaps,
    kvm_mmu_slot_leaf_clear_dirty,
    kvm_mmu_slot_remove_write_access,
    kvm_mmu_slot_try_split_huge_pages,
    kvm_mmu_zap_collapsible_sptes,
)
from .mmu_zap import kvm_mmu_invalidate_mmio_sptes, kvm_mmu_zap_all_fast
from .page_track import kvm_page_track_create_memslot

KVM_MR_CREATE = 0
KVM_MR_DELETE = 1
KVM_MR_MOVE = 2
KVM_MR_FLAGS_ONLY = 3


def kvm_get_inactive_memslots(kvm: Kvm, as_id: int) -> KvmMemslots:
    """The set that no reader uses."""
    active = kvm.memslots[as_id]
    return kvm.memslots_sets[as_id][active.node_idx ^ 1]


def kvm_replace_memslot(kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None) -> None:
    """Puts `new` in the place of `old` in the inactive set; either may be None."""
    slot = old if old is not None else new
    assert slot is not None
    slots = kvm_get_inactive_memslots(kvm, slot.as_id)
    if old is not None:
        del slots.id_hash[old.id]
        del slots.gfn_tree[old.base_gfn]
    if new is not None:
        slots.id_hash[new.id] = new
        slots.gfn_tree[new.base_gfn] = new


def kvm_swap_active_memslots(kvm: Kvm, as_id: int) -> None:
    """Makes the inactive set active, waits until no reader uses the other, and ends the update."""
    slots = kvm_get_inactive_memslots(kvm, as_id)
    gen = kvm.memslots[as_id].generation
    if gen & KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS:
        kvm.warn("kvm_swap_active_memslots", "an update is in progress")
    slots.generation = gen | KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS
    # Not between the start and the end of an invalidation: both must see the same slots.
    kvm.mn_invalidate_lock.lock()
    while kvm.mn_active_invalidate_count:
        kvm.mn_invalidate_lock.unlock()
        kvm.sched.wait("mn_active_invalidate_count", lambda: not kvm.mn_active_invalidate_count)
        kvm.mn_invalidate_lock.lock()
    kvm.sched.touch("memslots")
    kvm.memslots[as_id] = slots
    kvm.mn_invalidate_lock.unlock()
    # Not held while waiting: readers may need it.
    kvm.slots_arch_lock.unlock()
    kvm.srcu.synchronize()
    gen = slots.generation & ~KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS
    gen += KVM_ADDRESS_SPACE_NUM
    # Before the new generation can be seen.
    kvm_arch_memslots_updated(kvm, gen)
    kvm.sched.touch("memslots")
    slots.generation = gen


def kvm_arch_memslots_updated(kvm: Kvm, gen: int) -> None:
    """The memslots have a new generation."""
    kvm_mmu_invalidate_mmio_sptes(kvm, gen)


def kvm_mmu_slot_lpages(slot: KvmMemorySlot, npages: int, level: int) -> int:
    """Length of the slot's arrays of `level`."""
    return gfn_to_index(slot.base_gfn + npages - 1, slot.base_gfn, level) + 1


def kvm_alloc_memslot_metadata(kvm: Kvm, slot: KvmMemorySlot) -> int:
    """Rmaps, huge page limits and track counts of a new slot."""
    npages = slot.npages
    arch = slot.arch
    ugfn = slot.userspace_addr >> 12
    for level in range(PG_LEVEL_4K, 4):
        arch.lpages[level - 1] = kvm_mmu_slot_lpages(slot, npages, level)
    if kvm_memslots_have_rmaps(kvm):
        arch.rmap = [{}, {}, {}]
    for level in range(PG_LEVEL_2M, 4):
        mask = pages_per_hpage(level) - 1
        lpages = arch.lpages[level - 1]
        linfo = arch.lpage_info[level - 2]
        # Huge pages that are partly outside the slot.
        if slot.base_gfn & mask:
            linfo[0] = 1
        if (slot.base_gfn + npages) & mask:
            linfo[lpages - 1] = 1
        # gfn and hva not congruent: no huge page anywhere in the slot.
        if (slot.base_gfn ^ ugfn) & mask:
            linfo.clear()
            arch.misaligned[level - 2] = True
    kvm_page_track_create_memslot(kvm, slot)
    return 0


def kvm_prepare_memory_region(
    kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
) -> int:
    """Allocates what the new slot needs."""
    if change != KVM_MR_DELETE:
        assert new is not None
        if not new.flags & KVM_MEM_LOG_DIRTY_PAGES:
            new.dirty_bitmap = None
        elif old is not None and old.dirty_bitmap is not None:
            new.dirty_bitmap = old.dirty_bitmap
        else:
            new.dirty_bitmap = {}
            if kvm.manual_dirty_log_protect and kvm.dirty_log_init_set:
                words, rest = divmod(new.npages, 64)
                new.dirty_bitmap = dict.fromkeys(range(words), (1 << 64) - 1)
                if rest:
                    new.dirty_bitmap[words] = (1 << rest) - 1
    return kvm_arch_prepare_memory_region(kvm, old, new, change)


def kvm_arch_prepare_memory_region(
    kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
) -> int:
    """The arch part of kvm_prepare_memory_region()."""
    if change in (KVM_MR_CREATE, KVM_MR_MOVE):
        assert new is not None
        if new.base_gfn + new.npages - 1 > kvm_mmu_max_gfn(kvm):
            return -EINVAL
        return kvm_alloc_memslot_metadata(kvm, new)
    if change == KVM_MR_FLAGS_ONLY:
        assert new is not None
        assert old is not None
        new.arch = old.arch
    return 0


def kvm_mmu_update_cpu_dirty_logging(kvm: Kvm, enable: bool) -> None:
    """Switches PML on with the first slot that logs dirty pages, off with the last."""
    if not kvm.cpu_dirty_log_size:
        return
    kvm.cpu_dirty_logging_count += 1 if enable else -1
    if kvm.cpu_dirty_logging_count == int(enable):
        kvm_make_all_cpus_request(kvm, KVM_REQ_UPDATE_CPU_DIRTY_LOGGING)
    if kvm.cpu_dirty_logging_count < 0:
        kvm.warn("kvm_mmu_update_cpu_dirty_logging", "negative")


def kvm_mmu_slot_apply_flags(
    kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
) -> None:
    """Makes the page tables fit the slot's new flags."""
    old_flags = old.flags if old is not None else 0
    new_flags = new.flags if new is not None else 0
    log_dirty_pages = bool(new_flags & KVM_MEM_LOG_DIRTY_PAGES)
    if (old_flags ^ new_flags) & KVM_MEM_LOG_DIRTY_PAGES:
        kvm_mmu_update_cpu_dirty_logging(kvm, log_dirty_pages)
        kvm.nr_memslots_dirty_logging += 1 if log_dirty_pages else -1
    # New and moved slots have no SPTEs yet, deleted ones none any more; read-only ones log nothing.
    if change != KVM_MR_FLAGS_ONLY or new_flags & KVM_MEM_READONLY:
        return
    assert new is not None
    if not (old_flags ^ new_flags) & KVM_MEM_LOG_DIRTY_PAGES:
        kvm.warn("kvm_mmu_slot_apply_flags", "no flag changed")
        return
    if not log_dirty_pages:
        # Dirty logging split the huge pages: let them come back.
        kvm_mmu_zap_collapsible_sptes(kvm, new)
        return
    # With init-set, every page is dirty: write protection waits for KVM_CLEAR_DIRTY_LOG.
    if kvm.manual_dirty_log_protect and kvm.dirty_log_init_set:
        return
    if kvm.eager_page_split:
        kvm_mmu_slot_try_split_huge_pages(kvm, new, PG_LEVEL_4K)
    if kvm.cpu_dirty_log_size:
        kvm_mmu_slot_leaf_clear_dirty(kvm, new)
        kvm_mmu_slot_remove_write_access(kvm, new, PG_LEVEL_2M)
    else:
        kvm_mmu_slot_remove_write_access(kvm, new, PG_LEVEL_4K)
    # Always: an SPTE that is read-only already may have a writable TLB entry that awaits its flush.
    kvm_arch_flush_remote_tlbs_memslot(kvm, new)


def kvm_commit_memory_region(
    kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
) -> None:
    """What follows a change that was made."""
    if change == KVM_MR_DELETE:
        assert old is not None
        kvm.nr_memslot_pages -= old.npages
    elif change == KVM_MR_CREATE:
        assert new is not None
        kvm.nr_memslot_pages += new.npages
    if not kvm.n_requested_mmu_pages and change in (KVM_MR_CREATE, KVM_MR_DELETE):
        nr_mmu_pages = kvm.nr_memslot_pages // KVM_MEMSLOT_PAGES_TO_MMU_PAGES_RATIO
        kvm_mmu_change_mmu_pages(kvm, max(nr_mmu_pages, KVM_MIN_ALLOC_MMU_PAGES))
    kvm_mmu_slot_apply_flags(kvm, old, new, change)


def kvm_activate_memslot(kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None) -> None:
    """Makes the change visible, then makes it in the other set too."""
    slot = old if old is not None else new
    assert slot is not None
    kvm_swap_active_memslots(kvm, slot.as_id)
    kvm_replace_memslot(kvm, old, new)


def kvm_invalidate_memslot(kvm: Kvm, old: KvmMemorySlot, invalid_slot: KvmMemorySlot) -> None:
    """Marks a slot invalid, which makes faults there retry, and unmaps it."""
    invalid_slot.base_gfn = old.base_gfn
    invalid_slot.npages = old.npages
    invalid_slot.dirty_bitmap = old.dirty_bitmap
    invalid_slot.arch = old.arch
    invalid_slot.userspace_addr = old.userspace_addr
    invalid_slot.flags = old.flags | KVM_MEMSLOT_INVALID
    invalid_slot.id = old.id
    invalid_slot.as_id = old.as_id
    kvm_replace_memslot(kvm, old, invalid_slot)
    kvm_swap_active_memslots(kvm, old.as_id)
    # From here on nothing may be mapped from the slot.
    kvm_arch_flush_shadow_memslot(kvm, old)
    kvm.slots_arch_lock.lock()
    old.arch = invalid_slot.arch


def kvm_arch_flush_shadow_memslot(kvm: Kvm, slot: KvmMemorySlot) -> None:
    """Unmaps a slot, and with it everything else."""
    kvm_mmu_zap_all_fast(kvm)


def kvm_set_memslot(
    kvm: Kvm, old: KvmMemorySlot | None, new: KvmMemorySlot | None, change: int
) -> int:
    """Makes one change of memslots; 0 or -errno."""
    kvm.slots_arch_lock.lock()
    invalid_slot = None
    if change in (KVM_MR_DELETE, KVM_MR_MOVE):
        assert old is not None
        invalid_slot = KvmMemorySlot()
        kvm_invalidate_memslot(kvm, old, invalid_slot)
    r = kvm_prepare_memory_region(kvm, old, new, change)
    if r:
        if invalid_slot is not None:
            kvm_activate_memslot(kvm, invalid_slot, old)
        else:
            kvm.slots_arch_lock.unlock()
        return r
    if change == KVM_MR_CREATE:
        kvm_replace_memslot(kvm, None, new)
        kvm_activate_memslot(kvm, None, new)
    elif change == KVM_MR_DELETE:
        kvm_replace_memslot(kvm, old, None)
        kvm_activate_memslot(kvm, invalid_slot, None)
    elif change == KVM_MR_MOVE:
        kvm_replace_memslot(kvm, old, new)
        kvm_activate_memslot(kvm, invalid_slot, new)
    else:
        kvm_replace_memslot(kvm, old, new)
        kvm_activate_memslot(kvm, old, new)
    kvm_commit_memory_region(kvm, old, new, change)
    return 0


def __kvm_set_memory_region(
    kvm: Kvm, as_id: int, slot_id: int, base_gfn: Gfn, npages: int, hva: Hva, flags: int
) -> int:
    """Makes, moves, deletes (npages 0) or changes a memslot; 0 or -errno."""
    slots = kvm.memslots[as_id]
    old = slots.id_hash.get(slot_id)
    if not npages:
        if old is None or not old.npages:
            return -EINVAL
        return kvm_set_memslot(kvm, old, None, KVM_MR_DELETE)
    if old is None or not old.npages:
        change = KVM_MR_CREATE
    else:
        if (
            hva != old.userspace_addr
            or npages != old.npages
            or (flags ^ old.flags) & KVM_MEM_READONLY
        ):
            return -EINVAL
        if base_gfn != old.base_gfn:
            change = KVM_MR_MOVE
        elif flags != old.flags:
            change = KVM_MR_FLAGS_ONLY
        else:
            return 0
    if change in (KVM_MR_CREATE, KVM_MR_MOVE) and any(
        slot.id != slot_id
        for slot in kvm_for_each_memslot_in_gfn_range(slots, base_gfn, base_gfn + npages)
    ):
        return -EEXIST
    new = KvmMemorySlot()
    new.as_id = as_id
    new.id = slot_id
    new.base_gfn = base_gfn
    new.npages = npages
    new.flags = flags
    new.userspace_addr = hva
    return kvm_set_memslot(kvm, old, new, change)


def kvm_set_memory_region(
    kvm: Kvm, as_id: int, slot_id: int, base_gfn: Gfn, npages: int, hva: Hva, flags: int
) -> int:
    """KVM_SET_USER_MEMORY_REGION: gfns and pages, `hva` in bytes; 0 or -errno."""
    kvm.slots_lock.lock()
    r = __kvm_set_memory_region(kvm, as_id, slot_id, base_gfn, npages, hva, flags)
    kvm.slots_lock.unlock()
    return r
