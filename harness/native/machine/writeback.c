// SPDX-License-Identifier: GPL-2.0-only
/* mm/page-writeback.c: dirty pages of files go to the disk; each is clean afterwards. */
#include "machine.h"

/* The entry that maps the page, if one does, becomes read-only and clean in a bracket. */
static void folio_mkclean(u64 addr, u64 pfn)
{
	struct hm_leaf leaf;

	if (hm_mapcount(pfn) == 1 || !hm_vma_find(addr))
		return;
	hm_invalidate_start(addr, addr + PAGE_BYTES);
	hm_lock(&hm.ptl);
	leaf = hm_leaf(addr);
	if (leaf.level == 1 && leaf.pte & PTE_MAPPED && leaf.pte >> 12 == pfn && leaf.pte & (PTE_DIRTY | PTE_WRITE))
		hm_set_pte(addr, leaf.pte & ~(PTE_DIRTY | PTE_WRITE));
	hm_unlock(&hm.ptl);
	hm_invalidate_end(addr, addr + PAGE_BYTES);
}

/* Makes the page and its entry clean; true if it has to be written. */
static bool folio_clear_dirty_for_io(u64 addr, u64 pfn)
{
	if (!hm_dirty(pfn))
		return false;
	folio_mkclean(addr, pfn);
	hm_clear_dirty(pfn);
	return true;
}

static void write_page(u64 addr)
{
	u64 cached;

	hm_lock(&hm.page_lock);
	cached = hm_cached(addr);
	if (cached & PTE_MAPPED && folio_clear_dirty_for_io(addr, cached >> 12)) {
		hm_point();
		hm_write_disk(addr, hm_data(cached >> 12));
	}
	hm_unlock(&hm.page_lock);
}

/* Is there a file on a disk behind the area? */
bool hm_is_file(u64 addr)
{
	return hm_area_kind(addr) == AREA_FILE;
}

/* write_cache_pages() of the file behind [start, end). */
void hm_writeback(u64 start, u64 end)
{
	u64 found[512 * 4];
	int nr = 0;

	if (!hm_is_file(start))
		return;
	for (u64 addr = start; addr < end; addr += PAGE_BYTES) {
		if (!hm_cached_near(addr)) {
			addr = (addr & -PMD_BYTES) + PMD_BYTES - PAGE_BYTES;
			continue;
		}
		if (!hm_cached(addr))
			continue;
		if (nr == sizeof(found) / sizeof(*found))
			hm_give_up("too many pages of a file");
		found[nr++] = addr;
	}
	for (int i = 0; i < nr; i++)
		write_page(found[i]);
}
