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
            "no-mmu-pages",
            "retry",
            "the legacy MMU may run out of shadow pages and fail with -ENOSPC, the TDP MMU never",
            "make_mmu_pages_available() is called by direct_page_fault() only",
        ),
        Rule(
            "parked-on-one-side",
            "retry",
            "a page that one MMU has mapped already does not fault there: the legacy MMU prefetches, "
            "the TDP MMU keeps the neighbours of a huge page that it splits",
            "direct_pte_prefetch(); tdp_mmu_split_huge_page()",
        ),
        Rule(
            "any-invalidation",
            "retry",
            "mmu_invalidate_seq counts every invalidation that touched a memslot, whatever its range",
            "mmu_invalidate_retry_hva() compares the sequence without the hva",
        ),
        Rule(
            "pae-root-request",
            "retry",
            "a root without shadow page is taken for obsolete while the request to free roots pends",
            "is_page_fault_stale() tests KVM_REQ_MMU_FREE_OBSOLETE_ROOTS",
        ),
        Rule(
            "async-page-fault",
            "retry",
            "the page is being swapped in; the guest was told to run something else",
            "__kvm_faultin_pfn(), kvm_arch_setup_async_pf()",
        ),
        Rule(
            "dirty-when-mapped",
            "dirty-log",
            "a page that is mapped writable counts as written at once, also when it was only read",
            "make_spte() calls mark_page_dirty_in_slot() for every writable SPTE",
        ),
    )
}
