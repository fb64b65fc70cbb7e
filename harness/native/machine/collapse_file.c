// SPDX-License-Identifier: GPL-2.0-only
/* mm/khugepaged.c for shared memory: the pages of a 2M range of the page cache become one. */
#include <errno.h>

#include "collapse.h"

/* How shmem is mounted does not matter. */
bool hm_may_be_huge(const struct hm_vma *vma, u64 base)
{
	return vma && hm_vma_is_shmem(vma) && !(vma->flags & VM_NOHUGEPAGE) && hm_vma_fits_huge(vma, base);
}

/* -1: an empty pmd. */
static long find_pmd_or_thp_or_none(u64 base)
{
	if (hm_huge(base))
		return SCAN_PMD_MAPPED;
	if (hm_table(base))
		return SCAN_SUCCEED;
	return hm_has_pmd_page(base) ? -1 : -EINVAL;
}

/* What is to be done for the page table of the process that asked. */
static long retract_page_tables(u64 base)
{
	long result;

	if (!hm_may_be_huge(hm_vma_find(base), base))
		return SCAN_STOP;
	result = find_pmd_or_thp_or_none(base);
	if (result == SCAN_SUCCEED)
		return SCAN_PTE_MAPPED_HUGEPAGE;
	return result == -1 ? SCAN_STOP : result;
}

static bool is_any_cached(u64 start, u64 end)
{
	for (u64 addr = start; addr < end; addr += PAGE_BYTES)
		if (hm_cached(addr))
			return true;
	return false;
}

/* Isolates a page: nothing maps it any more, and nobody holds it. */
static long take(u64 addr, u64 cached)
{
	u64 pfn = cached >> 12;

	if (!cached)
		return addr % PMD_BYTES || is_any_cached(addr, addr + PMD_BYTES) ? SCAN_SUCCEED : SCAN_STOP;
	if (cached & PTE_HWPOISON)
		return -EAGAIN;
	if (hm_whole_run(pfn))
		return SCAN_PTE_MAPPED_HUGEPAGE;
	if (hm_mapcount(pfn) > 1)
		hm_unmap_cached(addr, pfn);
	return hm_page_count(pfn) == 1 ? SCAN_SUCCEED : -EAGAIN;
}

/* Takes page by page off its mappings and puts the huge page in its place, or all back. */
static long collapse_file(u64 base)
{
	u64 head = hm_frame_alloc(PMD_PAGES), *taken = hm_alloc(PMD_PAGES * sizeof(*taken));

	for (u64 i = 0; i < PMD_PAGES; i++) {
		u64 addr = base + i * PAGE_BYTES;
		u64 cached = hm_cached_entry(addr);
		long result = take(addr, cached), value;

		if (result) {
			while (i--)
				hm_set_cached(base + i * PAGE_BYTES, taken[i]);
			hm_unmap_run(head);
			return result;
		}
		taken[i] = cached;
		value = cached ? hm_data(cached >> 12) : 0;
		if (value)
			hm_set_data(head + i, value);
		hm_set_cached(addr, (head + i) << 12 | PTE_MIGRATION);
	}
	for (u64 i = 0; i < PMD_PAGES; i++) {
		hm_set_cached(base + i * PAGE_BYTES, (head + i) << 12 | PTE_PRESENT);
		if (taken[i]) {
			hm_clear_dirty(taken[i] >> 12);
			hm_unmap_page(taken[i] >> 12);
		}
	}
	hm_mark_dirty(head);
	return retract_page_tables(base);
}

/* But for khugepaged's own limits. */
static long scan_file(u64 base)
{
	long result;

	for (u64 addr = base; hm_cached_near(base) && addr < base + PMD_BYTES; addr += PAGE_BYTES) {
		u64 cached = hm_cached(addr);

		if (cached & PTE_HWPOISON)
			return -EAGAIN;
		if (!(cached & (PTE_MAPPED | PTE_MIGRATION)))
			continue;
		if (hm_whole_run(cached >> 12))
			return SCAN_PTE_MAPPED_HUGEPAGE;
		if (hm_pins(cached >> 12))
			return -EAGAIN;
	}
	hm_lock(&hm.page_lock);
	result = collapse_file(base);
	hm_unlock(&hm.page_lock);
	return result;
}

/* Frees a table that maps nothing but pages of the huge page, each at its place. */
static long collapse_and_free_pmd(u64 base, u64 head)
{
	struct hm_table *table = hm_table(base);

	for (u64 i = 0; i < 512; i++) {
		if (!table->pte[i])
			continue;
		if (!(table->pte[i] & PTE_MAPPED))
			return -EINVAL;
		if (table->pte[i] >> 12 != head + i)
			return SCAN_STOP;
	}
	hm_invalidate_start(base, base + PMD_BYTES);
	hm_lock(&hm.ptl);
	table = hm_table(base);
	hm_set_table(base, NULL);
	for (u64 i = 0; i < 512; i++)
		if (table->pte[i])
			hm_unmap_entry(base + i * PAGE_BYTES, 1, table->pte[i]);
	hm_note(base, base + PMD_BYTES);
	hm_unlock(&hm.ptl);
	hm_invalidate_end(base, base + PMD_BYTES);
	return SCAN_SUCCEED;
}

/* Takes the page table away and maps the huge page, mmap_lock held for write. */
static long collapse_pte_mapped_thp(u64 base)
{
	long result = find_pmd_or_thp_or_none(base), answer;
	struct hm_vma *vma = hm_vma_find(base);
	u64 cached;

	if (result == SCAN_PMD_MAPPED)
		return SCAN_PMD_MAPPED;
	if (!hm_may_be_huge(vma, base))
		return SCAN_STOP;
	if (vma->flags & VM_UFFD_WP)
		return -EINVAL;
	hm_lock(&hm.page_lock);
	cached = hm_cached(base);
	if (!cached || result == -EINVAL) {
		answer = -EINVAL;
	} else if (!(cached & PTE_MAPPED) || !hm_whole_run(cached >> 12)) {
		answer = SCAN_STOP;
	} else {
		answer = result == SCAN_SUCCEED ? collapse_and_free_pmd(base, cached >> 12) : SCAN_SUCCEED;
		if (answer == SCAN_SUCCEED)
			hm_set_pmd(base, cached >> 12,
				   PTE_PRESENT | PTE_ACCESSED | (vma->flags & VM_WRITE ? PTE_WRITE : 0));
	}
	hm_unlock(&hm.page_lock);
	return answer;
}

/* MADV_COLLAPSE of one 2M of shared memory. */
long hm_collapse_shmem(u64 base)
{
	long result = scan_file(base);

	if (result == SCAN_PTE_MAPPED_HUGEPAGE) {
		hm_lock(&hm.mmap_lock);
		result = collapse_pte_mapped_thp(base);
		hm_unlock(&hm.mmap_lock);
	}
	return result;
}
