// SPDX-License-Identifier: GPL-2.0-only
/* The rest of what a program does to the host process, and its end. */
#include "machine.h"

/* A host write, but only to a page that is mapped read-only where writing is allowed. */
void hm_cow_write(u64 addr, long value)
{
	struct hm_vma *vma = hm_vma_find(addr);
	u64 pte = hm_page(addr);

	if (vma && vma->flags & VM_WRITE && pte & PTE_PRESENT && !(pte & PTE_WRITE))
		hm_copy_to_user(addr, value);
}

/* Splits the entry of the THP at `addr`; the page stays whole. */
void hm_thp_split(u64 addr)
{
	struct hm_vma *vma;

	hm_down_read(&hm.mmap_lock);
	vma = hm_vma_find(addr);
	if (hm_huge(addr) & PTE_MAPPED && vma && vma->level == 1)
		hm_split_huge_pmd(addr);
	hm_up_read(&hm.mmap_lock);
}

/* A bracket around nothing, or a part of one: 0 all of it, 1 its start, 2 its end. */
void hm_invalidate(u64 start, u64 end, int part)
{
	hm_down_read(&hm.mmap_lock);
	if (part != 2)
		hm_invalidate_start(start, end);
	if (part != 1)
		hm_invalidate_end(start, end);
	if (part == 2)
		hm_note_range(start, end);
	hm_up_read(&hm.mmap_lock);
}

/* A host that errs asks of the age of no page. */
void hm_age_nothing(u64 addr, bool flush)
{
	hm_lock(&hm.ptl);
	if (hm.registered)
		hm_kvm(flush ? FN_CLEAR_FLUSH_YOUNG : FN_CLEAR_YOUNG, addr, addr, 0, 0, 0, 0);
	hm_unlock(&hm.ptl);
}

/* What a read of `addr` would return, with nothing faulted in; false for a signal. */
bool hm_content(u64 addr, long *value)
{
	struct hm_vma *vma = hm_vma_find(addr);
	u64 pte = hm_page(addr);

	if (!vma || !(vma->flags & VM_READ))
		return false;
	if (!pte)
		pte = hm_cached(addr);
	if (pte & PTE_SWAP) {
		struct hm_swap_slot *slot = &hm.swap[pte >> 12];

		*value = slot->cached >= 0 ? hm_data(slot->cached) : slot->data;
	} else if (pte) {
		*value = hm_data(pte >> 12);
		return pte & PTE_MAPPED;
	} else if (vma->flags & VM_PFNMAP) {
		*value = hm_data((addr >> 12) + vma->pfn_delta);
	} else {
		*value = hm_disk(addr);
	}
	return true;
}

static void drop_page_cache(void)
{
	for (int area = 0; area < HM_AREAS; area++)
		for (int pmd = 0; hm.page_cache[area] && pmd < HM_PMDS; pmd++)
			for (int i = 0; hm.page_cache[area][pmd] && i < 512; i++) {
				u64 cached = hm.page_cache[area][pmd][i];

				if (cached & PTE_SWAP)
					hm_swap_free(cached >> 12);
				else if (cached & PTE_MAPPED)
					hm_unmap_page(cached >> 12);
			}
}

/* exit_mmap(): release() of the notifier, then all pages go without further notice. */
void hm_destroy(void)
{
	hm.registered = false;
	hm_kvm(FN_RELEASE, 0, 0, 0, 0, 0, 0);
	hm_child_exit();
	while (hm_vmas.nr) {
		struct hm_vma *vma = hm_vmas.at[0];

		hm_unmap_vma(vma, vma->start, vma->end);
		hm_vma_remove(vma);
	}
	drop_page_cache();
	hm_clear_tables();
}
