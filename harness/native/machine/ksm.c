// SPDX-License-Identifier: GPL-2.0-only
/* mm/ksm.c: two anonymous pages with equal content become one read-only page. */
#include "machine.h"

/* The pfn of the anonymous page at `addr` that KSM could take, or 0. */
static u64 anon_pfn(u64 addr)
{
	struct hm_vma *vma = hm_vma_find(addr);
	u64 pte = hm_page(addr);

	if (!vma || !hm_vma_anonymous(vma) || !(pte & PTE_MAPPED) || pte & PTE_SPECIAL)
		return 0;
	return pte >> 12;
}

/* Makes the entry read-only and clean; returns it, or 0 if the page is pinned. */
static u64 write_protect_page(u64 addr, u64 pfn)
{
	const u64 all = PTE_WRITE | PTE_DIRTY | PTE_EXCLUSIVE;
	struct hm_leaf leaf;
	u64 pte;

	hm_invalidate_start(addr, addr + PAGE_BYTES);
	hm_lock(&hm.ptl);
	leaf = hm_leaf(addr);
	pte = leaf.pte;
	if (leaf.level != 1 || !(pte & PTE_MAPPED) || pte >> 12 != pfn) {
		pte = 0;
	} else if (pte & all) {
		if (pte & PTE_DIRTY && !hm_pins(pfn))
			hm_mark_dirty(pfn);
		pte &= ~all;
		if (hm_pins(pfn))
			pte = 0;
		else
			hm_set_pte_at_notify(addr, pte);
	}
	hm_unlock(&hm.ptl);
	hm_invalidate_end(addr, addr + PAGE_BYTES);
	return pte;
}

/* Switches the read-only entry to the KSM page. */
static bool replace_page(u64 addr, u64 kpfn, u64 orig)
{
	struct hm_leaf leaf;
	bool done = false;

	hm_invalidate_start(addr, addr + PAGE_BYTES);
	hm_lock(&hm.ptl);
	leaf = hm_leaf(addr);
	if (leaf.level == 1 && leaf.pte == orig && hm_is_ksm(kpfn)) {
		hm_map_page(kpfn);
		hm_ksm_add(kpfn, addr);
		hm_set_pte_at_notify(addr, kpfn << 12 | (orig & PTE_FLAGS));
		hm_unmap_entry(addr, 1, orig);
		done = true;
	}
	hm_unlock(&hm.ptl);
	hm_invalidate_end(addr, addr + PAGE_BYTES);
	return done;
}

/* Makes the page at `addr` a KSM page, or maps `kpfn` instead. */
static bool merge_one_page(u64 addr, u64 kpfn)
{
	struct hm_run *run;
	struct hm_leaf leaf;
	bool done = false;
	u64 pfn, orig;

	hm_lock(&hm.page_lock);
	pfn = anon_pfn(addr);
	run = hm_run(pfn);
	if (pfn && (!run || run->split || hm_split_huge_page(addr))) {
		orig = write_protect_page(addr, pfn);
		if (orig && !kpfn) {
			leaf = hm_leaf(addr);
			if (leaf.pte == orig && leaf.level == 1) {
				hm_ksm_forget(pfn);
				hm_ksm_add(pfn, addr);
				hm_mark_dirty(pfn);
				done = true;
			}
		} else if (orig && hm_data(pfn) == hm_data(kpfn)) {
			done = replace_page(addr, kpfn, orig);
		}
	}
	hm_unlock(&hm.page_lock);
	return done;
}

/* A KSM page with a single mapping is made an ordinary page again, by copying it. */
void hm_break_ksm(u64 addr)
{
	struct hm_vma *vma = hm_vma_find(addr);
	u64 pte = hm_page(addr);

	if (vma && pte & PTE_MAPPED && !(pte & PTE_PROTNONE))
		hm_wp_page_copy(vma, addr, pte, true);
}

static void merge_two_pages(u64 addr, u64 other)
{
	u64 addrs[MOST_KSM], kpfn;

	if (!hm_is_ksm(anon_pfn(addr))) {
		if (hm_is_ksm(anon_pfn(other))) {
			u64 swapped = addr;

			addr = other;
			other = swapped;
		} else if (!merge_one_page(addr, 0)) {
			return;
		}
	}
	kpfn = anon_pfn(addr);
	if (hm_is_ksm(kpfn) && merge_one_page(other, kpfn))
		return;
	if (hm_ksm_addresses(kpfn, addrs) == 1)
		hm_break_ksm(addr);
}

/* Makes `other` map the page of `addr` if both hold the same data. */
void hm_ksm_merge(u64 addr, u64 other)
{
	u64 kpfn, pfn;

	hm_down_read(&hm.mmap_lock);
	kpfn = anon_pfn(addr);
	pfn = anon_pfn(other);
	if (addr != other && kpfn && pfn && kpfn != pfn && hm_data(kpfn) == hm_data(pfn))
		merge_two_pages(addr, other);
	hm_up_read(&hm.mmap_lock);
}
