// SPDX-License-Identifier: GPL-2.0-only
/*
 * At the end: KVM's counters against its tables, roots and MMIO SPTEs that outlived what made them
 * obsolete, and what is left of a destroyed VM.  difffuzz/oracle/books.py in C.
 */
#include <stdlib.h>

#include "guest.h"
#include "play.h"

#define MMIO_GENERATIONS (1L << 19)

static bool is_live(long number)
{
	return number >= 0 && number < nr_tables && tables[number].live;
}

static long number_of(long pa)
{
	return (pa - (long)NATIVE_PAGES_PA) >> 12;
}

static void check_counters(const long *vm)
{
	long leaves[4] = { 0 }, tdp = 0, legacy = 0;

	for (long number = 0; number < nr_tables; number++) {
		const struct table *table = &tables[number];

		if (!table->live)
			continue;
		tdp += table->tdp && table->has_parent;
		legacy += !table->tdp;
		if (table->level > 3)
			continue;
		for (int i = tables_next(tables_raw(number), 0); i < 512; i = tables_next(tables_raw(number), i + 1))
			leaves[table->level] += tables_is_leaf(table, tables_entry(number, i));
	}
	if (leaves[1] != vm[VM_PAGES_4K] || leaves[2] != vm[VM_PAGES_2M] || leaves[3] != vm[VM_PAGES_1G])
		suspect("leaves are counted otherwise");
	if (tdp != vm[VM_TDP_PAGES] || legacy != vm[VM_USED_PAGES])
		suspect("MMU pages are counted otherwise");
	if (vm[VM_USED_PAGES] > vm[VM_MOST_PAGES] + 8)
		suspect("more MMU pages than the limit");
}

static void check_nx_list(const long *vm)
{
	long *list = hm_alloc((vm[VM_NX_LISTED] + 1) * sizeof(*list));
	long nr = native_nx_pages(list, vm[VM_NX_LISTED] + 1);

	for (long i = 0; i < nr; i++)
		if (!is_live(number_of(list[i])))
			suspect("a page table that was freed is to be recovered");
	if (nr != vm[VM_NX_SPLITS])
		suspect("NX splits are counted otherwise");
}

static void check_root(long hpa, long valid_gen)
{
	long sp[NR_SP_NUMBERS];

	if (hpa < 0)
		return;
	if (!native_page_is_live(number_of(hpa)))
		suspect("a root that was freed");
	if (!native_shadow_page(number_of(hpa), sp))
		return;
	if (sp[SP_INVALID] || (!sp[SP_TDP] && sp[SP_VALID_GEN] != valid_gen))
		suspect("a vCPU holds an obsolete root");
}

static void check_roots(const long *vm)
{
	long vcpu[NR_VCPU_NUMBERS];

	for (int i = 0; i < gm_nr_vcpus; i++) {
		native_vcpu_numbers(i, vcpu);
		if (vcpu[VCPU_REQUESTS] >> native_request_bit() & 1)
			continue;
		check_root(vcpu[VCPU_ROOT], vm[VM_VALID_GEN]);
		for (int prev = 0; prev < NR_VCPU_NUMBERS - VCPU_PREV_ROOTS; prev++)
			check_root(vcpu[VCPU_PREV_ROOTS + prev], vm[VM_VALID_GEN]);
	}
}

/* No MMIO SPTE is of a generation to come. */
static void check_mmio(const long *vm)
{
	unsigned long masks[8];

	native_masks(masks);
	if (!masks[5])
		return;
	for (long number = 0; number < nr_tables; number++) {
		const unsigned long *raw = tables_raw(number);

		if (!tables[number].live)
			continue;
		for (int i = tables_next(raw, 0); i < 512; i = tables_next(raw, i + 1)) {
			u64 spte = tables_entry(number, i);
			long generation = (spte >> 3 & 0xff) | (spte >> 52 & 0x7ff) << 8;

			if (spte & SPTE_PRESENT || (spte & masks[3]) != masks[4])
				continue;
			if (generation > vm[VM_GENERATION0 + tables[number].as_id] % MMIO_GENERATIONS)
				suspect("an MMIO SPTE outlived the wrap of the generation");
		}
	}
}

void books_check(void)
{
	long vm[NR_VM_NUMBERS];

	native_vm_numbers(vm);
	check_counters(vm);
	check_nx_list(vm);
	check_roots(vm);
	check_mmio(vm);
}

void books_check_leaks(void)
{
	long vm[NR_VM_NUMBERS], leaks[3], root;

	native_vm_numbers(vm);
	native_leaks(leaks);
	for (long number = 0; number < nr_tables; number++)
		if (tables[number].live)
			suspect("page tables are left");
	if (native_tdp_roots(&root, 1))
		suspect("roots are left");
	if (vm[VM_USED_PAGES] || vm[VM_TDP_PAGES] || vm[VM_NX_SPLITS] || leaks[1])
		suspect("MMU pages are left");
	if (vm[VM_PAGES_4K] || vm[VM_PAGES_2M] || vm[VM_PAGES_1G])
		suspect("page statistics are left");
	if (hm_frames_leaked())
		suspect("references to the host's pages are left");
}
