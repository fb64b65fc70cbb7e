// SPDX-License-Identifier: GPL-2.0-only
/* mm/mmap.c, mm/mprotect.c, mm/madvise.c: the system calls that change mappings. */
#include "machine.h"

static const long prot_flags[] = { 0, VM_READ, VM_READ | VM_WRITE };

static u64 later(u64 a, u64 b)
{
	return a > b ? a : b;
}

static u64 sooner(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* The range in whole pages of its area. */
void hm_round_out(u64 *start, u64 *end)
{
	u64 size = hm_size(hm_area_level(*start));

	*start &= -size;
	*end = (*end + size - 1) & -size;
}

static struct hm_vma *split_vma(struct hm_vma *vma, u64 addr)
{
	hm_split_if_needed(vma, addr);
	return hm_vma_split(vma, addr);
}

/* Splits the VMA so that the part returned lies in [start, end). */
struct hm_vma *hm_vma_isolate(struct hm_vma *vma, u64 start, u64 end)
{
	if (vma->start < start)
		vma = split_vma(vma, start);
	if (end < vma->end)
		split_vma(vma, end);
	return vma;
}

/* mmap_lock held for write; `retire`: device memory goes back to the device. */
void hm_do_munmap(u64 start, u64 end, bool retire)
{
	struct hm_vma *vmas[MOST_VMAS];
	int nr = hm_vma_overlapping(start, end, vmas);

	for (int i = 0; i < nr; i++)
		vmas[i] = hm_vma_isolate(vmas[i], start, end);
	if (!nr)
		return;
	for (int i = 0; i < nr; i++)
		hm_vma_remove(vmas[i]);
	hm_invalidate_start(start, end);
	for (int i = 0; i < nr; i++)
		hm_unmap_vma(vmas[i], vmas[i]->start, vmas[i]->end);
	hm_invalidate_end(start, end);
	hm_free_pgtables(start, end);
	for (int i = 0; i < nr; i++)
		if (retire && vmas[i]->flags & VM_PFNMAP)
			hm_device_retire((vmas[i]->start >> 12) + vmas[i]->pfn_delta,
					 (vmas[i]->end - vmas[i]->start) >> 12);
}

void hm_munmap(u64 start, u64 end)
{
	hm_round_out(&start, &end);
	hm_lock(&hm.mmap_lock);
	hm_do_munmap(start, end, true);
	hm_unlock(&hm.mmap_lock);
}

void hm_mmap(u64 start, u64 end)
{
	hm_round_out(&start, &end);
	hm_lock(&hm.mmap_lock);
	hm_do_munmap(start, end, true);
	hm_vma_insert(hm_new_vma(hm_area_kind(start), start, end));
	hm_vma_merge(start, end);
	hm_unlock(&hm.mmap_lock);
}

void hm_dontneed(u64 start, u64 end)
{
	struct hm_vma *vmas[MOST_VMAS];
	int nr;

	hm_round_out(&start, &end);
	hm_down_read(&hm.mmap_lock);
	nr = hm_vma_overlapping(start, end, vmas);
	for (int i = 0; i < nr; i++) {
		u64 first = later(start, vmas[i]->start), last = sooner(end, vmas[i]->end);

		if (vmas[i]->flags & VM_PFNMAP)
			break;
		hm_invalidate_start(first, last);
		hm_unmap_vma(vmas[i], first, last);
		hm_invalidate_end(first, last);
	}
	hm_up_read(&hm.mmap_lock);
}

void hm_thp_advice(u64 start, u64 end, bool on)
{
	struct hm_vma *vmas[MOST_VMAS];
	int nr, changed = 0;

	hm_lock(&hm.mmap_lock);
	nr = hm_vma_overlapping(start, end, vmas);
	for (int i = 0; i < nr; i++) {
		long flags = vmas[i]->flags;

		if (flags & (VM_HUGETLB | VM_PFNMAP))
			continue;
		flags = (flags & ~(VM_HUGEPAGE | VM_NOHUGEPAGE)) | (on ? VM_HUGEPAGE : VM_NOHUGEPAGE);
		if (flags != vmas[i]->flags) {
			vmas[changed] = hm_vma_isolate(vmas[i], start, end);
			vmas[changed++]->flags = flags;
		}
	}
	hm_vma_merge_all(vmas, changed);
	hm_unlock(&hm.mmap_lock);
}

/* pte_modify() with the VMA's page protection; private memory comes out read-only. */
static u64 modify(struct hm_vma *vma, u64 pte, int uffd)
{
	if (uffd && !(pte & PTE_HWPOISON))
		pte = uffd == UFFD_PROTECT ? pte | PTE_UFFD_WP : pte & ~PTE_UFFD_WP;
	if (pte & PTE_MIGRATION)
		return pte & ~PTE_WRITE;
	if (!(pte & PTE_MAPPED))
		return pte;
	return hm_remap(vma, pte & ~(PTE_MAPPED | PTE_WRITE));
}

/* False if there is no such entry any more. */
static bool change_huge(struct hm_vma *vma, u64 addr, int level, int uffd)
{
	struct hm_leaf leaf;
	bool there;

	hm_lock(&hm.ptl);
	leaf = hm_leaf(addr);
	there = leaf.level == level && leaf.pte;
	if (there) {
		hm_put_leaf(addr, level, modify(vma, leaf.pte, uffd));
		hm_note(addr, addr + hm_size(level));
	}
	hm_unlock(&hm.ptl);
	return there;
}

/* A THP that reclaim splits before it is changed is changed entry by entry. */
static void change_pmd(struct hm_vma *vma, u64 base, u64 start, u64 end, int uffd)
{
	struct hm_list list;

	if (hm_huge(base)) {
		if (!(start <= base && base + PMD_BYTES <= end))
			hm_split_huge_pmd(base);
		else if (change_huge(vma, base, 2, uffd) || !hm_table(base))
			return;
	}
	hm_lock(&hm.ptl);
	list = hm_mapped(later(base, start), sooner(base + PMD_BYTES, end));
	for (long i = 0; i < list.nr; i++) {
		u64 old = hm_leaf(list.at[i].addr).pte, pte = modify(vma, old, uffd);

		if (pte & PTE_MAPPED && vma->flags & VM_WRITE && !uffd && !(pte & PTE_UFFD_WP) && pte & PTE_DIRTY &&
		    (vma->flags & VM_SHARED || pte & PTE_EXCLUSIVE))
			pte |= PTE_WRITE;
		if (pte != old)
			hm_set_pte(list.at[i].addr, pte);
	}
	hm_unlock(&hm.ptl);
}

/* Gives entries of the VMA its permissions: a bracket for each 1G with page tables. */
void hm_change_protection(struct hm_vma *vma, u64 start, u64 end, int uffd)
{
	struct hm_list list;

	if (vma->level > 1) {
		hm_invalidate_start(start, end);
		list = hm_mapped(start, end);
		for (long i = 0; i < list.nr; i++)
			change_huge(vma, list.at[i].addr, list.at[i].level, uffd);
		hm_invalidate_end(start, end);
		return;
	}
	for (u64 pud = start & -PUD_BYTES; pud < end; pud += PUD_BYTES) {
		u64 first = later(start & -PMD_BYTES, pud), last = sooner(end, pud + PUD_BYTES);
		u64 here[PMD_PAGES];
		int nr = 0;

		for (u64 base = hm_next_populated(first, last); base < last;
		     base = hm_next_populated(base + PMD_BYTES, last))
			here[nr++] = base;
		if (!nr)
			continue;
		first = later(start, here[0]);
		hm_invalidate_start(first, last);
		for (int i = 0; i < nr; i++)
			change_pmd(vma, here[i], start, end, uffd);
		hm_invalidate_end(first, last);
	}
}

/* Stops at the first hole. */
void hm_mprotect(u64 start, u64 end, int prot)
{
	struct hm_vma *vmas[MOST_VMAS];
	u64 reached;
	int nr, changed = 0;

	hm_round_out(&start, &end);
	reached = start;
	hm_lock(&hm.mmap_lock);
	nr = hm_vma_overlapping(start, end, vmas);
	for (int i = 0; i < nr; i++) {
		struct hm_vma *vma = vmas[i];
		long flags = (vma->flags & ~(VM_READ | VM_WRITE)) | prot_flags[prot];

		if (vma->start > reached)
			break;
		reached = vma->end;
		if (flags != vma->flags) {
			vma = hm_vma_isolate(vma, start, end);
			vma->flags = flags;
			hm_change_protection(vma, vma->start, vma->end, 0);
			vmas[changed++] = vma;
		}
	}
	hm_vma_merge_all(vmas, changed);
	hm_unlock(&hm.mmap_lock);
}
