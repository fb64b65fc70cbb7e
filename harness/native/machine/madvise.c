// SPDX-License-Identifier: GPL-2.0-only
/* mm/madvise.c: MADV_FREE.  The pages stay mapped, but clean. */
#include "machine.h"

static bool is_whole_run(u64 pfn)
{
	struct hm_run *run = hm_run(pfn);

	return run && !run->split;
}

static void make_lazyfree(u64 pfn)
{
	hm_clear_dirty(pfn);
	hm_set_lazyfree(pfn, true);
}

/* One entry: what is in swap goes at once, a page becomes clean and old. */
static void free_pte(u64 addr)
{
	struct hm_leaf leaf = hm_leaf(addr);
	u64 pte = leaf.pte, pfn = pte >> 12;

	if (leaf.level > 1)
		return;
	if (pte & PTE_SWAP) {
		hm_swap_free(pfn);
		hm_set_pte(addr, 0);
	} else if (pte & PTE_HWPOISON) {
		hm_set_pte(addr, 0);
	} else if (pte & PTE_MAPPED && !(pte & PTE_SPECIAL) && hm_mapcount(pfn) == 1 && !is_whole_run(pfn)) {
		make_lazyfree(pfn);
		hm_set_pte(addr, pte & ~(PTE_ACCESSED | PTE_DIRTY));
	}
}

/* False if it was split and its entries are to be freed one by one. */
static bool free_huge_pmd(u64 start, u64 end)
{
	u64 pte = hm_huge(start);

	if (!(pte & PTE_MAPPED) || hm_mapcount(pte >> 12) != 1)
		return true;
	if (end - start != PMD_BYTES)
		return !hm_split_huge_page(start);
	hm_lock(&hm.ptl);
	if (hm_huge(start) == pte) {
		make_lazyfree(pte >> 12);
		hm_set_huge(start, pte & ~(PTE_ACCESSED | PTE_DIRTY));
		hm_note(start, end);
	}
	hm_unlock(&hm.ptl);
	return true;
}

/* The entries of one pmd; huge pages that are not freed as a whole are split. */
static void free_pte_range(u64 start, u64 end)
{
	struct hm_list list;

	if (hm_huge(start) && free_huge_pmd(start, end))
		return;
	list = hm_mapped(start, end);
	for (long i = 0; i < list.nr; i++) {
		u64 addr = list.at[i].addr, pte = hm_leaf(addr).pte;

		if (list.at[i].level > 1 || !(pte & PTE_MAPPED) || pte & PTE_SPECIAL || !is_whole_run(pte >> 12))
			continue;
		/* folio_estimated_sharers() looks at the first page, which may be mapped no more. */
		if (hm_mapcount(hm_folio(pte >> 12)) != 1 || !hm_split_huge_page(addr))
			list.nr = i;
		break;
	}
	hm_lock(&hm.ptl);
	for (long i = 0; i < list.nr; i++)
		if (list.at[i].level == 1)
			free_pte(list.at[i].addr);
	hm_unlock(&hm.ptl);
}

static void free_vma(u64 start, u64 end)
{
	u64 found[HM_PMDS];
	int nr = 0;

	for (u64 base = hm_next_populated(start, end); base < end; base = hm_next_populated(base + PMD_BYTES, end))
		found[nr++] = base;
	for (int i = 0; i < nr; i++) {
		u64 first = found[i] > start ? found[i] : start;
		u64 last = found[i] + PMD_BYTES < end ? found[i] + PMD_BYTES : end;

		hm_lock(&hm.page_lock);
		free_pte_range(first, last);
		hm_unlock(&hm.page_lock);
	}
}

/* One bracket for each VMA; refused at the first that is not anonymous. */
void hm_madvise_free(u64 start, u64 end)
{
	struct hm_vma *vmas[MOST_VMAS];
	int nr;

	hm_down_read(&hm.mmap_lock);
	nr = hm_vma_overlapping(start, end, vmas);
	for (int i = 0; i < nr && hm_vma_anonymous(vmas[i]); i++) {
		u64 first = start > vmas[i]->start ? start : vmas[i]->start;
		u64 last = end < vmas[i]->end ? end : vmas[i]->end;

		hm_invalidate_start(first, last);
		free_vma(first, last);
		hm_invalidate_end(first, last);
	}
	hm_up_read(&hm.mmap_lock);
}
