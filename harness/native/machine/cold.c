// SPDX-License-Identifier: GPL-2.0-only
/* mm/madvise.c: MADV_COLD and MADV_PAGEOUT, of pages that nobody else maps. */
#include "machine.h"

/* The page cache counts as a mapping. */
static bool is_owned(u64 addr, u64 pfn)
{
	return hm_mapcount(pfn) == (hm_cached(addr) ? 2 : 1);
}

/* One entry, under ptl.  False: it is left alone. */
static bool make_cold(u64 addr)
{
	struct hm_leaf leaf = hm_leaf(addr);
	u64 pfn = leaf.pte >> 12;

	if (leaf.level > 1 || !(leaf.pte & PTE_MAPPED) || leaf.pte & PTE_SPECIAL || !is_owned(addr, pfn))
		return false;
	hm_put_leaf(addr, 1, leaf.pte & ~PTE_ACCESSED);
	hm_clear_accessed(pfn);
	return true;
}

/* False if it was split and its entries are to be treated one by one. */
static bool cold_huge_pmd(u64 start, u64 end, bool pageout)
{
	u64 pte = hm_huge(start);
	bool there;

	if (!(pte & PTE_MAPPED) || !is_owned(start, pte >> 12))
		return true;
	if (end - start != PMD_BYTES)
		return !hm_split_huge_page(start);
	hm_lock(&hm.ptl);
	there = hm_huge(start) == pte;
	if (there) {
		hm_set_huge(start, pte & ~PTE_ACCESSED);
		hm_clear_accessed(pte >> 12);
	}
	hm_unlock(&hm.ptl);
	if (there && pageout && hm_cached(start))
		hm_reclaim_shmem_folio(start, start, end);
	else if (there && pageout)
		hm_reclaim_thp(start);
	return true;
}

static void cold_or_pageout_range(u64 start, u64 end, bool pageout)
{
	bool cold[PMD_PAGES] = { false };
	struct hm_list list;

	if (hm_huge(start) && cold_huge_pmd(start, end, pageout))
		return;
	list = hm_mapped(start, end);
	for (long i = 0; i < list.nr; i++) {
		u64 addr = list.at[i].addr, pte = hm_page(addr);
		struct hm_run *run = hm_run(pte >> 12);

		if (list.at[i].level > 1 || !(pte & PTE_MAPPED) || pte & PTE_SPECIAL || !run || run->split)
			continue;
		/* A huge page that no pmd maps: what cannot be split ends the walk. */
		if (!is_owned(addr, pte >> 12) || !hm_split_huge_page(addr))
			list.nr = i;
		break;
	}
	hm_lock(&hm.ptl);
	for (long i = 0; i < list.nr; i++)
		cold[i] = list.at[i].level == 1 && make_cold(list.at[i].addr);
	hm_unlock(&hm.ptl);
	for (long i = 0; pageout && i < list.nr; i++)
		if (cold[i])
			hm_reclaim(list.at[i].addr);
}

/* Refused at the first VMA of hugetlb or device memory. */
static void walk_vmas(u64 start, u64 end, bool pageout)
{
	struct hm_vma *vmas[MOST_VMAS];
	int nr;

	hm_down_read(&hm.mmap_lock);
	nr = hm_vma_overlapping(start, end, vmas);
	for (int i = 0; i < nr && vmas[i]->level == 1 && !(vmas[i]->flags & VM_PFNMAP); i++) {
		u64 first = start > vmas[i]->start ? start : vmas[i]->start;
		u64 last = end < vmas[i]->end ? end : vmas[i]->end, found[HM_PMDS];
		int pmds = 0;

		for (u64 base = hm_next_populated(first, last); base < last;
		     base = hm_next_populated(base + PMD_BYTES, last))
			found[pmds++] = base;
		for (int at = 0; at < pmds; at++) {
			u64 base = found[at], after = base + PMD_BYTES;

			hm_lock(&hm.page_lock);
			cold_or_pageout_range(base > first ? base : first, after < last ? after : last, pageout);
			hm_unlock(&hm.page_lock);
		}
	}
	hm_up_read(&hm.mmap_lock);
}

void hm_cold(u64 start, u64 end)
{
	walk_vmas(start, end, false);
}

long hm_pageout(u64 start, u64 end)
{
	hm_begin_reclaim();
	walk_vmas(start, end, true);
	return hm_reclaimed();
}
