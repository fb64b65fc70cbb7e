# SPDX-License-Identifier: GPL-2.0-only
"""The differences that are meant: each rule with its reason and its evidence in the kernel.

A rule excuses the narrowest thing, where the oracle that it belongs to asks for it by name; a
verdict counts how often each was used.
"""

from __future__ import annotations

from typing import NamedTuple


class Rule(NamedTuple):
    """One allowed difference."""

    name: str
    oracle: str
    reason: str
    evidence: str


ALLOWED: dict[str, Rule] = {
    rule.name: rule
    for rule in (
        Rule(
            "cached-on-one-side",
            "answers",
            "aging without a flush leaves a translation in the TLB; an access that the TLB serves "
            "does not make the page young again, and which translations it still has differs: a "
            "late fault that changes an SPTE flushes on one side only, say",
            "kvm_mmu_notifier_clear_young() does not flush; mmu_set_spte() may",
        ),
        Rule(
            "freed-on-one-side",
            "contents",
            "reclaim drops a page that was freed lazily (MADV_FREE) unless it is dirty, and KVM "
            "says so of all that it maps writable, written or not; which it maps differs.  What "
            "was written since is kept, or the oracle objects; the program ends there",
            "make_spte() sets the dirty bit of every writable SPTE; direct_pte_prefetch()",
        ),
        Rule(
            "abandoned",
            "progress",
            "a program whose work is too much (it splits whole 1G pages, say) is not seen through",
            "none needed: what was seen before counts, the rest of the program is not looked at",
        ),
        Rule(
            "no-prefault",
            "answers",
            "of two kernels one has no KVM_PRE_FAULT_MEMORY: what is mapped differs, and the "
            "program ends there",
            "kvm_arch_vcpu_ioctl() answers -EINVAL to what it does not know",
        ),
        Rule(
            "unclear-order",
            "linearizable",
            "concurrent: two threads set the NX mitigation to on and off at once, or a page is "
            "tracked while its slot moves or is made anew: which was first is not told, so that "
            "the program is not seen through",
            "param_attr_store(), kvm_write_track_add_gfn() and kvm_set_memory_region() exclude "
            "each other by locks alone",
        ),
        Rule(
            "efer-nx",
            "guest-walk",
            "while EFER.NX is off bit 63 of an entry is reserved; shadow pages of a time when it "
            "was on are used on, and what they map does not fault",
            "the role of shadow pages has efer_nx only where a guest without it is shadowed",
        ),
        Rule(
            "fault-keeps-stale",
            "guest-walk",
            "a #PF drops what the CPU has cached of its address; KVM drops it only if the error "
            "code says present: an entry that went without a flush may be used behind one",
            "kvm_inject_emulated_page_fault() asks PFERR_PRESENT_MASK and no PFERR_RSVD_MASK",
        ),
        Rule(
            "npt-fetch",
            "guest-walk",
            "a nested page fault for a fetch says so whatever EFER.NX is; KVM tells it as a #PF, "
            "which does not while EFER.NX and CR4.SMEP are off",
            "FNAME(walk_addr_generic)() sets PFERR_FETCH_MASK by is_efer_nx() or is_cr4_smep()",
        ),
        Rule(
            "emulated-fetch",
            "guest-walk",
            "an L2 that fetches where no memory is has the fetch emulated, which up to 6.12 has to "
            "be allowed to read, too: of an entry that is executable only L1 is told a violation",
            "translate_nested_gpa() adds PFERR_USER_MASK, which is what reads of an EPT need",
        ),
        Rule(
            "denied-table",
            "guest-walk",
            "where a table's accessed or dirty bit is to be set and the host's mapping may not be "
            "written, the guest takes a #PF as if an entry were absent, and no vCPU fails",
            "FNAME(walk_addr_generic)() makes a #PF of a failed update_accessed_dirty_bits()",
        ),
        Rule(
            "foreign-tables",
            "guest-walk",
            "who changes a guest's page tables behind its back (a device, the host, another gfn "
            "of the page) is not seen by shadow paging; from there on only freed frames, "
            "assertions and books are judged",
            "shadowed tables are write-protected against the guest's own accesses, no others",
        ),
        Rule(
            "stale-translation",
            "guest-walk",
            "a write by an address that was not flushed since its entry changed may go to the "
            "old page or to the new one; from there on each side is judged, and none compared",
            "a CPU may use what it cached until it is flushed; unsync shadow pages are that",
        ),
        Rule(
            "no-mmu-pages",
            "retry",
            "the legacy MMU may run out of shadow pages and fail with -ENOSPC, the TDP MMU never",
            "make_mmu_pages_available() is called by direct_page_fault() only",
        ),
        Rule(
            "nx-split",
            "retry",
            "under the NX mitigation a fetch from a huge page: the TDP MMU's split makes the "
            "4K page executable, so that mapping it is SPURIOUS; the legacy MMU maps it: FIXED",
            "make_huge_page_split_spte() under kvm_tdp_mmu_map()",
        ),
        Rule(
            "late-fault",
            "retry",
            "a parked fault that finds its page mapped meanwhile is FIXED if it changes the SPTE's "
            "accessed or dirty bit, else SPURIOUS; in the TDP MMU always SPURIOUS if its access is "
            "allowed; a page that was prefetched has neither bit",
            "make_spte() leaves the dirty bit out over a writable SPTE; direct_pte_prefetch(); "
            "tdp_mmu_map_handle_target_level()",
        ),
        Rule(
            "parked-on-one-side",
            "retry",
            "a page that one MMU has mapped does not fault there: the legacy MMU prefetches, "
            "the TDP MMU keeps the neighbours of a huge page that it splits",
            "direct_pte_prefetch(); tdp_mmu_split_huge_page()",
        ),
        Rule(
            "any-invalidation",
            "retry",
            "mmu_invalidate_seq counts every invalidation of guest memory, whatever its range",
            "mmu_invalidate_retry_hva() compares the sequence without the hva",
        ),
        Rule(
            "pae-root-request",
            "retry",
            "a root without shadow page counts as obsolete while a request to free roots pends",
            "is_page_fault_stale() tests KVM_REQ_MMU_FREE_OBSOLETE_ROOTS",
        ),
        Rule(
            "own-copy-on-write",
            "retry",
            "a write fault that breaks copy-on-write invalidates the page that it is about to map, "
            "so it is found stale once",
            "wp_page_copy() notifies between kvm_faultin_pfn() reading the sequence and mmu_lock",
        ),
        Rule(
            "async-page-fault",
            "retry",
            "the page is being swapped in; the guest was told to run something else",
            "__kvm_faultin_pfn(), kvm_arch_setup_async_pf()",
        ),
        Rule(
            "emulated-or-not",
            "translation",
            "against spec: a write to a tracked page that is read-only on the host is emulated "
            "and fails as MMIO if the page is mapped, and fails as a fault if it is not",
            "page_fault_handle_page_track() comes before kvm_faultin_pfn(), for present pages",
        ),
        Rule(
            "misconfig-is-a-read",
            "translation",
            "a write to a read-only slot is an MMIO exit, but one that meets an out-of-date MMIO "
            "SPTE is handled as a read first, because an EPT misconfiguration does not tell the "
            "access; the read fails if the host has no page there.  In a read-only VM_PFNMAP area "
            "the read makes the host's page present, so that the write is emulated, else it fails. "
            "One side only: as in stale-mmio-kept, and spec never",
            "handle_ept_misconfig() passes PFERR_RSVD_MASK only; kvm_faultin_pfn(); "
            "hva_to_pfn_remapped()",
        ),
        Rule(
            "stale-mmio-kept",
            "retry",
            "one side meets an MMIO SPTE that is out of date, the other none: the legacy MMU keeps "
            "an unlinked page table in its hash and links it again, or reclaims one; the TDP MMU "
            "does neither",
            "drop_parent_pte() in mmu_set_spte(); kvm_mmu_find_shadow_page(); "
            "kvm_mmu_zap_oldest_mmu_pages()",
        ),
        Rule(
            "table-kept",
            "retry",
            "the legacy MMU keeps a page table that a huge page takes the place of; linked again, "
            "it may have the SPTE as the fault would make it: SPURIOUS; the TDP MMU makes it "
            "anew: FIXED",
            "drop_parent_pte() in mmu_set_spte(); kvm_mmu_find_shadow_page(); in 7.2 "
            "make_spte() always sets the dirty bit of a writable SPTE, so that nothing differs",
        ),
        Rule(
            "tracked-absent",
            "retry",
            "a write to a tracked page is emulated at once if the page is mapped, else the page is "
            "faulted in first; the legacy MMU reclaims page tables, and by a flush more it may be "
            "first to map again what aging without accessed bits made absent",
            "page_fault_handle_page_track() is for present pages; kvm_mmu_zap_oldest_mmu_pages(); "
            "kvm_mmu_commit_zap_page()",
        ),
        Rule(
            "tables-shared",
            "retry",
            "where vCPUs have roots of four and of five levels the legacy MMU has one set of "
            "tables below both, so that a vCPU finds what another has mapped; the TDP MMU has two "
            "sets",
            "kvm_mmu_get_shadow_page() looks for gfn and role, and a root of four levels has "
            "those of a child of one of five; kvm_tdp_mmu_get_vcpu_root_hpa()",
        ),
        Rule(
            "huge-over-tracked",
            "retry",
            "a huge page may cover a page that is tracked in the other address space; a new SPTE "
            "for it is write-protected, and writes to all of it are emulated, if its first gfn is "
            "the tracked one; an old SPTE gets its write bit back by the fast path.  Which of them "
            "a side meets depends on what zapped the page: eager splitting is the TDP MMU's only",
            "mmu_try_to_unsync_pages() in make_spte() asks for the SPTE's gfn; fast_page_fault() "
            "does not ask; kvm_mmu_try_split_huge_pages()",
        ),
        Rule(
            "dirty-when-mapped",
            "dirty-log",
            "a page that is mapped writable counts as written at once, also when it was only read. "
            "So the two MMUs' logs may differ, and are not compared: each must hold every write, "
            "and no page that was never touched",
            "make_spte() calls mark_page_dirty_in_slot() for every writable SPTE",
        ),
        Rule(
            "mmio-generation-window",
            "translation",
            "concurrent: a fault between the zap of a wrapping MMIO generation and the change of "
            "the generation installs an MMIO SPTE of the old one, which outlives the wrap",
            "kvm_swap_active_memslots() calls kvm_arch_memslots_updated() before it stores the "
            "generation; make_mmio_spte() ignores KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS",
        ),
    )
}
