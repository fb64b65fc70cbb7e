// SPDX-License-Identifier: GPL-2.0-only
/* mm/huge_memory.c: splitting a THP, only in the page table or the page itself. */
#include "machine.h"

#define NO_FREEZE (-1L)

/* The 2M entry becomes 512 of the same pages; `freeze`: the only huge page that is to be split. */
static void split_huge_pmd(u64 addr, long freeze)
{
	u64 base = addr & -PMD_BYTES, pte;
	struct hm_table *table;

	hm_invalidate_start(base, base + PMD_BYTES);
	hm_lock(&hm.ptl);
	pte = hm_huge(base);
	if (pte && (freeze == NO_FREEZE || freeze == (long)(pte >> 12))) {
		hm_set_huge(base, 0);
		pte &= ~PTE_HUGE;
		if (pte & PTE_MAPPED && pte & PTE_DIRTY) {
			hm_mark_dirty(pte >> 12);
			if (freeze == NO_FREEZE)
				pte &= ~PTE_DIRTY;
		}
		if (freeze != NO_FREEZE)
			pte = (pte & ~PTE_MAPPED) | PTE_MIGRATION;
		table = hm_alloc(sizeof(*table));
		for (int i = 0; i < 512; i++)
			table->pte[i] = pte + i * PAGE_BYTES;
		hm_set_table(base, table);
		hm_note(base, base + PMD_BYTES);
	}
	hm_unlock(&hm.ptl);
	hm_invalidate_end(base, base + PMD_BYTES);
}

void hm_split_huge_pmd(u64 addr)
{
	split_huge_pmd(addr, NO_FREEZE);
}

/* An end of a VMA is about to move to `addr`. */
void hm_split_if_needed(struct hm_vma *vma, u64 addr)
{
	u64 base = addr & -PMD_BYTES;

	if (addr != base && hm_vma_contains(vma, base, base + PMD_BYTES) && hm_has_pmd_page(addr))
		split_huge_pmd(addr, NO_FREEZE);
}

/* Maps page `new` where a migration entry of the 4K page `old` still is. */
bool hm_remove_migration_pte(u64 addr, u64 old, u64 new)
{
	u64 pte = hm_pte(addr);

	if (!(pte & PTE_MIGRATION) || pte >> 12 != old)
		return false;
	hm_set_pte(addr, new << 12 | hm_remap(hm_vma_find(addr), pte & PTE_FLAGS & ~PTE_MIGRATION));
	return true;
}

/* The THP at `addr` becomes 512 independent pages; false if somebody holds another reference. */
bool hm_split_huge_page(u64 addr)
{
	struct hm_run *run = hm_run(hm_page(addr) >> 12);
	u64 base = addr & -PMD_BYTES;

	if (!run)
		hm_give_up("no huge page to split");
	if (run->split)
		return true;
	if (run->pins)
		return false;
	hm_child_split(run->head);
	split_huge_pmd(base, run->head);
	hm_invalidate_start(base, base + PMD_BYTES);
	hm_lock(&hm.ptl);
	for (int i = 0; hm_table(base) && i < 512; i++) {
		u64 pte = hm_table(base)->pte[i];

		if (pte & PTE_MAPPED && hm_run(pte >> 12) == run)
			hm_set_pte(base + i * PAGE_BYTES, (pte & ~PTE_MAPPED) | PTE_MIGRATION);
	}
	hm_unlock(&hm.ptl);
	hm_invalidate_end(base, base + PMD_BYTES);
	if (!run->pins)
		hm_split_run(run);
	hm_lock(&hm.ptl);
	for (int i = 0; i < 512; i++)
		hm_remove_migration_pte(base + i * PAGE_BYTES, run->head + i, run->head + i);
	hm_unlock(&hm.ptl);
	return run->split;
}
