// SPDX-License-Identifier: GPL-2.0-only
/* mm/memory.c, mm/huge_memory.c: page faults on host memory; difffuzz/machine/fault.py in C. */
#include "machine.h"

#define YOUNG (PTE_PRESENT | PTE_ACCESSED)
#define DIRTY (PTE_WRITE | PTE_DIRTY)

/* A fault that waits for the monitor of a userfaultfd: false if it may not wait. */
static bool wait_for_monitor(bool nowait)
{
	if (!nowait)
		hm_point();
	return !nowait;
}

/* Of a write to a page that is write-protected. */
static int monitor_unprotects(struct hm_vma *vma, u64 addr, bool nowait)
{
	u64 page = addr & -PAGE_BYTES;

	if (!wait_for_monitor(nowait))
		return VM_FAULT_RETRY;
	hm_change_protection(vma, page, page + PAGE_BYTES, UFFD_RESOLVE);
	return VM_FAULT_OK;
}

void hm_wait_for_folio(void)
{
	hm_lock(&hm.page_lock);
	hm_unlock(&hm.page_lock);
}

static int migration_entry_wait(void)
{
	hm_wait_for_folio();
	return VM_FAULT_OK;
}

static u64 accessed(u64 pte, bool write)
{
	return pte | PTE_ACCESSED | (write ? PTE_DIRTY : 0);
}

/* Maps a zeroed THP at an empty pmd. */
static void do_huge_pmd_anonymous_page(struct hm_vma *vma, u64 addr)
{
	u64 head = hm_frame_alloc(PMD_PAGES);
	u64 flags = YOUNG | PTE_HUGE | PTE_EXCLUSIVE | PTE_DIRTY;

	hm_lock(&hm.ptl);
	if (hm_populated(addr)) {
		hm_unmap_run(head);
	} else {
		vma->anon_vma = true;
		if (vma->flags & VM_WRITE)
			flags |= PTE_WRITE;
		hm_set_huge(addr, head << 12 | flags);
		hm_note(addr & -PMD_BYTES, (addr & -PMD_BYTES) + PMD_BYTES);
	}
	hm_unlock(&hm.ptl);
}

/* Write to a read-only THP: reuse it if nobody else holds it, else split it; false after a split. */
static bool do_huge_pmd_wp_page(u64 addr, u64 orig)
{
	hm_lock(&hm.ptl);
	if (hm_huge(addr) != orig) {
		hm_unlock(&hm.ptl);
		return true;
	}
	if (orig & PTE_EXCLUSIVE || hm_folio_count(orig >> 12, 2) == 1) {
		hm_set_huge(addr, orig | PTE_ACCESSED | DIRTY | PTE_EXCLUSIVE);
		hm_note(addr & -PMD_BYTES, (addr & -PMD_BYTES) + PMD_BYTES);
		hm_unlock(&hm.ptl);
		return true;
	}
	hm_unlock(&hm.ptl);
	hm_split_huge_pmd(addr);
	return false;
}

/* Sets a 4K entry if it still is `orig`.  No notifier: nothing was mapped there. */
static bool install(u64 addr, u64 orig, u64 pte)
{
	hm_lock(&hm.ptl);
	if (hm_huge(addr) || hm_make_table(addr)->pte[addr >> 12 & 511] != orig) {
		hm_unlock(&hm.ptl);
		return false;
	}
	hm_set_pte(addr & -PAGE_BYTES, pte);
	hm_unlock(&hm.ptl);
	return true;
}

/* The same for an empty entry, if the page cache still has the page: a hole may have been punched. */
static bool install_cached(u64 addr, u64 pte)
{
	hm_lock(&hm.ptl);
	if (hm_huge(addr) || hm_make_table(addr)->pte[addr >> 12 & 511] || hm_cached(addr) >> 12 != pte >> 12) {
		hm_unlock(&hm.ptl);
		return false;
	}
	hm_set_pte(addr & -PAGE_BYTES, pte);
	hm_unlock(&hm.ptl);
	return true;
}

static u64 swap_in(u64 number);

/* What the page cache has, unlocked, read from swap if it is there; 0 for nothing. */
u64 hm_cached_entry(u64 addr)
{
	u64 cached = hm_cached(addr);

	while (cached & PTE_MIGRATION) {
		migration_entry_wait();		/* its huge page is being filled */
		cached = hm_cached(addr);
	}
	if (cached & PTE_SWAP) {
		cached = swap_in(cached >> 12) << 12 | PTE_PRESENT;
		hm_set_cached(addr, cached);
		hm_mark_dirty(cached >> 12);
	}
	return cached;
}

/* Flags of an entry that userfaultfd makes. */
static u64 filled(const struct hm_vma *vma)
{
	return hm_remap(vma, PTE_ACCESSED | DIRTY | (vma->flags & VM_SHARED ? 0 : PTE_EXCLUSIVE));
}

/* Maps a fresh page that holds `value`; false if somebody was quicker. */
bool hm_map_missing(struct hm_vma *vma, u64 addr, long value)
{
	u64 pfn = hm_frame_alloc(1);
	bool done;

	hm_set_data(pfn, value);
	if (!(vma->flags & VM_SHARED)) {
		vma->anon_vma = true;
		done = install(addr, 0, pfn << 12 | filled(vma));
		if (!done)
			hm_unmap_page(pfn);
		return done;
	}
	hm_set_cached(addr, pfn << 12 | PTE_PRESENT);
	hm_map_page(pfn);
	done = install_cached(addr, pfn << 12 | filled(vma));
	if (!done) {
		hm_unmap_page(pfn);
		if (hm_cached(addr) >> 12 == pfn) {
			hm_set_cached(addr, 0);
			hm_unmap_page(pfn);
		}
	}
	return done;
}

/* Maps what the page cache has; false if somebody was quicker. */
bool hm_map_cached(struct hm_vma *vma, u64 addr)
{
	u64 pfn = hm_cached_entry(addr) >> 12;
	bool done;

	if (!pfn)
		return false;
	hm_map_page(pfn);
	done = install_cached(addr, pfn << 12 | filled(vma));
	if (!done)
		hm_unmap_page(pfn);
	return done;
}

bool hm_map_zero_page(struct hm_vma *vma, u64 addr)
{
	return install(addr, 0, HM_ZERO_PFN << 12 | hm_remap(vma, PTE_ACCESSED) | PTE_SPECIAL);
}

/* Of a page that is missing, or that the page cache has. */
static int monitor_fills(struct hm_vma *vma, u64 addr, bool nowait)
{
	if (!wait_for_monitor(nowait))
		return VM_FAULT_RETRY;
	if (hm_cached(addr))
		hm_map_cached(vma, addr);
	else
		hm_map_missing(vma, addr, 0);
	return VM_FAULT_OK;
}

/* First access: the zero page for a read, a zeroed page for a write. */
static int do_anonymous_page(struct hm_vma *vma, u64 addr, bool write, bool nowait)
{
	u64 pfn;

	if (vma->flags & VM_UFFD_MISSING)
		return monitor_fills(vma, addr, nowait);
	if (!write) {
		install(addr, 0, HM_ZERO_PFN << 12 | YOUNG | PTE_SPECIAL);
		return VM_FAULT_OK;
	}
	pfn = hm_frame_alloc(1);
	vma->anon_vma = true;
	if (!install(addr, 0, pfn << 12 | YOUNG | DIRTY | PTE_EXCLUSIVE))
		hm_unmap_page(pfn);
	return VM_FAULT_OK;
}

/* Reads a swap slot for one of its entries; the page comes with a mapping. */
static u64 swap_in(u64 number)
{
	struct hm_swap_slot *slot = &hm.swap[number];
	u64 pfn;

	if (slot->cached >= 0) {
		pfn = slot->cached;
		slot->cached = -1;
	} else {
		pfn = hm_frame_alloc(1);
		hm_set_data(pfn, slot->data);
	}
	hm_swap_free(number);
	return pfn;
}

/* A zeroed huge page for the 2M around `addr`, unless something is there; the entry of its page. */
static u64 shmem_alloc_folio_huge(u64 addr)
{
	u64 base = addr & -PMD_BYTES, head;

	if (hm_cached_near(addr))
		for (u64 at = base; at < base + PMD_BYTES; at += PAGE_BYTES)
			if (hm_cached(at))
				return 0;
	head = hm_frame_alloc(PMD_PAGES);
	for (u64 page = 0; page < PMD_PAGES; page++)
		hm_set_cached(base + page * PAGE_BYTES, (head + page) << 12 | PTE_PRESENT);
	return hm_cached(addr);
}

/* Maps the huge page of a file at an empty pmd. */
void hm_set_pmd(u64 addr, u64 pfn, u64 flags)
{
	u64 base = addr & -PMD_BYTES, head = pfn & -(u64)PMD_PAGES;
	bool done;

	hm_map_run(head);
	hm_lock(&hm.ptl);
	done = !hm_populated(addr) && hm_cached(base) >> 12 == head && hm_whole_run(head);
	if (done) {
		hm_set_huge(base, head << 12 | flags | PTE_HUGE);
		hm_note(base, base + PMD_BYTES);
	}
	hm_unlock(&hm.ptl);
	if (!done)
		hm_unmap_run(head);
}

/* First access to device memory or to a page of a file. */
static int do_fault(struct hm_vma *vma, u64 addr, bool write, bool nowait)
{
	bool notify = hm_wants_writenotify(vma);
	u64 flags = YOUNG | (write ? PTE_DIRTY : 0), cached, pfn;

	if (vma->flags & VM_WRITE && (write || !notify))
		flags |= PTE_WRITE;
	if (vma->flags & VM_PFNMAP) {
		install(addr, 0, ((addr >> 12) + vma->pfn_delta) << 12 | flags | PTE_SPECIAL);
		return VM_FAULT_OK;
	}
	cached = hm_cached(addr);
	if (cached & PTE_HWPOISON)
		return VM_FAULT_HWPOISON;
	if (cached & PTE_MIGRATION)
		return migration_entry_wait();
	if (vma->flags & (cached ? VM_UFFD_MINOR : VM_UFFD_MISSING))
		return monitor_fills(vma, addr, nowait);
	cached = hm_cached_entry(addr);
	if (!cached && vma->flags & VM_SHMEM_HUGE && !(vma->flags & VM_NOHUGEPAGE))
		cached = shmem_alloc_folio_huge(addr);
	if (!cached) {
		cached = hm_frame_alloc(1) << 12 | PTE_PRESENT;
		hm_set_cached(addr, cached);
		hm_set_data(cached >> 12, hm_disk(addr));
	}
	pfn = cached >> 12;
	if (write && notify)
		hm_mark_dirty(pfn);
	if (!hm_table(addr) && hm_vma_fits_huge(vma, addr) && hm_whole_run(pfn)) {
		hm_set_pmd(addr, pfn, flags);
		return VM_FAULT_OK;
	}
	hm_map_page(pfn);
	if (!install_cached(addr, pfn << 12 | flags))
		hm_unmap_page(pfn);
	return VM_FAULT_OK;
}

/* Copies a page that others hold too and maps the copy: a bracket with a change_pte in it. */
int hm_wp_page_copy(struct hm_vma *vma, u64 addr, u64 orig, bool unshare)
{
	u64 old = orig >> 12, base = addr & -PAGE_BYTES, new;

	if (hm_poisoned(old))
		return VM_FAULT_HWPOISON;
	new = hm_frame_alloc(1);
	if (old != HM_ZERO_PFN) {
		hm_get(old);
		hm_set_data(new, hm_data(old));
	}
	vma->anon_vma = true;
	hm_invalidate_start(base, base + PAGE_BYTES);
	hm_lock(&hm.ptl);
	if (hm_table(base) && hm_pte(base) == orig) {
		hm_set_pte_at_notify(base, new << 12 | YOUNG | PTE_EXCLUSIVE | (unshare ? orig & PTE_UFFD_WP : DIRTY));
		hm_unmap_entry(base, 1, orig);
	} else {
		hm_unmap_page(new);
	}
	hm_unlock(&hm.ptl);
	hm_invalidate_end(base, base + PAGE_BYTES);
	if (old != HM_ZERO_PFN)
		hm_put(old);
	return VM_FAULT_OK;
}

/* Write to a read-only page: reuse it silently where that is right, else copy it. */
static int do_wp_page(struct hm_vma *vma, u64 addr, u64 orig, bool nowait)
{
	u64 pfn = orig >> 12;
	bool reuse = vma->flags & VM_SHARED;

	if (orig & PTE_UFFD_WP && vma->flags & VM_UFFD_WP)
		return monitor_unprotects(vma, addr, nowait);
	if (!reuse && !(orig & PTE_SPECIAL) && !hm_is_ksm(pfn))
		reuse = orig & PTE_EXCLUSIVE || hm_folio_count(pfn, 1) == 1;
	if (!reuse)
		return hm_wp_page_copy(vma, addr, orig, false);
	if (hm_wants_writenotify(vma))
		hm_mark_dirty(pfn);
	install(addr, orig, orig | PTE_ACCESSED | DIRTY | (vma->flags & VM_SHARED ? 0 : PTE_EXCLUSIVE));
	return VM_FAULT_OK;
}

/* A fault on an entry that is neither none nor present. */
static int do_swap_page(struct hm_vma *vma, u64 addr, u64 orig, bool write, bool nowait)
{
	u64 flags = YOUNG, number = orig >> 12, pfn, pte;

	if (orig & PTE_MIGRATION)
		return migration_entry_wait();
	if (orig & PTE_HWPOISON)
		return VM_FAULT_HWPOISON;
	if (nowait && hm.swap[number].cached < 0)
		return VM_FAULT_RETRY;
	hm_lock(&hm.ptl);
	if (!hm_table(addr) || hm_pte(addr) != orig) {
		hm_unlock(&hm.ptl);
		return VM_FAULT_OK;
	}
	pfn = swap_in(number);
	if (orig & PTE_EXCLUSIVE || (!hm.swap[number].count && hm_page_count(pfn) == 1))
		flags |= PTE_EXCLUSIVE | (write ? DIRTY : 0);
	if (orig & PTE_UFFD_WP)
		flags = (flags & ~PTE_WRITE) | PTE_UFFD_WP;
	pte = pfn << 12 | flags;
	vma->anon_vma = true;
	hm_set_pte(addr & -PAGE_BYTES, pte);
	hm_unlock(&hm.ptl);
	if (write && !(flags & PTE_WRITE))
		return do_wp_page(vma, addr, pte, nowait);
	return VM_FAULT_OK;
}

static int handle_pte_fault(struct hm_vma *vma, u64 addr, bool write, bool nowait)
{
	u64 orig = hm_pte(addr);

	if (!orig) {
		if (hm_vma_anonymous(vma))
			return do_anonymous_page(vma, addr, write, nowait);
		return do_fault(vma, addr, write, nowait);
	}
	if (orig & PTE_NONPRESENT)
		return do_swap_page(vma, addr, orig, write, nowait);
	if (write && !(orig & PTE_WRITE))
		return do_wp_page(vma, addr, orig, nowait);
	hm_put_leaf(addr, 1, accessed(orig, write));
	return VM_FAULT_OK;
}

/* Makes one step towards `addr` being accessible; the caller has checked that the VMA permits it. */
int hm_fault(struct hm_vma *vma, u64 addr, bool write, bool nowait)
{
	u64 huge;

	if (vma->level > 1)
		return hm_hugetlb_fault(vma, addr, write);
	huge = hm_huge(addr);
	if (huge) {
		if (huge & PTE_MIGRATION)
			return migration_entry_wait();
		if (write && huge & PTE_UFFD_WP && vma->flags & VM_UFFD_WP)
			return monitor_unprotects(vma, addr, nowait);
		if (!write || huge & PTE_WRITE) {
			hm_set_huge(addr, accessed(huge, write));
			return VM_FAULT_OK;
		}
		if (vma->flags & VM_SHARED)
			hm_split_huge_pmd(addr);
		else if (do_huge_pmd_wp_page(addr, huge))
			return VM_FAULT_OK;
	} else if (!hm_table(addr) && hm_vma_thp_allowed(vma, addr) && !(vma->flags & VM_UFFD_MISSING)) {
		do_huge_pmd_anonymous_page(vma, addr);
		return VM_FAULT_OK;
	}
	return handle_pte_fault(vma, addr, write, nowait);
}
