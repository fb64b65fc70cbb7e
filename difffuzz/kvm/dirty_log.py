# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/kvm_main.c: KVM_GET_DIRTY_LOG and KVM_CLEAR_DIRTY_LOG."""

from __future__ import annotations

from difffuzz.facts.errno import EINVAL, ENOENT

from .kvm_host import BITS_PER_LONG, Kvm
from .mmu_slot import kvm_arch_flush_remote_tlbs_memslot, kvm_arch_mmu_enable_log_dirty_pt_masked
from .vmx import vmx_flush_pml_buffer


def kvm_arch_sync_dirty_log(kvm: Kvm) -> None:
    """Makes every vCPU leave the guest, which empties its PML buffer."""
    for vcpu in kvm.vcpus:
        vmx_flush_pml_buffer(vcpu)


def kvm_vm_ioctl_get_dirty_log(kvm: Kvm, as_id: int, slot_id: int) -> tuple[int, dict[int, int]]:
    """KVM_GET_DIRTY_LOG: (0 or -errno, the 64-bit words that are not 0 by number)."""
    kvm.slots_lock.lock()
    r = kvm_get_dirty_log_protect(kvm, as_id, slot_id)
    kvm.slots_lock.unlock()
    return r


def kvm_get_dirty_log_protect(kvm: Kvm, as_id: int, slot_id: int) -> tuple[int, dict[int, int]]:
    """Copies the bitmap; without manual protection it is cleared, and the pages with it."""
    memslot = kvm.memslots[as_id].id_hash.get(slot_id)
    if memslot is None or memslot.dirty_bitmap is None:
        return -ENOENT, {}
    kvm_arch_sync_dirty_log(kvm)
    dirty_bitmap = memslot.dirty_bitmap
    if kvm.manual_dirty_log_protect:
        return 0, dict(dirty_bitmap)
    flush = False
    buffer: dict[int, int] = {}
    kvm.mmu_lock.write_lock()
    for i in sorted(dirty_bitmap):
        flush = True
        kvm.sched.point(("dirty bitmap", slot_id))
        mask = dirty_bitmap.pop(i)
        buffer[i] = mask
        kvm_arch_mmu_enable_log_dirty_pt_masked(kvm, memslot, i * BITS_PER_LONG, mask)
    kvm.mmu_lock.write_unlock()
    if flush:
        kvm_arch_flush_remote_tlbs_memslot(kvm, memslot)
    return 0, buffer


def kvm_vm_ioctl_clear_dirty_log(
    kvm: Kvm, as_id: int, slot_id: int, first_page: int, num_pages: int
) -> int:
    """KVM_CLEAR_DIRTY_LOG for every page of the range; 0 or -errno."""
    kvm.slots_lock.lock()
    r = kvm_clear_dirty_log_protect(kvm, as_id, slot_id, first_page, num_pages)
    kvm.slots_lock.unlock()
    return r


def kvm_clear_dirty_log_protect(
    kvm: Kvm, as_id: int, slot_id: int, first_page: int, num_pages: int
) -> int:
    """Clears the bits of a range, and makes the next write to each page that had one seen."""
    if first_page & 63:
        return -EINVAL
    memslot = kvm.memslots[as_id].id_hash.get(slot_id)
    if memslot is None or memslot.dirty_bitmap is None:
        return -ENOENT
    npages = memslot.npages
    if (
        first_page > npages
        or num_pages > npages - first_page
        or (num_pages < npages - first_page and num_pages & 63)
    ):
        return -EINVAL
    dirty_bitmap = memslot.dirty_bitmap
    kvm_arch_sync_dirty_log(kvm)
    flush = False
    first = first_page // BITS_PER_LONG
    last = first + -(-num_pages // BITS_PER_LONG)
    kvm.mmu_lock.write_lock()
    for i in sorted(word for word in dirty_bitmap if first <= word < last):
        kvm.sched.point(("dirty bitmap", slot_id))
        mask = dirty_bitmap.pop(i)
        flush = True
        kvm_arch_mmu_enable_log_dirty_pt_masked(kvm, memslot, i * BITS_PER_LONG, mask)
    kvm.mmu_lock.write_unlock()
    if flush:
        kvm_arch_flush_remote_tlbs_memslot(kvm, memslot)
    return 0
