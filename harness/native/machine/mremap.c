// SPDX-License-Identifier: GPL-2.0-only
/* mm/mremap.c: part of an area moves to another address in it, with its pages. */
#include <errno.h>

#include "machine.h"

static void unmerge_ksm_pages(u64 start, u64 end)
{
	struct hm_list list;

	if (!hm.nr_ksm)
		return;
	list = hm_mapped(start, end);
	for (long i = 0; i < list.nr; i++)
		if (list.at[i].level == 1 && hm_is_ksm(hm_page(list.at[i].addr) >> 12))
			hm_break_ksm(list.at[i].addr);
}

static void note_both(u64 old, u64 new, u64 size)
{
	hm_note(old, old + size);
	hm_note(new, new + size);
}

static void note_base(struct hm_run *run, u64 base)
{
	int at = run->nr_moved;

	for (int i = 0; i < run->nr_moved; i++)
		if (run->moved[i] == base)
			return;
	if (at == sizeof(run->moved) / sizeof(*run->moved))
		hm_give_up("a huge page is in too many places");
	for (; at && run->moved[at - 1] > base; at--)
		run->moved[at] = run->moved[at - 1];
	run->moved[at] = base;
	run->nr_moved++;
}

/* The reverse map: where a part of a THP is, and a KSM page that could not be copied. */
static void note_moved(u64 pte, u64 old, u64 new)
{
	struct hm_run *run = pte & PTE_MAPPED ? hm_run(pte >> 12) : NULL;
	int before = hm.nr_ksm;

	if (!(pte & PTE_MAPPED))
		return;
	if (run && !run->split) {
		note_base(run, old - (((pte >> 12) - run->head) << 12));
		note_base(run, new - (((pte >> 12) - run->head) << 12));
	}
	hm_ksm_remove(pte >> 12, old);
	if (hm.nr_ksm != before)
		hm_ksm_add(pte >> 12, new);
}

static void move_huge_pmd(u64 old, u64 new)
{
	u64 pte;

	hm_lock(&hm.ptl);
	pte = hm_huge(old);
	hm_set_huge(old, 0);
	hm_set_huge(new, pte & ~PTE_UFFD_WP);
	note_both(old, new, PMD_BYTES);
	hm_unlock(&hm.ptl);
}

static void move_ptes(u64 old, u64 end, u64 new)
{
	struct hm_list list;

	hm_lock(&hm.ptl);
	hm_make_table(new);
	list = hm_mapped(old, end);
	for (long i = 0; i < list.nr; i++) {
		u64 addr = list.at[i].addr, to = new + addr - old, pte = hm_leaf(addr).pte;

		hm_set_pte(addr, 0);
		hm_set_pte(to, pte & ~PTE_UFFD_WP);
		note_moved(pte, addr, to);
	}
	hm_unlock(&hm.ptl);
}

static void move_normal_pmd(u64 old, u64 new)
{
	struct hm_table *table;

	hm_lock(&hm.ptl);
	table = hm_table(old);
	hm_make_table(new);
	hm_set_table(new, table);
	hm_set_table(old, NULL);
	for (int i = 0; i < 512; i++)
		note_moved(table->pte[i], old + i * PAGE_BYTES, new + i * PAGE_BYTES);
	note_both(old, new, PMD_BYTES);
	hm_unlock(&hm.ptl);
}

static u64 rest_of_pmd(u64 addr)
{
	return PMD_BYTES - addr % PMD_BYTES;
}

/* `whole`: page tables may move as they are; under a userfaultfd their entries change. */
static void move_page_tables(u64 start, u64 end, u64 to, bool whole)
{
	u64 step;

	hm_invalidate_start(start, end);
	for (u64 old = start, new = to; old < end; old += step, new += step) {
		step = end - old;
		if (step > rest_of_pmd(old))
			step = rest_of_pmd(old);
		if (step > rest_of_pmd(new))
			step = rest_of_pmd(new);
		if (hm_huge(old)) {
			if (step == PMD_BYTES) {
				move_huge_pmd(old, new);
				continue;
			}
			hm_split_huge_pmd(old);
		} else if (!hm_table(old)) {
			continue;
		} else if (step == PMD_BYTES && whole) {
			move_normal_pmd(old, new);
			continue;
		}
		move_ptes(old, old + step, new);
	}
	hm_invalidate_end(start, end);
}

static void move_hugetlb_page_tables(u64 start, u64 end, u64 to)
{
	struct hm_list list;

	hm_invalidate_start(start, end);
	list = hm_mapped(start, end);
	for (long i = 0; i < list.nr; i++) {
		u64 addr = list.at[i].addr, new = to + addr - start, pte;
		int level = list.at[i].level;

		hm_lock(&hm.ptl);
		pte = hm_leaf(addr).pte;
		hm_put_leaf(addr, level, 0);
		hm_put_leaf(new, level, pte);
		note_both(addr, new, hm_size(level));
		hm_unlock(&hm.ptl);
	}
	hm_invalidate_end(start, end);
}

/* Moves the part [start, end) of the VMA; with `dontunmap` the old range stays, empty. */
static void move_vma(struct hm_vma *vma, u64 start, u64 end, u64 to, bool dontunmap)
{
	struct hm_vma *new = hm_alloc(sizeof(*new));

	unmerge_ksm_pages(start, end);
	*new = *vma;
	new->start = to;
	new->end = to + end - start;
	new->flags &= ~UFFD_FLAGS;	/* a userfaultfd does not follow */
	if (vma->anon_vma || !hm_vma_anonymous(vma))
		new->pfn_delta += (long)(start - to) >> 12;
	hm_vma_insert(new);
	hm_lock(&hm.page_lock);
	if (vma->level > 1)
		move_hugetlb_page_tables(start, end, to);
	else
		move_page_tables(start, end, to, new->flags == vma->flags);
	hm_unlock(&hm.page_lock);
	if (!dontunmap)
		hm_do_munmap(start, end, false);
	else if (vma->start == start && vma->end == end)
		vma->anon_vma = false;
	hm_vma_merge(to, to + end - start);
}

/* The new place is unmapped before the old one is looked at. */
static long mremap_to(u64 start, u64 length, u64 to, bool dontunmap)
{
	struct hm_vma *vma = hm_vma_find(start);
	u64 size;

	if (!vma)
		return -EFAULT;
	size = hm_size(vma->level);
	length = (length + size - 1) & -size;
	if (start % size || to % size || (vma->flags & VM_SHARED && !(vma->flags & VM_PFNMAP)))
		return -EINVAL;
	if (start < to + length && to < start + length)
		return -EINVAL;
	hm_do_munmap(to, to + length, true);
	vma = hm_vma_find(start);
	if (dontunmap && (vma->level > 1 || vma->flags & VM_PFNMAP))
		return -EINVAL;
	if (length > vma->end - start)
		return -EFAULT;
	move_vma(vma, start, start + length, to, dontunmap);
	return 0;
}

long hm_mremap(u64 start, u64 end, u64 to, bool dontunmap)
{
	long answer;

	hm_lock(&hm.mmap_lock);
	answer = mremap_to(start, end - start, to, dontunmap);
	hm_unlock(&hm.mmap_lock);
	return answer;
}
