# SPDX-License-Identifier: GPL-2.0-only
"""Looking up memslots, and the dirty bitmap: include/linux/kvm_host.h and virt/kvm/kvm_main.c."""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn, Hva
from difffuzz.sched import KernelSplat

from .kvm_host import (
    KVM_MEM_LOG_DIRTY_PAGES,
    KVM_MEM_READONLY,
    KVM_MEMSLOT_INVALID,
    Kvm,
    KvmMemorySlot,
    KvmMemslots,
    KvmMmuPageRole,
    KvmVcpu,
)

KVM_HVA_ERR_BAD = -1
KVM_HVA_ERR_RO_BAD = -2


def __kvm_memslots(kvm: Kvm, as_id: int) -> KvmMemslots:
    """The active memslots, with the check of srcu_dereference_check()."""
    if not kvm.srcu.read_lock_held() and not kvm.slots_lock.held() and kvm.users_count:
        raise KernelSplat("rcu", "__kvm_memslots", "memslots used without SRCU or slots_lock")
    return kvm.memslots[as_id]


def kvm_memslots_for_spte_role(kvm: Kvm, role: KvmMmuPageRole) -> KvmMemslots:
    """The active memslots of the address space that pages of `role` map."""
    kvm.sched.touch("memslots", False)
    return kvm.memslots[role.smm]


def kvm_vcpu_memslots(vcpu: KvmVcpu) -> KvmMemslots:
    """The active memslots of the address space that the vCPU is in."""
    vcpu.kvm.sched.touch("memslots", False)
    return vcpu.kvm.memslots[vcpu.smm]


def try_get_memslot(slot: KvmMemorySlot | None, gfn: Gfn) -> KvmMemorySlot | None:
    """`slot` if it holds `gfn`."""
    if slot is not None and slot.base_gfn <= gfn < slot.base_gfn + slot.npages:
        return slot
    return None


def search_memslots(slots: KvmMemslots, gfn: Gfn) -> KvmMemorySlot | None:
    """The slot of `slots` that holds `gfn`."""
    return try_get_memslot(slots.gfn_tree.floor(gfn), gfn)


def kvm_vcpu_gfn_to_memslot(vcpu: KvmVcpu, gfn: Gfn) -> KvmMemorySlot | None:
    """The slot that holds `gfn`; the last one used is tried first, unless slots changed since."""
    vcpu.kvm.sched.touch("memslots", False)
    slots = vcpu.kvm.memslots[vcpu.smm]
    gen = slots.generation
    if gen != vcpu.last_used_slot_gen:
        vcpu.last_used_slot = None
        vcpu.last_used_slot_gen = gen
    slot = vcpu.last_used_slot
    if slot is not None and slot.base_gfn <= gfn < slot.base_gfn + slot.npages:
        return slot
    slot = search_memslots(slots, gfn)
    if slot is not None:
        vcpu.last_used_slot = slot
    return slot


def kvm_for_each_memslot_in_gfn_range(
    slots: KvmMemslots, start: int, end: int
) -> list[KvmMemorySlot]:
    """The slots that overlap the gfns [start, end), by gfn."""
    found = [
        slot
        for slot in slots.id_hash.values()
        if slot.base_gfn < end and slot.base_gfn + slot.npages > start
    ]
    if len(found) > 1:
        found.sort(key=lambda slot: slot.base_gfn)
    return found


def kvm_for_each_memslot_in_hva_range(
    slots: KvmMemslots, start: int, end: int
) -> list[KvmMemorySlot]:
    """The slots that overlap the hvas [start, end), by hva; slots are few, so all are looked at."""
    found = []
    for slot in slots.id_hash.values():
        if slot.userspace_addr < end and slot.userspace_addr + (slot.npages << 12) > start:
            found.append(slot)
    if len(found) > 1:
        found.sort(key=lambda slot: slot.userspace_addr)
    return found


def gfn_to_index(gfn: Gfn, base_gfn: Gfn, level: int) -> int:
    """Index of `gfn` in a slot's arrays of `level`."""
    shift = 9 * (level - 1)
    return (gfn >> shift) - (base_gfn >> shift)


def kvm_slot_dirty_track_enabled(slot: KvmMemorySlot) -> bool:
    """True if the slot logs dirty pages."""
    return slot.flags & KVM_MEM_LOG_DIRTY_PAGES != 0


def kvm_is_visible_memslot(slot: KvmMemorySlot | None) -> bool:
    """True if the guest sees memory there."""
    return slot is not None and not slot.flags & KVM_MEMSLOT_INVALID


def gfn_to_hva_memslot(slot: KvmMemorySlot, gfn: Gfn) -> Hva:
    """The hva of `gfn`, whatever the slot's state."""
    return slot.userspace_addr + ((gfn - slot.base_gfn) << 12)


def gfn_to_hva_many(slot: KvmMemorySlot | None, gfn: Gfn, write: bool) -> Hva:
    """The hva of `gfn`, or KVM_HVA_ERR_*."""
    if slot is None or slot.flags & KVM_MEMSLOT_INVALID:
        return KVM_HVA_ERR_BAD
    if slot.flags & KVM_MEM_READONLY and write:
        return KVM_HVA_ERR_RO_BAD
    return slot.userspace_addr + ((gfn - slot.base_gfn) << 12)


def mark_page_dirty_in_slot(kvm: Kvm, memslot: KvmMemorySlot | None, gfn: Gfn) -> None:
    """Sets the bit of `gfn` in the slot's dirty bitmap, if it has one."""
    # Left out: the dirty ring.
    if memslot is not None and kvm_slot_dirty_track_enabled(memslot):
        rel_gfn = gfn - memslot.base_gfn
        bitmap = memslot.dirty_bitmap
        if bitmap is None:
            kvm.warn("mark_page_dirty_in_slot", "slot logs dirty pages without a bitmap")
            return
        kvm.sched.touch(("dirty bitmap", memslot.id))
        word = rel_gfn >> 6
        bitmap[word] = bitmap.get(word, 0) | 1 << (rel_gfn & 63)


def kvm_vcpu_mark_page_dirty(vcpu: KvmVcpu, gfn: Gfn) -> None:
    """mark_page_dirty() in the address space of the vCPU."""
    mark_page_dirty_in_slot(vcpu.kvm, kvm_vcpu_gfn_to_memslot(vcpu, gfn), gfn)
