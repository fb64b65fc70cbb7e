// SPDX-License-Identifier: GPL-2.0-only
/* mm/hugetlb.c: faults on private hugetlb memory.  Copy-on-write moves whole huge pages. */
#include "machine.h"

static u64 leaf_at(u64 addr, int level)
{
	return level == 2 ? hm_huge(addr) : hm_gig(addr);
}

/* Maps a zeroed huge page, read-only as private mappings start. */
static void hugetlb_no_page(struct hm_vma *vma, u64 base)
{
	u64 head = hm_frame_alloc(hm_size(vma->level) >> 12);

	hm_lock(&hm.ptl);
	if (leaf_at(base, vma->level)) {
		hm_unmap_run(head);
	} else {
		vma->anon_vma = true;
		hm_put_leaf(base, vma->level,
			    head << 12 | PTE_PRESENT | PTE_ACCESSED | PTE_HUGE | PTE_EXCLUSIVE);
		hm_note(base, base + hm_size(vma->level));
	}
	hm_unlock(&hm.ptl);
}

/* Write to a read-only huge page: reuse it if no other process maps it, else copy it. */
static void hugetlb_wp(struct hm_vma *vma, u64 base, u64 orig)
{
	u64 flags = PTE_ACCESSED | PTE_WRITE | PTE_DIRTY | PTE_EXCLUSIVE;
	u64 end = base + hm_size(vma->level), head = orig >> 12, new;

	hm_lock(&hm.ptl);
	if (leaf_at(base, vma->level) != orig) {
		hm_unlock(&hm.ptl);
		return;
	}
	if (hm_mapcount(head) == 1) {
		hm_put_leaf(base, vma->level, orig | flags);
		hm_note(base, end);
		hm_unlock(&hm.ptl);
		return;
	}
	hm_get(head);
	hm_unlock(&hm.ptl);
	new = hm_frame_alloc(hm_size(vma->level) >> 12);
	hm_copy_run(head, new);
	hm_invalidate_start(base, end);
	hm_lock(&hm.ptl);
	if (leaf_at(base, vma->level) == orig) {
		hm_put_leaf(base, vma->level, new << 12 | PTE_PRESENT | PTE_HUGE | flags);
		hm_note(base, end);
		hm_unmap_run(head);
	} else {
		hm_unmap_run(new);
	}
	hm_unlock(&hm.ptl);
	hm_invalidate_end(base, end);
	hm_put(head);
}

int hm_hugetlb_fault(struct hm_vma *vma, u64 addr, bool write)
{
	u64 base = addr & -hm_size(vma->level), orig = leaf_at(base, vma->level);

	if (!orig) {
		hugetlb_no_page(vma, base);
		orig = leaf_at(base, vma->level);
		/* Poisoned or migrating by now: the caller tries again. */
		if (!(orig & PTE_PRESENT))
			return VM_FAULT_OK;
	} else if (orig & PTE_HWPOISON) {
		return VM_FAULT_HWPOISON;
	} else if (orig & PTE_MIGRATION) {
		hm_lock(&hm.page_lock);
		hm_unlock(&hm.page_lock);
		return VM_FAULT_OK;
	}
	if (write && !(orig & PTE_WRITE))
		hugetlb_wp(vma, base, orig);
	else
		hm_put_leaf(base, vma->level, orig | PTE_ACCESSED | (write ? PTE_DIRTY : 0));
	return VM_FAULT_OK;
}
