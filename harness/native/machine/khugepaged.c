// SPDX-License-Identifier: GPL-2.0-only
/* mm/khugepaged.c: replacing the 4K pages of a 2M range by a THP; madvise(MADV_COLLAPSE). */
#include <errno.h>

#include "collapse.h"

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
		if (pte & PTE_UFFD_WP)
			return false;
		if (pte & PTE_SWAP) {
			if (hm_fault(vma, base + i * PAGE_BYTES, false, false))
				return false;
		} else if (!(pte & PTE_MAPPED)) {
			return false;
		}
	}
	return true;
}

/* Is a page missing that only the monitor of a userfaultfd may bring? */
static bool is_for_monitor(const struct hm_vma *vma, const struct hm_table *table)
{
	if (!(vma->flags & UFFD_FLAGS))
		return false;
	for (int i = 0; i < 512; i++)
		if (!table || !table->pte[i] || table->pte[i] >> 12 == HM_ZERO_PFN)
			return true;
	return false;
}

/* Can every page move?  Nothing is pinned, and at least one entry is writable. */
static bool isolate(const struct hm_vma *vma, const struct hm_table *table)
{
	bool writable = false;

	if (is_for_monitor(vma, table))
		return false;
	for (int i = 0; table && i < 512; i++) {
		u64 pte = table->pte[i];

		if (!pte)
			continue;
		if (!(pte & PTE_MAPPED) || pte & PTE_UFFD_WP || (pte >> 12 != HM_ZERO_PFN && hm_folio_pins(pte >> 12)))
			return false;
		writable |= !!(pte & PTE_WRITE);
	}
	return writable;
}

/* Clears the pmd, takes the pages off their table and maps the huge page, or puts it back. */
static bool replace_table(struct hm_vma *vma, u64 base)
{
	u64 flags = PTE_PRESENT | PTE_ACCESSED | PTE_DIRTY | PTE_HUGE | PTE_EXCLUSIVE, head;
	struct hm_table *table = hm_table(base);

	if (!table)
		return false;
	hm_invalidate_start(base, base + PMD_BYTES);
	hm_lock(&hm.ptl);
	table = hm_table(base);
	hm_set_table(base, NULL);
	hm_note(base, base + PMD_BYTES);
	hm_unlock(&hm.ptl);
	hm_invalidate_end(base, base + PMD_BYTES);
	if (!isolate(vma, table)) {
		hm_set_table(base, table);
		hm_note(base, base + PMD_BYTES);
		return false;
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
	return true;
}

/* khugepaged at the 2M around `addr`; is a THP mapped there now? */
bool hm_collapse(u64 addr)
{
	u64 base = addr & -PMD_BYTES;
	struct hm_vma *vma;
	bool ready, done = false;

	hm_down_read(&hm.mmap_lock);
	vma = collapsible_vma(base);
	ready = vma && swap_in_range(vma, base) && isolate(vma, hm_table(base));
	hm_up_read(&hm.mmap_lock);
	if (!ready)
		return false;
	hm_lock(&hm.mmap_lock);
	vma = collapsible_vma(base);
	if (vma) {
		hm_lock(&hm.page_lock);
		done = replace_table(vma, base);
		hm_unlock(&hm.page_lock);
	}
	hm_unlock(&hm.mmap_lock);
	return done;
}

/* But for khugepaged's own limits. */
static long scan_pmd(const struct hm_vma *vma, u64 base)
{
	struct hm_table *table = hm_table(base);
	bool writable = false;

	if (hm_huge(base) & PTE_MAPPED)
		return SCAN_PMD_MAPPED;
	if (!table)
		return -EINVAL;
	if (is_for_monitor(vma, table))
		return SCAN_STOP;
	for (int i = 0; i < 512; i++) {
		u64 pte = table->pte[i];

		if (pte & PTE_UFFD_WP)
			return -EINVAL;
		if (!(pte & PTE_MAPPED) || pte >> 12 == HM_ZERO_PFN)
			continue;
		if (hm_folio_pins(pte >> 12))
			return -EAGAIN;
		writable |= !!(pte & PTE_WRITE);
	}
	return writable ? SCAN_SUCCEED : -EINVAL;
}

/* Why a range that looked well did not collapse. */
static long scan_again(const struct hm_vma *vma, u64 base)
{
	long result = scan_pmd(vma, base);

	return result == SCAN_SUCCEED ? SCAN_STOP : result;
}

/* Is there anything in the VMA that could be huge? */
static bool may_collapse(const struct hm_vma *vma)
{
	if (hm_vma_is_shmem(vma))
		return hm_may_be_huge(vma, vma->end - PMD_BYTES);
	return hm_vma_anonymous(vma) && hm_vma_thp_allowed(vma, vma->end - PMD_BYTES) && vma->anon_vma;
}

static long collapse_vma(u64 start, u64 end)
{
	u64 first = (start + PMD_BYTES - 1) & -PMD_BYTES, last = end & -PMD_BYTES;
	struct hm_vma *vma = hm_vma_find(start);
	long answer = first <= last ? 0 : -EINVAL;

	if (!vma || !may_collapse(vma))
		return -EINVAL;
	for (u64 base = first; base < last; base += PMD_BYTES) {
		bool shmem;
		long result;

		hm_down_read(&hm.mmap_lock);
		vma = hm_vma_find(base);
		shmem = hm_may_be_huge(vma, base);
		result = vma && hm_vma_thp_allowed(vma, base) ? scan_pmd(vma, base) : SCAN_STOP;
		hm_up_read(&hm.mmap_lock);
		if (shmem)
			result = hm_collapse_shmem(base);
		else if (result == SCAN_SUCCEED)
			result = hm_collapse(base) ? SCAN_SUCCEED : scan_again(vma, base);
		if (result == SCAN_STOP)
			return -EINVAL;
		if (result != SCAN_SUCCEED && result != SCAN_PMD_MAPPED)
			answer = result;
	}
	return answer;
}

/* 0 if every whole 2M of the range is mapped by a THP now; -ENOMEM: all is well but for a hole. */
long hm_madvise_collapse(u64 start, u64 end)
{
	struct hm_vma *vmas[MOST_VMAS];
	struct hm_range parts[MOST_VMAS];
	u64 covered = 0;
	int nr;

	hm_down_read(&hm.mmap_lock);
	nr = hm_vma_overlapping(start, end, vmas);
	hm_up_read(&hm.mmap_lock);
	for (int i = 0; i < nr; i++) {
		parts[i].start = start > vmas[i]->start ? start : vmas[i]->start;
		parts[i].end = end < vmas[i]->end ? end : vmas[i]->end;
		covered += parts[i].end - parts[i].start;
	}
	for (int i = 0; i < nr; i++) {
		long answer = collapse_vma(parts[i].start, parts[i].end);

		if (answer)
			return answer;
	}
	return covered == end - start ? 0 : -ENOMEM;
}
