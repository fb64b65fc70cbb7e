// SPDX-License-Identifier: GPL-2.0-only
/* mm/truncate.c, mm/shmem.c, fs/hugetlbfs/inode.c: holes punched into what lies behind an area. */
#include <errno.h>

#include "machine.h"

/* A huge page goes from the page cache as a whole. */
static void truncate_huge_folio(u64 base, struct hm_run *run)
{
	struct hm_vma *vma = hm_vma_find(base);

	if (vma && hm_mapped(base, base + PMD_BYTES).nr) {
		hm_invalidate_start(base, base + PMD_BYTES);
		hm_unmap_vma(vma, base, base + PMD_BYTES);
		hm_invalidate_end(base, base + PMD_BYTES);
	}
	for (u64 addr = base; addr < base + PMD_BYTES; addr += PAGE_BYTES)
		hm_set_cached(addr, 0);
	hm_clear_dirty(run->head);
	hm_unmap_run(run->head);
}

/*
 * A huge page of which only a part goes is split.  If it cannot be, for somebody holds it, that part is
 * filled with zeros where it is.
 */
static void truncate_partial_folio(u64 base, u64 start, u64 end)
{
	struct hm_run *run;
	u64 cached;

	if (hm_cached(base) & PTE_MIGRATION)
		hm_wait_for_folio();		/* somebody makes it huge */
	cached = hm_cached(base);
	run = cached & PTE_MAPPED ? hm_run(cached >> 12) : NULL;
	if (!run || run->split || end - start == PMD_BYTES)
		return;
	hm_lock(&hm.page_lock);
	if (!hm_split_shmem_folio(base, run))
		for (u64 addr = start; addr < end; addr += PAGE_BYTES)
			hm_set_data(run->head + ((addr - base) >> 12), 0);
	hm_unlock(&hm.page_lock);
}

/* Unmaps the page again, if somebody was quicker, and drops it. */
static void truncate_folio(u64 addr, bool whole)
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
	if (hm_whole_run(cached >> 12)) {
		if (addr % PMD_BYTES == 0 && whole)
			truncate_huge_folio(addr, hm_run(cached >> 12));
		return;
	}
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
static void truncate_pages(u64 start, u64 end, u64 last)
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
			truncate_folio(start + i * PAGE_BYTES, start + i * PAGE_BYTES + PMD_BYTES <= last);
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
	if (!hm_area_is_shared(start) || kind == AREA_PFNMAP || kind == AREA_PFNMAP_TAILS)
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
		truncate_partial_folio(base, base > start ? base : start,
				       base + PMD_BYTES < end ? base + PMD_BYTES : end);
	for (u64 base = start & -PMD_BYTES; base < end; base += PMD_BYTES)
		truncate_pages(base > start ? base : start, base + PMD_BYTES < end ? base + PMD_BYTES : end,
			       end);
	for (u64 addr = start; kind == AREA_FILE && addr < end; addr += PAGE_BYTES)
		if (hm_disk(addr))
			hm_write_disk(addr, 0);
	return 0;
}
