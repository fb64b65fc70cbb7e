# SPDX-License-Identifier: GPL-2.0-only
"""What may be seen of a VM in the library: numbers, named as the kernel names them."""

from __future__ import annotations

import ctypes
from typing import Annotated

from difffuzz.program.limits import N_AS

from .describe import Bool, CStruct, Long, Longs, PointsTo, ULong, described

PREV_ROOTS = 3
"""KVM_MMU_NUM_PREV_ROOTS."""


@described
class VmNumbers(CStruct):
    """struct kvm: statistics and state of the MMU."""

    c_name = "native_vm"
    pages_4k: Long
    pages_2m: Long
    pages_1g: Long
    nx_lpage_splits: Long
    nx_listed: Long
    """Shadow pages that NX recovery may zap."""
    mmu_recycled: Long
    n_used_mmu_pages: Long
    n_max_mmu_pages: Long
    tdp_mmu_pages: Long
    mmu_invalidate_seq: Long
    mmu_invalidate_in_progress: Long
    mmu_valid_gen: Long
    generations: Annotated[Longs, ctypes.c_long * N_AS]
    """Of the memslots, by address space."""
    remote_tlb_flush_requests: Long
    mmu_shadow_zapped: Long


@described
class Masks(CStruct):
    """The shadow_*_mask globals that oracles use."""

    c_name = "native_masks"
    shadow_x_mask: ULong
    shadow_nx_mask: ULong
    shadow_mmu_writable_mask: ULong
    shadow_mmio_mask: ULong
    shadow_mmio_value: ULong
    shadow_accessed_mask: ULong
    shadow_dirty_mask: ULong
    mmio_gen_low_mask: ULong
    mmio_gen_high_mask: ULong
    mmio_gen_mask: ULong
    tdp_ad_mask: ULong
    tdp_ad_disabled: ULong
    enable_mmio_caching: Bool
    retries_by_gfn: Bool
    tells_accessed: Bool


@described
class VcpuStat(CStruct):
    """struct kvm_vcpu_stat, the MMU's part."""

    c_name = "native_vcpu_stat"
    pf_taken: Long
    pf_fixed: Long
    pf_emulate: Long
    pf_spurious: Long
    pf_fast: Long
    pf_mmio_spte_created: Long


@described
class VcpuNumbers(CStruct):
    """struct kvm_vcpu and its struct kvm_mmu."""

    c_name = "native_vcpu"
    root_hpa: Long
    root_level: Long
    requests: Long
    stat: VcpuStat
    prev_roots: Annotated[Longs, ctypes.c_long * PREV_ROOTS]
    """Physical addresses."""


@described
class SpNumbers(CStruct):
    """struct kvm_mmu_page."""

    c_name = "native_sp"
    level: Long
    smm: Long
    guest_mode: Long
    role_word: Long
    gfn: Long
    invalid: Long
    tdp_mmu_page: Long
    mmu_valid_gen: Long
    ptep: Long
    """Of a page of the TDP MMU, else 0."""
    root_count: Long
    direct: Long
    """It shadows no table of a guest's."""
    access: Long
    """ACC_* that its entries may give at most."""
    unsync: Long
    """Its entries may be behind the guest's table."""


@described
class Memslot(CStruct):
    """struct kvm_memory_slot."""

    c_name = "native_slot"
    base_gfn: Long
    npages: Long
    userspace_addr: Long
    flags: Long
    dirty_bitmap: Annotated[int, ctypes.c_ulong, PointsTo("const unsigned long")]
    """0: none."""


@described
class DirtyBitmap(CStruct):
    """What KVM_GET_DIRTY_LOG wrote to the caller's memory, which is as large as it takes: whose
    turn it is at slots_lock decides which memslot the log is of."""

    c_name = "native_bitmap"
    words: Annotated[int, ctypes.c_ulong, PointsTo("const unsigned long")]
    """Until the thread's next call."""
    nr_words: Long


@described
class Leaks(CStruct):
    """What is left of a VM that was destroyed."""

    c_name = "native_left"
    tdp_mmu_roots: Long
    zapped_obsolete_pages: Long
    srcu_readers: Long
    unprotected_reads: Long
    """While it lived: how often memslots were read without SRCU and without slots_lock."""


@described
class Counts(CStruct):
    """Counters that the kernel keeps beside lists, and what is on these; 0 where it has none."""

    c_name = "native_counts"
    nx_legacy_counted: Long
    """possible_nx_huge_pages[KVM_SHADOW_MMU].nr_pages."""
    nx_legacy_listed: Long
    nx_tdp_counted: Long
    """possible_nx_huge_pages[KVM_TDP_MMU].nr_pages."""
    nx_tdp_listed: Long
    logging_counted: Long
    """nr_memslots_dirty_logging."""
    logging_there: Long
    pages_counted: Long
    """nr_memslot_pages."""
    pages_there: Long


@described
class PageMemory(CStruct):
    """Where the pages for page tables are, and a byte for each: enum page_state."""

    c_name = "native_page_memory"
    pages: ULong
    states: ULong


@described
class HostTables(CStruct):
    """Of one area: where its first pud entry and its first pmd entry are."""

    c_name = "native_host_tables"
    puds: Annotated[int, ctypes.c_ulong, PointsTo("unsigned long")]
    pmds: Annotated[int, ctypes.c_ulong, PointsTo("unsigned long")]


@described
class Change(CStruct):
    """An entry of a page table that changed; CHANGE_NEW, CHANGE_GONE as index: a whole table."""

    c_name = "native_change"
    number: ULong
    """Of the page."""
    index: ULong
    old: ULong
    new: ULong
