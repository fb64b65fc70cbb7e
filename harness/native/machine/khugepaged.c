// SPDX-License-Identifier: GPL-2.0-only
/* mm/khugepaged.c: replacing the 4K pages of a 2M range by a THP. */
#include "machine.h"

/* The VMA, if a THP may lie there and a page table does. */
static struct hm_vma *collapsible_vma(u64 base)
{
	struct hm_vma *vma = hm_vma_find(base);

	if (!vma || !hm_vma_thp_allowed(vma, base) || !vma->anon_vma || !(vma->flags & VM_READ))
		return NULL;
	return hm_table(base) ? vma : NULL;
}

/* Faults swapped pages in; false if an entry is neither none, present nor swapped. */
static bool swap_in_range(struct hm_vma *vma, u64 base)
{
	struct hm_table now = *hm_table(base);

	for (int i = 0; i < 512; i++) {
		u64 pte = now.pte[i];

		if (!pte)
			continue;
		if (pte & PTE_SWAP) {
			if (hm_fault(vma, base + i * PAGE_BYTES, false, false))
				return false;
		} else if (!(pte & PTE_MAPPED)) {
			return false;
		}
	}
	return true;
}

/* Can every page move?  Nothing is pinned, and at least one entry is writable. */
static bool isolate(const struct hm_table *table)
{
	bool writable = false;

	for (int i = 0; table && i < 512; i++) {
		u64 pte = table->pte[i];

		if (!pte)
			continue;
		if (!(pte & PTE_MAPPED) || (pte >> 12 != HM_ZERO_PFN && hm_folio_pins(pte >> 12)))
			return false;
		writable |= !!(pte & PTE_WRITE);
	}
	return writable;
}

/* Clears the pmd, takes the pages off their table and maps the huge page, or puts it back. */
static void replace_table(struct hm_vma *vma, u64 base)
{
	u64 flags = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_HUGE | PTE_EXCLUSIVE, head;
	struct hm_table *table = hm_table(base);

	if (!table)
		return;
	hm_invalidate_start(base, base + PMD_BYTES);
	hm_lock(&hm.ptl);
	table = hm_table(base);
	hm_set_table(base, NULL);
	hm_note(base, base + PMD_BYTES);
	hm_unlock(&hm.ptl);
	hm_invalidate_end(base, base + PMD_BYTES);
	if (!isolate(table)) {
		hm_set_table(base, table);
		hm_note(base, base + PMD_BYTES);
		return;
	}
	head = hm_frame_alloc(PMD_PAGES);
	for (int i = 0; i < 512; i++) {
		u64 pte = table->pte[i];
		long value;

		if (!pte || pte >> 12 == HM_ZERO_PFN)
			continue;
		value = hm_data(pte >> 12);
		if (value)
			hm_set_data(head + i, value);
		hm_unmap_entry(base + i * PAGE_BYTES, 1, pte);
	}
	if (vma->flags & VM_WRITE)
		flags |= PTE_WRITE;
	hm_point();
	hm_lock(&hm.ptl);
	hm_set_huge(base, head << 12 | flags);
	hm_note(base, base + PMD_BYTES);
	hm_unlock(&hm.ptl);
}

/* madvise(MADV_COLLAPSE) of the 2M around `addr`. */
void hm_thp_collapse(u64 addr)
{
	u64 base = addr & -PMD_BYTES;
	struct hm_vma *vma;
	bool ready;

	hm_down_read(&hm.mmap_lock);
	vma = collapsible_vma(base);
	ready = vma && swap_in_range(vma, base) && isolate(hm_table(base));
	hm_up_read(&hm.mmap_lock);
	if (!ready)
		return;
	hm_lock(&hm.mmap_lock);
	vma = collapsible_vma(base);
	if (vma) {
		hm_lock(&hm.page_lock);
		replace_table(vma, base);
		hm_unlock(&hm.page_lock);
	}
	hm_unlock(&hm.mmap_lock);
}
