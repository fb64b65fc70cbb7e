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
		if (hm_area_is_shared(base)) {
			/* What is shared is found again in the page cache. */
			hm_unmap_entry(base, 2, pte);
			hm_note(base, base + PMD_BYTES);
			pte = 0;
		}
	}
	if (pte && (freeze == NO_FREEZE || freeze == (long)(pte >> 12))) {
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

/* The hvas of a THP whose first page would be at `base`, which mremap may have moved before the area. */
static struct hm_range folio_range(u64 base)
{
	u64 area = (base + PMD_BYTES - 1) & -(1UL << 40), last = area + (HM_AREA_PAGES << 12);

	return (struct hm_range){ base > area ? base : area, base + PMD_BYTES < last ? base + PMD_BYTES : last };
}

/* Does the entry at `addr` map the page of the THP that belongs there, seen from `base`? */
static bool maps_page(struct hm_run *run, u64 base, u64 addr)
{
	u64 pte = hm_pte(addr);

	return pte & PTE_MAPPED && pte >> 12 == run->head + ((addr - base) >> 12);
}

static bool is_mapped_at(struct hm_run *run, u64 base)
{
	struct hm_range in = folio_range(base);

	for (u64 addr = in.start; addr < in.end; addr += PAGE_BYTES)
		if (maps_page(run, base, addr))
			return true;
	return false;
}

/* At one place all its entries become migration entries. */
static void unmap_folio(struct hm_run *run, u64 base)
{
	struct hm_range in = folio_range(base);

	if (base % PMD_BYTES == 0)
		split_huge_pmd(base, run->head);
	hm_invalidate_start(in.start, in.end);
	hm_lock(&hm.ptl);
	for (u64 addr = in.start; addr < in.end; addr += PAGE_BYTES)
		if (maps_page(run, base, addr))
			hm_set_pte(addr, (hm_pte(addr) & ~PTE_MAPPED) | PTE_MIGRATION);
	hm_unlock(&hm.ptl);
	hm_invalidate_end(in.start, in.end);
}

static void remap_folio(struct hm_run *run, u64 base)
{
	struct hm_range in = folio_range(base);

	for (u64 addr = in.start; addr < in.end; addr += PAGE_BYTES) {
		u64 pfn = run->head + ((addr - base) >> 12);

		hm_remove_migration_pte(addr, pfn, pfn);
	}
}

/* The same for a huge page of the page cache: its entries go, and are not put back. */
bool hm_split_shmem_folio(u64 base, struct hm_run *run)
{
	if (run->split)
		return true;
	if (run->pins)
		return false;
	hm_split_huge_pmd(base);
	hm_invalidate_start(base, base + PMD_BYTES);
	hm_lock(&hm.ptl);
	for (u64 addr = base; addr < base + PMD_BYTES; addr += PAGE_BYTES) {
		u64 pte = hm_pte(addr);

		if (!maps_page(run, base, addr))
			continue;
		hm_set_pte(addr, 0);
		hm_unmap_entry(addr, 1, pte);
	}
	hm_unlock(&hm.ptl);
	hm_invalidate_end(base, base + PMD_BYTES);
	/* A fault that mapped it meanwhile as a whole has a reference. */
	if (!run->pins && hm_huge(base) >> 12 != run->head)
		hm_split_run(run);
	return run->split;
}

/* The THP at `addr` becomes 512 independent pages; false if somebody holds another reference. */
bool hm_split_huge_page(u64 addr)
{
	struct hm_run *run = hm_run(hm_page(addr) >> 12);
	u64 here, bases[17];
	int nr = 0;

	if (!run)
		hm_give_up("no huge page to split");
	if (run->split)
		return true;
	if (run->pins)
		return false;
	if (hm_area_is_shared(addr))
		return hm_split_shmem_folio(addr & -PMD_BYTES, run);
	hm_child_split(run->head);
	here = (addr & -PAGE_BYTES) - (((hm_page(addr) >> 12) - run->head) << 12);
	bases[nr++] = here;
	for (int i = 0; i < run->nr_moved; i++)
		if (run->moved[i] != here)
			bases[nr++] = run->moved[i];
	for (int i = 0; i < nr; i++)
		if (!i || is_mapped_at(run, bases[i]))
			unmap_folio(run, bases[i]);
	if (!run->pins)
		hm_split_run(run);
	hm_lock(&hm.ptl);
	for (int i = 0; i < nr; i++)
		remap_folio(run, bases[i]);
	hm_unlock(&hm.ptl);
	return run->split;
}
