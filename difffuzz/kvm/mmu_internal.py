# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/mmu/mmu_internal.h: struct kvm_page_fault, RET_PF_*, and shadow page look-ups."""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn, Spte, SptePtr
from difffuzz.facts.kvm import RET_PF_CONTINUE as RET_PF_CONTINUE
from difffuzz.facts.kvm import RET_PF_EMULATE as RET_PF_EMULATE
from difffuzz.facts.kvm import RET_PF_FIXED as RET_PF_FIXED
from difffuzz.facts.kvm import RET_PF_INVALID as RET_PF_INVALID
from difffuzz.facts.kvm import RET_PF_RETRY as RET_PF_RETRY
from difffuzz.facts.kvm import RET_PF_SPURIOUS as RET_PF_SPURIOUS
from difffuzz.facts.paging import (
    MOST_MAXPHYADDR,
    PAGE_SHIFT,
    PFERR_FETCH_MASK,
    PFERR_PRESENT_MASK,
    PFERR_RSVD_MASK,
    PFERR_WRITE_MASK,
    PT_PRESENT_MASK,
)

from .kvm_host import (
    KVM_MAX_HUGEPAGE_LEVEL,
    PG_LEVEL_4K,
    Kvm,
    KvmMemorySlot,
    KvmMmu,
    KvmMmuPage,
    KvmVcpu,
)
from .spte import (
    SPTE_BASE_ADDR_MASK,
    is_executable_pte,
    is_nx_huge_page_enabled,
    is_writable_pte,
)
from .spte_masks import SpteMasks


class KvmPageFault:
    """struct kvm_page_fault: one attempt to handle one fault."""

    __slots__ = (
        "addr",
        "error_code",
        "exec",
        "gfn",
        "goal_level",
        "huge_page_disallowed",
        "hva",
        "is_tdp",
        "map_writable",
        "max_level",
        "mmu_seq",
        "nx_huge_page_workaround_enabled",
        "pfn",
        "prefetch",
        "present",
        "req_level",
        "rsvd",
        "slot",
        "write",
    )

    def __init__(self, vcpu: KvmVcpu, addr: int, err: int, prefetch: bool) -> None:
        self.addr = addr
        self.error_code = err
        self.exec = err & PFERR_FETCH_MASK != 0
        self.write = err & PFERR_WRITE_MASK != 0
        self.present = err & PFERR_PRESENT_MASK != 0
        self.rsvd = err & PFERR_RSVD_MASK != 0
        self.prefetch = prefetch
        self.is_tdp = vcpu.mmu.is_tdp
        self.nx_huge_page_workaround_enabled = is_nx_huge_page_enabled(vcpu.kvm)
        self.huge_page_disallowed = False
        self.max_level = KVM_MAX_HUGEPAGE_LEVEL
        self.req_level = PG_LEVEL_4K
        self.goal_level = PG_LEVEL_4K
        self.gfn = 0
        self.slot: KvmMemorySlot | None = None
        self.mmu_seq = 0
        self.pfn = 0
        self.hva = -1
        self.map_writable = False


def is_access_allowed(m: SpteMasks, fault: KvmPageFault, spte: Spte) -> bool:
    """True if the SPTE permits the access that faulted (spte.h)."""
    if fault.exec:
        return is_executable_pte(m, spte)
    if fault.write:
        return is_writable_pte(spte)
    return spte & PT_PRESENT_MASK != 0


def kvm_mmu_max_gfn(kvm: Kvm) -> Gfn:
    """The last gfn there can be (mmu.h): the host's address space, or with shadow paging all of it.

    Shadow paging lets a guest have up to the 52 bits of the page-table format.
    """
    max_gpa_bits = kvm.maxphyaddr if kvm.tdp_enabled else MOST_MAXPHYADDR
    return (1 << (max_gpa_bits - PAGE_SHIFT)) - 1


def to_shadow_page(kvm: Kvm, shadow_page: int) -> KvmMmuPage | None:
    """The shadow page at a physical address; None for a special root such as pae_root."""
    sp: KvmMmuPage | None = kvm.mem.page(shadow_page).sp
    return sp


def sptep_to_sp(kvm: Kvm, sptep: SptePtr) -> KvmMmuPage:
    """The shadow page that holds the entry at `sptep`."""
    sp: KvmMmuPage = kvm.mem.page(sptep).sp
    return sp


def spte_to_child_sp(kvm: Kvm, spte: Spte) -> KvmMmuPage:
    """The shadow page that a non-leaf SPTE points to."""
    sp: KvmMmuPage = kvm.mem.page(spte & SPTE_BASE_ADDR_MASK).sp
    return sp


def spte_index(sptep: SptePtr) -> int:
    """Index of the entry at `sptep` in its page."""
    return (sptep >> 3) & 511


def kvm_mmu_page_as_id(sp: KvmMmuPage) -> int:
    """The address space that the page maps: 1 for SMM."""
    return 1 if sp.role.smm else 0


def is_tdp_mmu(kvm: Kvm, mmu: KvmMmu) -> bool:
    """True if the current root of `mmu` is the TDP MMU's."""
    hpa = mmu.root.hpa
    if hpa < 0:
        return False
    sp = to_shadow_page(kvm, hpa)
    return sp is not None and sp.tdp_mmu_page


def is_obsolete_sp(kvm: Kvm, sp: KvmMmuPage) -> bool:
    """True for a page that is being zapped: nothing may be mapped under it any more."""
    if sp.role.invalid:
        return True
    # The TDP MMU invalidates its roots instead of using the generation.
    return not sp.tdp_mmu_page and sp.mmu_valid_gen != kvm.mmu_valid_gen


def kvm_update_page_stats(kvm: Kvm, level: int, count: int) -> None:
    """Counts leaf SPTEs by level."""
    kvm.stat.pages[level - 1] += count


def track_possible_nx_huge_page(kvm: Kvm, sp: KvmMmuPage) -> None:
    """Puts a page that only exists because of the NX mitigation on the recovery worker's list."""
    if sp in kvm.possible_nx_huge_pages:
        return
    kvm.sched.touch("nx_lpage_splits")
    kvm.stat.nx_lpage_splits += 1
    kvm.possible_nx_huge_pages[sp] = None


def untrack_possible_nx_huge_page(kvm: Kvm, sp: KvmMmuPage) -> None:
    """Takes the page off the recovery worker's list."""
    if sp not in kvm.possible_nx_huge_pages:
        return
    kvm.sched.touch("nx_lpage_splits")
    kvm.stat.nx_lpage_splits -= 1
    del kvm.possible_nx_huge_pages[sp]


def account_nx_huge_page(kvm: Kvm, sp: KvmMmuPage, nx_huge_page_possible: bool) -> None:
    """Notes that the page stands where a huge page was disallowed."""
    sp.nx_huge_page_disallowed = True
    if nx_huge_page_possible:
        track_possible_nx_huge_page(kvm, sp)


def unaccount_nx_huge_page(kvm: Kvm, sp: KvmMmuPage) -> None:
    """Undoes account_nx_huge_page()."""
    sp.nx_huge_page_disallowed = False
    untrack_possible_nx_huge_page(kvm, sp)
