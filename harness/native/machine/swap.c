// SPDX-License-Identifier: GPL-2.0-only
/*
 * mm/vmscan.c, mm/rmap.c: reclaiming pages to swap, or dropping those that are clean.  A page that is
 * pinned is unmapped but stays in the swap cache, so that the next fault finds the same frame.
 */
#include "machine.h"

#define DIGEST ((1UL << 62) - 1)

/* Pages that were freed lazily and are dropped, as one number: of each task, for others may reclaim. */
static unsigned long dropped[NATIVE_TASKS];

/* A program asks for a reclaim, which will answer what it drops. */
void hm_begin_reclaim(void)
{
	dropped[native_task->number] = 0;
}

/* Which pages it dropped that were freed lazily, 0 for none. */
long hm_reclaimed(void)
{
	return dropped[native_task->number];
}

static void note_dropped(u64 addr)
{
	unsigned long *digest = &dropped[native_task->number];

	*digest = (unsigned long)(((unsigned __int128)*digest * 1000003 + (addr >> 12)) & DIGEST);
}

/* A page that was freed lazily: drops it if it is clean and nobody holds it. */
static bool discard(u64 addr, u64 pfn)
{
	struct hm_leaf leaf;
	bool gone = true;

	hm_lock(&hm.ptl);
	leaf = hm_leaf(addr);
	if (leaf.level == 1 && leaf.pte & PTE_MAPPED && leaf.pte >> 12 == pfn) {
		if (leaf.pte & PTE_DIRTY)
			hm_mark_dirty(pfn);
		gone = !hm_folio_pins(pfn) && !hm_dirty(pfn);
		if (gone) {
			hm_set_pte(addr, 0);
			hm_unmap_entry(addr, 1, leaf.pte);
		} else {
			hm_set_lazyfree(pfn, false);
		}
	}
	hm_unlock(&hm.ptl);
	return gone;
}

/* A huge page that no pmd maps is split first. */
static void reclaim_lazyfree(u64 addr, u64 pfn)
{
	struct hm_run *run = hm_run(pfn);
	u64 addrs[MOST_KSM];
	bool gone;
	int nr;

	if (run && !run->split && !hm_split_huge_page(addr))
		return;
	nr = hm_rmap_addresses(addr, pfn, addrs);
	for (int i = 0; i < nr; i++) {
		hm_invalidate_start(addrs[i], addrs[i] + PAGE_BYTES);
		gone = discard(addrs[i], pfn);
		hm_invalidate_end(addrs[i], addrs[i] + PAGE_BYTES);
		if (!gone)
			return;
		note_dropped(addrs[i]);
	}
	hm_child_unmap(pfn, 1);
}

/* The entry becomes a swap entry, of a new slot if `slot` is 0; returns the slot, or 0. */
static long try_to_unmap_one(u64 addr, u64 pfn, long slot)
{
	struct hm_leaf leaf;

	hm_lock(&hm.ptl);
	leaf = hm_leaf(addr);
	if (leaf.level == 1 && leaf.pte & PTE_MAPPED && leaf.pte >> 12 == pfn) {
		if (!slot) {
			slot = hm_swap_new(0, hm_data(pfn), pfn);
			hm_map_page(pfn);
		}
		hm.swap[slot].count++;
		hm_set_pte(addr, (u64)slot << 12 | PTE_SWAP | (leaf.pte & (PTE_EXCLUSIVE | PTE_UFFD_WP)));
		hm_unmap_entry(addr, 1, leaf.pte);
	}
	hm_unlock(&hm.ptl);
	return slot;
}

/* The child's entries become swap entries too. */
static void unmap_child(u64 pfn, long slot)
{
	int count = hm_child_unmap(pfn, 1);

	if (count && hm.swap[slot].count) {
		hm.swap[slot].count += count;
		hm.swap[slot].child += count;
	}
}

/* Writes the page and drops it from the swap cache, unless somebody else refers to it. */
static void write_out(long number)
{
	struct hm_swap_slot *slot = &hm.swap[number];

	if (!slot->count || slot->cached < 0)
		return;
	slot->data = hm_data(slot->cached);
	if (hm_page_count(slot->cached) == 1) {
		hm_unmap_page(slot->cached);
		slot->cached = -1;
	}
}

/* Swaps or drops a whole THP: the pmd is split first, then all entries go in one bracket. */
void hm_reclaim_thp(u64 base)
{
	long slots[PMD_PAGES];
	u64 pfns[PMD_PAGES];
	struct hm_list list;
	int nr = 0;

	if (!(hm_huge(base) & PTE_MAPPED))
		return;
	hm_split_huge_pmd(base);
	hm_invalidate_start(base, base + PMD_BYTES);
	list = hm_mapped(base, base + PMD_BYTES);
	for (long i = 0; i < list.nr; i++) {
		u64 pfn = hm_leaf(list.at[i].addr).pte >> 12;

		if (!hm_run(pfn))
			continue;
		if (hm_lazyfree(pfn)) {
			if (!discard(list.at[i].addr, pfn))
				break;
			note_dropped(list.at[i].addr);
			continue;
		}
		pfns[nr] = pfn;
		slots[nr++] = try_to_unmap_one(list.at[i].addr, pfn, 0);
	}
	hm_invalidate_end(base, base + PMD_BYTES);
	for (int i = 0; i < nr; i++) {
		if (!slots[i])
			continue;
		unmap_child(pfns[i], slots[i]);
		write_out(slots[i]);
	}
}

/* The page, which nothing maps, goes from the page cache if nobody holds it. */
static void drop_cached(u64 addr, u64 pfn)
{
	u64 cached = hm_cached(addr);

	if (!(cached & PTE_MAPPED) || cached >> 12 != pfn || hm_page_count(pfn) != 1)
		return;
	if (!hm_dirty(pfn)) {
		hm_set_cached(addr, 0);
		hm_unmap_page(pfn);
	} else if (!hm_is_file(addr)) {
		hm_set_cached(addr, (u64)hm_swap_new(1, hm_data(pfn), -1) << 12 | PTE_SWAP);
		hm_unmap_page(pfn);
	}
}

/* A page of the page cache: its entry is cleared, if it has one. */
void hm_unmap_cached(u64 addr, u64 pfn)
{
	struct hm_leaf leaf;

	hm_invalidate_start(addr, addr + PAGE_BYTES);
	hm_lock(&hm.ptl);
	leaf = hm_leaf(addr);
	if (leaf.level == 1 && leaf.pte & PTE_MAPPED && leaf.pte >> 12 == pfn) {
		hm_set_pte(addr, 0);
		hm_unmap_entry(addr, 1, leaf.pte);
	}
	hm_unlock(&hm.ptl);
	hm_invalidate_end(addr, addr + PAGE_BYTES);
}

/*
 * A page of a file: the entry is cleared; the page is dropped if it is clean, else the page cache gets
 * a swap entry for shmem and keeps what only kswapd writes to a disk.
 */
static void reclaim_shared(u64 addr, u64 pfn)
{
	hm_unmap_cached(addr, pfn);
	drop_cached(addr, pfn);
}

/* A huge page of the page cache is split, which unmaps it; then those of the range go. */
void hm_reclaim_shmem_folio(u64 base, u64 start, u64 end)
{
	u64 cached = hm_cached(base);
	struct hm_run *run = cached & PTE_MAPPED ? hm_run(cached >> 12) : NULL;

	if (!run || !hm_split_shmem_folio(base, run))
		return;
	for (u64 addr = start; addr < end; addr += PAGE_BYTES)
		if (hm_cached(addr) & PTE_MAPPED)
			drop_cached(addr, hm_cached(addr) >> 12);
}

/* shrink_folio_list() of the 4K page at `addr`. */
void hm_reclaim(u64 addr)
{
	u64 addrs[MOST_KSM];
	struct hm_leaf leaf = hm_leaf(addr);
	struct hm_vma *vma = hm_vma_find(addr);
	struct hm_run *run;
	u64 pfn = leaf.pte >> 12;
	long slot = 0;
	int nr;

	if (leaf.level != 1 || !(leaf.pte & PTE_MAPPED) || leaf.pte & PTE_SPECIAL || !vma)
		return;
	if (vma->flags & VM_SHARED) {
		if (hm_whole_run(pfn))
			hm_reclaim_shmem_folio(addr & -PMD_BYTES, addr, addr + PAGE_BYTES);
		else
			reclaim_shared(addr, pfn);
		return;
	}
	if (hm_lazyfree(pfn)) {
		reclaim_lazyfree(addr, pfn);
		return;
	}
	run = hm_run(pfn);
	if (run && !run->split)
		hm_child_split(pfn);
	nr = hm_rmap_addresses(addr, pfn, addrs);
	for (int i = 0; i < nr; i++) {
		hm_invalidate_start(addrs[i], addrs[i] + PAGE_BYTES);
		slot = try_to_unmap_one(addrs[i], pfn, slot);
		hm_invalidate_end(addrs[i], addrs[i] + PAGE_BYTES);
	}
	if (slot) {
		unmap_child(pfn, slot);
		write_out(slot);
	}
}

static void shrink_range(u64 start, u64 end)
{
	struct hm_list list = hm_mapped(start, end);

	for (long i = 0; i < list.nr; i++) {
		u64 addr = list.at[i].addr;
		struct hm_vma *vma = hm_vma_find(addr);

		if (!vma || vma->level > 1)
			continue;
		hm_lock(&hm.page_lock);
		if (list.at[i].level > 1 && vma->flags & VM_SHARED) {
			hm_reclaim_shmem_folio(addr, start > addr ? start : addr,
					       end < addr + PMD_BYTES ? end : addr + PMD_BYTES);
		} else if (list.at[i].level == 1) {
			hm_reclaim(addr);
		} else if (start <= addr && addr + PMD_BYTES <= end) {
			hm_reclaim_thp(addr);
		} else if (hm_huge(addr) & PTE_MAPPED && hm_split_huge_page(addr)) {
			u64 first = start > addr ? start : addr;
			u64 last = end < addr + PMD_BYTES ? end : addr + PMD_BYTES;

			for (u64 part = first; part < last; part += PAGE_BYTES)
				hm_reclaim(part);
		}
		hm_unlock(&hm.page_lock);
	}
}

/* The reclaim of just these pages, whoever maps them besides. */
long hm_swap_out(u64 start, u64 end)
{
	hm_begin_reclaim();
	shrink_range(start, end);
	return hm_reclaimed();
}
