# SPDX-License-Identifier: GPL-2.0-only
"""Examples of what the host does to the memory behind memslots, and what KVM hears of it."""

from __future__ import annotations

from difffuzz.program.ops import Kind

from .example import SMALL, THP, Example

WRITTEN = f"{SMALL}vcpu0: write gfn=0x3\n"
"""A page of 4K that the guest has written."""
FILE = "area 1 file\nslot 0 gfn=0x0 pages=0x400 area=1\nvcpu0: write gfn=0x3\n"
"""The same of a file."""
READ = "vcpu0: read gfn=0x3\n"
BRACKET = (
    "`kvm_mmu_notifier_invalidate_range_start()` zaps the range (`kvm_unmap_gfn_range()`), "
    "`..._end()` follows."
)

EXAMPLES = {
    Kind.MUNMAP: Example(
        f"{WRITTEN}host0: munmap area=1 page=0x3 n=0x1\n{READ}",
        f"{BRACKET} A later access fails with -EFAULT.",
    ),
    Kind.MMAP: Example(
        f"{WRITTEN}host0: munmap area=1 page=0x3 n=0x1\nhost0: mmap area=1 page=0x3 n=0x1\n{READ}",
        "What was there is unmapped first, in a bracket of invalidation.",
    ),
    Kind.DONTNEED: Example(
        f"{WRITTEN}host0: dontneed area=1 page=0x3 n=0x1\n{READ}",
        f"{BRACKET} The page is zero afterwards, or what its file has.",
    ),
    Kind.MPROTECT: Example(
        f"{WRITTEN}host0: mprotect area=1 page=0x3 n=0x1 prot=r\n{READ}vcpu0: write gfn=0x3\n",
        "`change_protection()`, in a bracket of invalidation.",
    ),
    Kind.FORK: Example(
        f"{WRITTEN}host0: fork area=1 page=0x0 n=0x8\n{READ}",
        "`copy_page_range()` write-protects the host's entries, in a bracket of invalidation; the "
        "child is gone at once.",
    ),
    Kind.COW_WRITE: Example(
        f"{WRITTEN}host0: fork area=1 page=0x3 n=0x1\nhost0: cow_write area=1 page=0x3\n{READ}",
        "`wp_page_copy()`: the page gets another frame, in a bracket of invalidation.",
    ),
    Kind.MIGRATE: Example(
        f"{WRITTEN}host0: migrate area=1 page=0x3\n{READ}",
        "`try_to_migrate()`: an invalidation, then the same content in another frame.",
    ),
    Kind.THP_COLLAPSE: Example(
        f"{WRITTEN}host0: thp_advice area=1 page=0x0 n=0x200 on\n"
        f"host0: thp_collapse area=1 page=0x0\n{READ}",
        "`collapse_huge_page()` of khugepaged, in a bracket over the 2M.",
        "The 2M are not all of one private mapping, or are huge already: it does nothing.",
    ),
    Kind.THP_SPLIT: Example(
        f"{THP}vcpu0: write gfn=0x3\nhost0: thp_split area=0 page=0x0\n{READ}",
        "`split_huge_pmd()` and then the page, in brackets of invalidation.",
        "No transparent huge page is there: it does nothing.",
    ),
    Kind.THP_ADVICE: Example(
        f"{THP}host0: thp_advice area=0 page=0x0 n=0x200 off\nvcpu0: write gfn=0x3\n",
        "It changes what the next fault of the host brings; KVM is not told.",
    ),
    Kind.SWAP_OUT: Example(
        f"{WRITTEN}host0: swap_out area=1 page=0x3 n=0x1\n{READ}",
        "`try_to_unmap()`: each page is invalidated, its content comes back from swap.",
    ),
    Kind.HWPOISON: Example(
        f"{WRITTEN}host0: hwpoison area=1 page=0x3\n{READ}",
        "`memory_failure()`: the page is unmapped; a later access is `sigbus` "
        "(`kvm_send_hwpoison_signal()`).",
    ),
    Kind.KSM_MERGE: Example(
        f"{THP}vcpu0: write gfn=0x0\nhost0: thp_split area=0 page=0x0\n{READ}"
        f"host0: ksm_merge area=0 page=0x3 other=0x4\n{READ}",
        "`replace_page()`, with `change_pte` inside its bracket of invalidation up to 6.9.",
        "The pages differ, or are not private anonymous memory: it does nothing.",
    ),
    Kind.HOST_READ: Example(
        f"{WRITTEN}host0: host_read area=1 page=0x3\n",
        "KVM is not told. The answer is what the page has, -1 where the host may not read.",
    ),
    Kind.HOST_WRITE: Example(
        f"{SMALL}host0: host_write area=1 page=0x3\n{READ}",
        "A page that is copied on write is invalidated; else KVM is not told.",
    ),
    Kind.AGE: Example(
        f"{WRITTEN}host0: age area=1 page=0x3 n=0x1 flush=on\nhost0: test_age area=1 page=0x3\n",
        "`kvm_mmu_notifier_clear_flush_young()`, or `clear_young()` with flush=off: "
        "`kvm_age_gfn()`. Bits of the answer: 1 the host's entry, 2 KVM, 4 the page.",
    ),
    Kind.TEST_AGE: Example(
        f"{WRITTEN}host0: test_age area=1 page=0x3\n",
        "`kvm_mmu_notifier_test_young()`: `kvm_test_age_gfn()`. The answer is as of `age`.",
    ),
    Kind.LAZY_FREE: Example(
        f"{WRITTEN}host0: lazy_free area=1 page=0x3 n=0x1\n"
        f"host0: swap_out area=1 page=0x3 n=0x1\n{READ}",
        f"{BRACKET} Reclaim drops the page as long as nobody writes it.",
        "Only private anonymous memory can be freed so.",
    ),
    Kind.WRITEBACK: Example(
        f"{FILE}host0: writeback area=1 page=0x3 n=0x1\nvcpu0: write gfn=0x3\n",
        "`folio_mkclean()` write-protects the host's entry, in a bracket of invalidation.",
        "The area is no file: it does nothing.",
    ),
    Kind.COLD: Example(
        f"{WRITTEN}host0: cold area=1 page=0x3 n=0x1\nhost0: test_age area=1 page=0x3\n",
        "The host's entries become old. KVM is not told: its SPTEs stay young.",
    ),
    Kind.PAGEOUT: Example(
        f"{WRITTEN}host0: pageout area=1 page=0x3 n=0x1\n{READ}",
        "As `swap_out`, of pages that nobody else maps.",
        "Hugetlb and device memory refuse it: -EINVAL.",
    ),
    Kind.COLLAPSE: Example(
        f"{THP}vcpu0: write gfn=0x3\nhost0: thp_split area=0 page=0x0\n"
        f"host0: collapse area=0 page=0x0 n=0x200\n{READ}",
        "`madvise_collapse()`: what khugepaged does, at once, whatever was advised.",
        "A hole is -ENOMEM, a page that is held -EAGAIN, memory of another kind -EINVAL.",
    ),
    Kind.PUNCH_HOLE: Example(
        f"{FILE}host0: punch_hole area=1 page=0x3 n=0x1\n{READ}",
        f"{BRACKET} Then the page leaves the page cache.",
        "Memory without a file: -EINVAL.",
    ),
    Kind.MREMAP: Example(
        f"{WRITTEN}host0: mremap area=1 page=0x3 n=0x1 to=0x4 keep=off\nvcpu0: read gfn=0x4\n",
        "`move_page_tables()`, in brackets of invalidation over what was at the new place and "
        "over the old one.",
        "Shared memory and files do not move.",
    ),
    Kind.INVALIDATE: Example(
        f"{WRITTEN}host0: invalidate area=1 page=0x3 n=0x1 whole\n{READ}",
        f"{BRACKET} The host changes nothing.",
        "`start` and `end` alone need `config host_errs=on`.",
    ),
    Kind.UFFD: Example(
        f"{SMALL}host0: uffd area=1 page=0x0 n=0x8 missing\n"
        f"host0: uffd area=1 page=0x3 n=0x1 copy\n{READ}",
        "`userfaultfd_register()`, `mfill_atomic()` or `mwriteprotect_range()`; `protect` and "
        "`unprotect` are brackets of invalidation.",
        "The range is not registered for that kind: -ENOENT or -EINVAL. Hugetlb never is.",
    ),
}
