// SPDX-License-Identifier: GPL-2.0-only
/* mm/memory-failure.c: a memory error in a page that is mapped. */
#include "machine.h"

/*
 * Splits the THP at `addr`; true if there is none or it was split.  One that is mapped in parts is not,
 * unless it is in the page cache.
 */
static bool split_thp(u64 addr, int level)
{
	if (level == 1)
		return !hm_cached(addr) || !hm_whole_run(hm_page(addr) >> 12) || hm_split_huge_page(addr);
	return !(hm_huge(addr) & PTE_MAPPED) || hm_split_huge_page(addr);
}

/* Poisons the page mapped at `addr`: one bracket for each entry that maps it. */
static void memory_failure(u64 addr, int level)
{
	u64 addrs[MOST_KSM];
	struct hm_leaf leaf = hm_leaf(addr);
	u64 pfn, size = hm_size(level), cached;
	int nr = 0;

	/* The split may have unmapped it. */
	if (!leaf.pte && level == 1)
		leaf = (struct hm_leaf){ hm_cached(addr), 1 };
	pfn = leaf.pte >> 12;
	if (leaf.level != level || !(leaf.pte & PTE_MAPPED) || leaf.pte & PTE_SPECIAL)
		return;
	if (hm_leaf(addr).pte)
		nr = hm_rmap_addresses(addr, pfn, addrs);
	for (int i = 0; i < nr; i++) {
		hm_invalidate_start(addrs[i], addrs[i] + size);
		hm_lock(&hm.ptl);
		leaf = hm_leaf(addrs[i]);
		if (leaf.level == level && leaf.pte & PTE_MAPPED && leaf.pte >> 12 == pfn) {
			hm_put_leaf(addrs[i], level, pfn << 12 | PTE_HWPOISON | (leaf.pte & PTE_HUGE));
			hm_note(addrs[i], addrs[i] + size);
			hm_unmap_entry(addrs[i], level, leaf.pte);
		}
		hm_unlock(&hm.ptl);
		hm_invalidate_end(addrs[i], addrs[i] + size);
	}
	hm_child_unmap(pfn, level);
	cached = hm_cached(addr);
	if (level == 1 && cached & PTE_MAPPED && cached >> 12 == pfn) {
		hm_set_cached(addr, pfn << 12 | PTE_HWPOISON);
		hm_unmap_page(pfn);
	}
	hm_poison(pfn);
}

/* madvise(MADV_HWPOISON) on the mapped pages of the range. */
void hm_hwpoison(u64 start, u64 end)
{
	struct hm_list list = hm_mapped(start, end);

	for (long i = 0; i < list.nr; i++) {
		u64 addr = list.at[i].addr;
		int level = list.at[i].level;
		struct hm_vma *vma = hm_vma_find(addr);

		if (!vma)
			continue;
		hm_lock(&hm.page_lock);
		if (vma->level > 1) {
			memory_failure(addr, level);
		} else if (split_thp(addr, level)) {
			u64 first = start > addr ? start : addr;
			u64 last = end < addr + hm_size(level) ? end : addr + hm_size(level);

			for (u64 part = first; part < last; part += PAGE_BYTES)
				memory_failure(part, 1);
		}
		hm_unlock(&hm.page_lock);
	}
}
