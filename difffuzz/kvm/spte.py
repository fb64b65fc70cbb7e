# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/spte.h and spte.c: the bits of an SPTE, and how an SPTE is made.

The kernel's shadow_*_mask globals are the fields of `SpteMasks`; a function that reads one takes
the masks (or a kvm that has them) as its first argument.  An SPTE is an int.
"""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn, Pfn, Spte
from difffuzz.facts.paging import (
    PT_PAGE_SIZE_MASK,
    PT_WRITABLE_MASK,
    VMX_EPT_EXECUTABLE_MASK,
    VMX_EPT_READABLE_MASK,
)
from difffuzz.facts.spte import MMIO_SPTE_GEN_HIGH_MASK as MMIO_SPTE_GEN_HIGH_MASK
from difffuzz.facts.spte import MMIO_SPTE_GEN_HIGH_SHIFT as MMIO_SPTE_GEN_HIGH_SHIFT
from difffuzz.facts.spte import MMIO_SPTE_GEN_LOW_MASK as MMIO_SPTE_GEN_LOW_MASK
from difffuzz.facts.spte import MMIO_SPTE_GEN_LOW_SHIFT as MMIO_SPTE_GEN_LOW_SHIFT
from difffuzz.facts.spte import MMIO_SPTE_GEN_MASK as MMIO_SPTE_GEN_MASK
from difffuzz.facts.spte import REMOVED_SPTE as REMOVED_SPTE
from difffuzz.facts.spte import SPTE_BASE_ADDR_MASK as SPTE_BASE_ADDR_MASK
from difffuzz.facts.spte import SPTE_MMU_PRESENT_MASK as SPTE_MMU_PRESENT_MASK
from difffuzz.facts.spte import SPTE_TDP_AD_DISABLED_MASK as SPTE_TDP_AD_DISABLED_MASK
from difffuzz.facts.spte import SPTE_TDP_AD_MASK as SPTE_TDP_AD_MASK

from .kvm_host import (
    PG_LEVEL_4K,
    Kvm,
    KvmMemorySlot,
    KvmMmuPage,
    KvmMmuPageRole,
    KvmVcpu,
    pages_per_hpage,
)
from .memslots import kvm_slot_dirty_track_enabled, kvm_vcpu_memslots, mark_page_dirty_in_slot
from .mmu_rsvd import is_rsvd_spte
from .page_track import mmu_try_to_unsync_pages
from .spte_masks import ACC_ALL as ACC_ALL
from .spte_masks import ACC_EXEC_MASK as ACC_EXEC_MASK
from .spte_masks import ACC_USER_MASK as ACC_USER_MASK
from .spte_masks import ACC_WRITE_MASK as ACC_WRITE_MASK
from .spte_masks import SpteMasks

SPTE_TDP_AD_SHIFT = 52
SPTE_TDP_AD_ENABLED_MASK = 0
SPTE_TDP_AD_WRPROT_ONLY_MASK = 2 << SPTE_TDP_AD_SHIFT
SHADOW_ACC_TRACK_SAVED_BITS_MASK = VMX_EPT_READABLE_MASK | VMX_EPT_EXECUTABLE_MASK
SHADOW_ACC_TRACK_SAVED_BITS_SHIFT = 54


def is_removed_spte(spte: Spte) -> bool:
    """True for the frozen SPTE."""
    return spte == REMOVED_SPTE


def is_mmio_spte(m: SpteMasks, spte: Spte) -> bool:
    """True for an SPTE that makes the CPU report MMIO."""
    return m.enable_mmio_caching and (spte & m.shadow_mmio_mask) == m.shadow_mmio_value


def is_shadow_present_pte(spte: Spte) -> bool:
    """True if KVM's MMU counts the SPTE as present; the hardware may not."""
    return spte & SPTE_MMU_PRESENT_MASK != 0


def kvm_ad_enabled(m: SpteMasks) -> bool:
    """True if the CPU sets accessed and dirty bits in SPTEs."""
    return m.shadow_accessed_mask != 0


def sp_ad_disabled(sp: KvmMmuPage) -> bool:
    """True if SPTEs of this page have no accessed and dirty bits."""
    return sp.role.ad_disabled


def spte_ad_enabled(spte: Spte) -> bool:
    """True if this SPTE has accessed and dirty bits."""
    return (spte & SPTE_TDP_AD_MASK) != SPTE_TDP_AD_DISABLED_MASK


def spte_ad_need_write_protect(spte: Spte) -> bool:
    """True if dirty logging has to write-protect this SPTE rather than clear its dirty bit."""
    return (spte & SPTE_TDP_AD_MASK) != SPTE_TDP_AD_ENABLED_MASK


def spte_shadow_accessed_mask(m: SpteMasks, spte: Spte) -> int:
    """The accessed bit of this SPTE, 0 if it has none."""
    # spte_ad_enabled()
    return m.shadow_accessed_mask if spte & SPTE_TDP_AD_MASK != SPTE_TDP_AD_DISABLED_MASK else 0


def spte_shadow_dirty_mask(m: SpteMasks, spte: Spte) -> int:
    """The dirty bit of this SPTE, 0 if it has none."""
    # spte_ad_enabled()
    return m.shadow_dirty_mask if spte & SPTE_TDP_AD_MASK != SPTE_TDP_AD_DISABLED_MASK else 0


def is_access_track_spte(m: SpteMasks, spte: Spte) -> bool:
    """True if the SPTE had its permissions saved away to catch the next access."""
    return not spte_ad_enabled(spte) and (spte & m.shadow_acc_track_mask) == 0


def is_large_pte(spte: Spte) -> bool:
    """True for a huge leaf."""
    return spte & PT_PAGE_SIZE_MASK != 0


def is_last_spte(spte: Spte, level: int) -> bool:
    """True for a leaf."""
    return level == PG_LEVEL_4K or spte & PT_PAGE_SIZE_MASK != 0


def is_executable_pte(m: SpteMasks, spte: Spte) -> bool:
    """True if the guest may fetch through the SPTE."""
    return (spte & (m.shadow_x_mask | m.shadow_nx_mask)) == m.shadow_x_mask


def spte_to_pfn(spte: Spte) -> Pfn:
    """The pfn in the SPTE."""
    return (spte & SPTE_BASE_ADDR_MASK) >> 12


def is_accessed_spte(m: SpteMasks, spte: Spte) -> bool:
    """True if the SPTE was accessed, or may have been."""
    accessed_mask = spte_shadow_accessed_mask(m, spte)
    if accessed_mask:
        return spte & accessed_mask != 0
    return not is_access_track_spte(m, spte)


def is_dirty_spte(m: SpteMasks, spte: Spte) -> bool:
    """True if the page was written through the SPTE, or may have been."""
    dirty_mask = spte_shadow_dirty_mask(m, spte)
    return spte & (dirty_mask or PT_WRITABLE_MASK) != 0


def is_writable_pte(spte: Spte) -> bool:
    """True if the guest may write through the SPTE."""
    return spte & PT_WRITABLE_MASK != 0


def is_mmu_writable_spte(m: SpteMasks, spte: Spte) -> bool:
    """True if the write-protected SPTE may be made writable without mmu_lock."""
    return spte & m.shadow_mmu_writable_mask != 0


def check_spte_writable_invariants(kvm: Kvm, spte: Spte) -> None:
    """MMU-writable needs host-writable, writable needs MMU-writable."""
    m = kvm.masks
    if spte & m.shadow_mmu_writable_mask:
        if not spte & m.shadow_host_writable_mask:
            kvm.warn("check_spte_writable_invariants", "MMU-writable SPTE is not host-writable")
    elif spte & PT_WRITABLE_MASK:
        kvm.warn("check_spte_writable_invariants", "writable SPTE is not MMU-writable")


def get_mmio_spte_gfn(m: SpteMasks, spte: Spte) -> Gfn:
    """The gfn in an MMIO SPTE."""
    return (spte & m.shadow_nonpresent_or_rsvd_lower_gfn_mask) >> 12


def get_mmio_spte_generation(spte: Spte) -> int:
    """The memslot generation in an MMIO SPTE."""
    return (spte & MMIO_SPTE_GEN_LOW_MASK) >> MMIO_SPTE_GEN_LOW_SHIFT | (
        spte & MMIO_SPTE_GEN_HIGH_MASK
    ) >> MMIO_SPTE_GEN_HIGH_SHIFT


def generation_mmio_spte_mask(gen: int) -> int:
    """The generation as it is spread over an MMIO SPTE."""
    return (gen << MMIO_SPTE_GEN_LOW_SHIFT) & MMIO_SPTE_GEN_LOW_MASK | (
        gen << MMIO_SPTE_GEN_HIGH_SHIFT
    ) & MMIO_SPTE_GEN_HIGH_MASK


def make_mmio_spte(vcpu: KvmVcpu, gfn: Gfn, access: int) -> Spte:
    """An SPTE that makes the next access to `gfn` an MMIO exit."""
    kvm = vcpu.kvm
    m = kvm.masks
    gen = kvm_vcpu_memslots(vcpu).generation & MMIO_SPTE_GEN_MASK
    if not m.shadow_mmio_value:
        kvm.warn("make_mmio_spte", "MMIO caching is disabled")
    return (
        generation_mmio_spte_mask(gen)
        | m.shadow_mmio_value
        | access & m.shadow_mmio_access_mask
        | gfn << 12
    )


def kvm_mmu_page_ad_need_write_protect(kvm: Kvm, sp: KvmMmuPage) -> bool:
    """With PML, pages that back L2 cannot use dirty bits: the CPU would log L2's gpas."""
    return bool(kvm.cpu_dirty_log_size) and sp.role.guest_mode


def spte_has_volatile_bits(m: SpteMasks, spte: Spte) -> bool:
    """True if the SPTE can change outside mmu_lock, so that it must be replaced atomically."""
    if not spte & PT_WRITABLE_MASK and spte & m.shadow_mmu_writable_mask:
        return True
    if is_access_track_spte(m, spte):
        return True
    if spte_ad_enabled(spte):
        if not spte & m.shadow_accessed_mask:
            return True
        if spte & PT_WRITABLE_MASK and not spte & m.shadow_dirty_mask:
            return True
    return False


def is_nx_huge_page_enabled(kvm: Kvm) -> bool:
    """True if huge pages must not be executable (ITLB multihit mitigation)."""
    return kvm.nx_huge_pages


def make_spte(
    vcpu: KvmVcpu,
    sp: KvmMmuPage,
    slot: KvmMemorySlot,
    pte_access: int,
    gfn: Gfn,
    pfn: Pfn,
    old_spte: Spte,
    prefetch: bool,
    can_unsync: bool,
    host_writable: bool,
) -> tuple[bool, int]:
    """A leaf SPTE for `gfn`.  Returns (write-protected although writing was wanted, the SPTE)."""
    kvm = vcpu.kvm
    m = kvm.masks
    level = sp.role.level
    spte = SPTE_MMU_PRESENT_MASK
    wrprot = False
    if sp.role.ad_disabled:
        spte |= SPTE_TDP_AD_DISABLED_MASK
    elif kvm_mmu_page_ad_need_write_protect(kvm, sp):
        spte |= SPTE_TDP_AD_WRPROT_ONLY_MASK
    spte |= m.shadow_present_mask
    if not prefetch:
        spte |= spte_shadow_accessed_mask(m, spte)
    if level > PG_LEVEL_4K and pte_access & ACC_EXEC_MASK and is_nx_huge_page_enabled(kvm):
        pte_access &= ~ACC_EXEC_MASK
    spte |= m.shadow_x_mask if pte_access & ACC_EXEC_MASK else m.shadow_nx_mask
    if pte_access & ACC_USER_MASK:
        spte |= m.shadow_user_mask
    if level > PG_LEVEL_4K:
        spte |= PT_PAGE_SIZE_MASK
    # Left out: memory types and encryption. Their bits are the same for every page here.
    spte |= m.shadow_memtype_mask
    if host_writable:
        spte |= m.shadow_host_writable_mask
    else:
        pte_access &= ~ACC_WRITE_MASK
    spte |= pfn << 12
    if pte_access & ACC_WRITE_MASK:
        spte |= PT_WRITABLE_MASK | m.shadow_mmu_writable_mask
        # A leaf that is writable already cannot be write-tracked: skip the look-up, and the dirty
        # bit with it.  The fault was a lost race, or the CPU's dirty bit was cleared meanwhile.
        # Mended (own-stale-mmio-write-track): it must be present, for bit 1 of an MMIO SPTE is no
        # permission; the kernel does not ask.
        if not (
            is_shadow_present_pte(old_spte)
            and is_last_spte(old_spte, level)
            and is_writable_pte(old_spte)
        ):
            if mmu_try_to_unsync_pages(kvm, slot, gfn, can_unsync, prefetch):
                wrprot = True
                pte_access &= ~ACC_WRITE_MASK
                spte &= ~(PT_WRITABLE_MASK | m.shadow_mmu_writable_mask)
            if pte_access & ACC_WRITE_MASK:
                spte |= spte_shadow_dirty_mask(m, spte)
    if prefetch:
        spte = mark_spte_for_access_track(kvm, spte)
    if is_rsvd_spte(vcpu.mmu.shadow_zero_check, spte, level):
        kvm.warn("make_spte", "reserved bits are set")
    if spte & PT_WRITABLE_MASK and kvm_slot_dirty_track_enabled(slot):
        if level > PG_LEVEL_4K:
            kvm.warn("make_spte", "huge page in a slot that logs dirty pages")
        mark_page_dirty_in_slot(kvm, slot, gfn)
    return wrprot, spte


def make_spte_executable(kvm: Kvm, spte: Spte) -> Spte:
    """The same SPTE, executable."""
    m = kvm.masks
    is_access_track = is_access_track_spte(m, spte)
    if is_access_track:
        spte = restore_acc_track_spte(m, spte)
    spte &= ~m.shadow_nx_mask
    spte |= m.shadow_x_mask
    if is_access_track:
        spte = mark_spte_for_access_track(kvm, spte)
    return spte


def make_huge_page_split_spte(kvm: Kvm, huge_spte: Spte, role: KvmMmuPageRole, index: int) -> Spte:
    """Entry `index` of the page table (with `role`) that replaces a huge leaf."""
    if not is_shadow_present_pte(huge_spte):
        kvm.warn("make_huge_page_split_spte", "huge SPTE is not present")
        return 0
    if not is_large_pte(huge_spte):
        kvm.warn("make_huge_page_split_spte", "SPTE is not huge")
        return 0
    child_spte = huge_spte
    child_spte |= (index * pages_per_hpage(role.level)) << 12
    if role.level == PG_LEVEL_4K:
        child_spte &= ~PT_PAGE_SIZE_MASK
        # Only 4K pages may be executable under the NX mitigation.
        if role.access & ACC_EXEC_MASK and is_nx_huge_page_enabled(kvm):
            child_spte = make_spte_executable(kvm, child_spte)
    return child_spte


def make_nonleaf_spte(m: SpteMasks, child_pt: int, ad_disabled: bool) -> Spte:
    """An SPTE that points to the page table at `child_pt` (a physical address)."""
    spte = SPTE_MMU_PRESENT_MASK
    spte |= child_pt | m.shadow_present_mask | PT_WRITABLE_MASK
    spte |= m.shadow_user_mask | m.shadow_x_mask
    if ad_disabled:
        return spte | SPTE_TDP_AD_DISABLED_MASK
    return spte | m.shadow_accessed_mask


def kvm_mmu_changed_pte_notifier_make_spte(kvm: Kvm, old_spte: Spte, new_pfn: Pfn) -> Spte:
    """The SPTE after the host made the page read-only at another pfn."""
    m = kvm.masks
    new_spte = old_spte & ~SPTE_BASE_ADDR_MASK
    new_spte |= new_pfn << 12
    new_spte &= ~PT_WRITABLE_MASK
    new_spte &= ~m.shadow_host_writable_mask
    new_spte &= ~m.shadow_mmu_writable_mask
    return mark_spte_for_access_track(kvm, new_spte)


def mark_spte_for_access_track(kvm: Kvm, spte: Spte) -> Spte:
    """The SPTE made to report its next access: accessed bit off, or permissions saved away."""
    m = kvm.masks
    if spte_ad_enabled(spte):
        return spte & ~m.shadow_accessed_mask
    if is_access_track_spte(m, spte):
        return spte
    check_spte_writable_invariants(kvm, spte)
    saved = SHADOW_ACC_TRACK_SAVED_BITS_MASK << SHADOW_ACC_TRACK_SAVED_BITS_SHIFT
    if spte & saved:
        kvm.warn("mark_spte_for_access_track", "saved bits are not zero")
    spte |= (spte & SHADOW_ACC_TRACK_SAVED_BITS_MASK) << SHADOW_ACC_TRACK_SAVED_BITS_SHIFT
    return spte & ~m.shadow_acc_track_mask


def restore_acc_track_spte(m: SpteMasks, spte: Spte) -> Spte:
    """The SPTE with its saved permissions back; write permission is not among them."""
    saved_bits = (spte >> SHADOW_ACC_TRACK_SAVED_BITS_SHIFT) & SHADOW_ACC_TRACK_SAVED_BITS_MASK
    spte &= ~m.shadow_acc_track_mask
    spte &= ~(SHADOW_ACC_TRACK_SAVED_BITS_MASK << SHADOW_ACC_TRACK_SAVED_BITS_SHIFT)
    return spte | saved_bits
