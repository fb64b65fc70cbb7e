// SPDX-License-Identifier: GPL-2.0-only
/* mm/memory.c: clearing a range of the page table. */
#include "machine.h"

/* Clears one 2M or 1G entry; false if there is none any more. */
static bool zap_huge(u64 base, int level)
{
	struct hm_leaf leaf;
	bool there;

	hm_lock(&hm.ptl);
	leaf = hm_leaf(base);
	there = leaf.level == level && leaf.pte;
	if (there) {
		hm_put_leaf(base, level, 0);
		hm_note(base, base + hm_size(level));
		if (leaf.pte & (PTE_MAPPED | PTE_MIGRATION))
			hm_unmap_entry(base, level, leaf.pte);
	}
	hm_unlock(&hm.ptl);
	return there;
}

/* Clears the 4K entries of [start, end) that lie in one table; the table stays. */
static void zap_pte_range(u64 base, u64 start, u64 end, bool poison)
{
	struct hm_table *table;

	hm_lock(&hm.ptl);
	table = hm_table(base);
	for (int i = 0; table && i < 512; i++) {
		u64 addr = base + i * PAGE_BYTES, pte = table->pte[i];

		if (!pte || addr < (start & -PAGE_BYTES) || addr >= end || (!poison && pte & PTE_HWPOISON))
			continue;
		table->pte[i] = 0;
		hm_note(addr, addr + PAGE_BYTES);
		if (pte & (PTE_MAPPED | PTE_MIGRATION))
			hm_unmap_entry(addr, 1, pte);
		else if (pte & PTE_SWAP)
			hm_swap_free(pte >> 12);
	}
	hm_unlock(&hm.ptl);
}

void hm_unmap_hugepage_range(struct hm_vma *vma, u64 start, u64 end)
{
	u64 size = hm_size(vma->level), found[HM_PMDS];
	int nr = 0;

	hm_invalidate_start(start, end);
	/* All that is there now: others may come in between. */
	for (u64 base = start & -size; base + size <= end; base += size)
		if (vma->level == 2 ? hm_huge(base) : hm_gig(base))
			found[nr++] = base;
	for (int i = 0; i < nr; i++)
		zap_huge(found[i], vma->level);
	hm_invalidate_end(start, end);
}

/*
 * Clears every entry of [start, end) in the VMA; the caller has told the notifiers.  Reclaim may
 * split a THP before it is cleared: it holds no mmap_lock.  Without `poison`, entries stay that stand
 * for a page whose memory failed.
 */
void hm_unmap_vma_but(struct hm_vma *vma, u64 start, u64 end, bool poison)
{
	u64 found[HM_PMDS];
	int nr = 0;

	if (vma->level > 1) {
		hm_unmap_hugepage_range(vma, start, end);
		return;
	}
	for (u64 base = hm_next_populated(start, end); base < end; base = hm_next_populated(base + PMD_BYTES, end))
		found[nr++] = base;
	for (int i = 0; i < nr; i++) {
		u64 base = found[i];

		if (hm_huge(base)) {
			if (!(start <= base && base + PMD_BYTES <= end))
				hm_split_huge_pmd(base);
			else if (zap_huge(base, 2) || !hm_table(base))
				continue;
		}
		zap_pte_range(base, start, end, poison);
	}
}

void hm_unmap_vma(struct hm_vma *vma, u64 start, u64 end)
{
	hm_unmap_vma_but(vma, start, end, true);
}

/* Frees page tables that no VMA can use any more. */
void hm_free_pgtables(u64 start, u64 end)
{
	struct hm_vma *found[MOST_VMAS];

	for (u64 base = hm_next_populated(start, end); base < end; base = hm_next_populated(base + PMD_BYTES, end))
		if (hm_table(base) && !hm_vma_overlapping(base, base + PMD_BYTES, found))
			hm_set_table(base, NULL);
	for (u64 base = start & -PUD_BYTES; base < end; base += PUD_BYTES)
		if (hm_has_pmd_page(base) && !hm_vma_overlapping(base, base + PUD_BYTES, found))
			hm_drop_pmd_page(base);
}
