// SPDX-License-Identifier: GPL-2.0-only
/* kernel/fork.c: a child process that shares private memory copy-on-write, and never runs. */
#include "machine.h"

#define COW (PTE_WRITE | PTE_EXCLUSIVE)

/* The child drops all it has. */
void hm_child_exit(void)
{
	for (int i = 0; i < hm.nr_child_runs; i++)
		for (struct hm_run *run = hm.child_runs[i]; run->child; run->child--)
			hm_unmap_run(run->head);
	for (long i = 0; i < hm.nr_child_pages; i++)
		for (struct hm_frame *frame = hm_frame(hm.child_pages[i]); frame->child; frame->child--)
			hm_unmap_page(hm.child_pages[i]);
	for (long number = 1; number < hm.next_slot; number++)
		for (; hm.swap[number].child; hm.swap[number].child--)
			hm_swap_free(number);
	hm.nr_child_runs = hm.nr_child_pages = 0;
}

/* One entry for the child; a page under migration is only write-protected. */
static void copy_pte(u64 addr, int level, u64 pte)
{
	u64 number = pte >> 12;

	if (pte & PTE_SWAP) {
		hm.swap[number].count++;
		hm.swap[number].child++;
	} else if (level > 1 && pte & PTE_MAPPED) {
		hm_map_run(number);
		hm_child_add_run(hm_run(number), 1);
	} else if (pte & PTE_MAPPED && !(pte & PTE_SPECIAL)) {
		hm_map_page(number);
		hm_child_add_page(number, 1);
	}
	if (pte & COW) {
		hm_put_leaf(addr, level, pte & ~COW);
		hm_note(addr, addr + hm_size(level));
	}
}

/* A THP that reclaim splits before its turn is copied entry by entry. */
static void copy_page_range(u64 start, u64 end)
{
	struct hm_list list = hm_mapped(start, end);
	u64 table = -1UL;

	for (long i = 0; i < list.nr; i++) {
		u64 addr = list.at[i].addr;
		struct hm_leaf leaf;

		if (addr >> 21 != table) {
			table = addr >> 21;
			hm_point();
		}
		hm_lock(&hm.ptl);
		leaf = hm_leaf(addr);
		if (leaf.level == list.at[i].level && leaf.pte & (PTE_MAPPED | PTE_SWAP | PTE_MIGRATION))
			copy_pte(addr, leaf.level, leaf.pte);
		hm_unlock(&hm.ptl);
		if (leaf.level < list.at[i].level && hm_table(addr))
			copy_page_range(addr, addr + PMD_BYTES);
	}
}

/* fork(2) with all but [start, end) left out: one bracket for each private VMA. */
void hm_fork(u64 start, u64 end)
{
	struct hm_vma *vmas[MOST_VMAS];
	int nr;

	hm_round_out(&start, &end);
	hm_lock(&hm.mmap_lock);
	hm_child_exit();
	nr = hm_vma_overlapping(start, end, vmas);
	for (int i = 0; i < nr; i++) {
		struct hm_vma *vma = vmas[i];
		u64 first = start > vma->start ? start : vma->start;
		u64 last = end < vma->end ? end : vma->end;

		if (vma->flags & VM_SHARED || !vma->anon_vma)
			continue;
		if (first % PMD_BYTES && vma->level == 1 && hm_huge(first))
			hm_split_huge_pmd(first);
		if (last % PMD_BYTES && vma->level == 1 && hm_huge(last))
			hm_split_huge_pmd(last);
		hm_invalidate_start(first, last);
		copy_page_range(first, last);
		hm_invalidate_end(first, last);
	}
	hm_unlock(&hm.mmap_lock);
}
