// SPDX-License-Identifier: GPL-2.0-only
/* mm/truncate.c, mm/shmem.c, fs/hugetlbfs/inode.c: holes punched into what lies behind an area. */
#include <errno.h>

#include "machine.h"

/* Unmaps the page again, if somebody was quicker, and drops it. */
static void truncate_folio(u64 addr)
{
	u64 cached = hm_cached(addr);
	struct hm_vma *vma;
	struct hm_leaf leaf;

	if (cached & PTE_SWAP) {
		hm_set_cached(addr, 0);
		hm_swap_free(cached >> 12);
	} else if (cached & PTE_HWPOISON) {
		hm_set_cached(addr, 0);
	}
	if (!(cached & PTE_MAPPED))
		return;
	leaf = hm_leaf(addr);
	vma = hm_vma_find(addr);
	if (vma && leaf.level == 1 && leaf.pte & PTE_MAPPED && leaf.pte >> 12 == cached >> 12) {
		hm_invalidate_start(addr, addr + PAGE_BYTES);
		hm_unmap_vma(vma, addr, addr + PAGE_BYTES);
		hm_invalidate_end(addr, addr + PAGE_BYTES);
	}
	if (hm_cached(addr) == cached) {
		hm_set_cached(addr, 0);
		hm_clear_dirty(cached >> 12);
		hm_unmap_page(cached >> 12);
	}
}

static void hugetlbfs_punch_hole(u64 start, u64 end)
{
	u64 size = hm_size(hm_area_level(start));
	struct hm_vma *vmas[MOST_VMAS];
	int nr;

	start = (start + size - 1) & -size;
	end &= -size;
	nr = start < end ? hm_vma_overlapping(start, end, vmas) : 0;
	for (int i = 0; i < nr; i++)
		hm_unmap_hugepage_range(vmas[i], start > vmas[i]->start ? start : vmas[i]->start,
					end < vmas[i]->end ? end : vmas[i]->end);
}

/* The pages of the range that the page cache has, in one 2M. */
static void truncate_pages(u64 start, u64 end)
{
	bool there[PMD_PAGES];
	int nr = 0;

	if (hm_cached_near(start)) {
		for (u64 addr = start; addr < end; addr += PAGE_BYTES)
			there[nr++] = hm_cached(addr);
		for (int i = 0; i < nr; i++) {
			if (!there[i])
				continue;
			hm_lock(&hm.page_lock);
			truncate_folio(start + i * PAGE_BYTES);
			hm_unlock(&hm.page_lock);
		}
	}
}

long hm_punch_hole(u64 start, u64 end)
{
	int kind = hm_area_kind(start), nr;
	struct hm_vma *vmas[MOST_VMAS];

	if (hm_area_level(start) > 1) {
		hugetlbfs_punch_hole(start, end);
		return 0;
	}
	if (kind != AREA_SHARED && kind != AREA_FILE)
		return -EINVAL;
	nr = hm_vma_overlapping(start, end, vmas);
	for (int i = 0; i < nr; i++) {
		u64 first = start > vmas[i]->start ? start : vmas[i]->start;
		u64 last = end < vmas[i]->end ? end : vmas[i]->end;

		hm_invalidate_start(first, last);
		hm_unmap_vma_but(vmas[i], first, last, false);
		hm_invalidate_end(first, last);
	}
	for (u64 base = start & -PMD_BYTES; base < end; base += PMD_BYTES)
		truncate_pages(base > start ? base : start, base + PMD_BYTES < end ? base + PMD_BYTES : end);
	for (u64 addr = start; kind == AREA_FILE && addr < end; addr += PAGE_BYTES)
		if (hm_disk(addr))
			hm_write_disk(addr, 0);
	return 0;
}
