// SPDX-License-Identifier: GPL-2.0-only
/*
 * At the end: KVM's counters against its tables, roots and MMIO SPTEs that outlived what made them
 * obsolete, and what is left of a destroyed VM.  difffuzz/oracle/bookkeeping.py in C.
 */
#include <stdlib.h>

#include "guest.h"
#include "play.h"

/* Where bit 51 makes an MMIO SPTE, a gpa has fewer bits. */
#define MMIO_GFN ((1UL << 40) - 1)

static bool is_live(long number)
{
	return number >= 0 && number < nr_tables && tables[number].live;
}

static long number_of(long pa)
{
	return (pa - (long)NATIVE_PAGES_PA) >> 12;
}

static void check_counters(const struct native_vm *vm)
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
	if (leaves[1] != vm->pages_4k || leaves[2] != vm->pages_2m || leaves[3] != vm->pages_1g)
		suspect("leaves are counted otherwise");
	if (tdp != vm->tdp_mmu_pages || legacy != vm->n_used_mmu_pages)
		suspect("MMU pages are counted otherwise");
	if (vm->n_used_mmu_pages > vm->n_max_mmu_pages + 8)
		suspect("more MMU pages than the limit");
}

static void check_nx_list(const struct native_vm *vm)
{
	long *list = hm_alloc((vm->nx_listed + 1) * sizeof(*list));
	long nr = native_nx_pages(list, vm->nx_listed + 1);

	for (long i = 0; i < nr; i++)
		if (!is_live(number_of(list[i])))
			suspect("a page table that was freed is to be recovered");
	if (nr != vm->nx_lpage_splits)
		suspect("NX splits are counted otherwise");
}

static void check_counts(void)
{
	struct native_counts counts;

	native_counts(&counts);
	if (counts.nx_legacy_counted != counts.nx_legacy_listed || counts.nx_tdp_counted != counts.nx_tdp_listed)
		suspect("a list of NX splits is counted otherwise");
	if (counts.logging_counted != counts.logging_there || counts.pages_counted != counts.pages_there)
		suspect("memslots are counted otherwise");
}

static void check_root(long hpa, long valid_gen)
{
	struct native_sp sp;

	/* None, or one that maps nothing. */
	if (hpa < 0 || hpa >> 12 == HM_ZERO_PFN)
		return;
	if (!native_page_is_live(number_of(hpa)))
		suspect("a root that was freed");
	if (!native_shadow_page(number_of(hpa), &sp))
		return;
	if (sp.invalid || (!sp.tdp_mmu_page && sp.mmu_valid_gen != valid_gen))
		suspect("a vCPU holds an obsolete root");
}

static void check_roots(const struct native_vm *vm)
{
	struct native_vcpu vcpu;
	const int nr_prev = sizeof(vcpu.prev_roots) / sizeof(*vcpu.prev_roots);

	for (int i = 0; i < gm_nr_vcpus; i++) {
		native_vcpu_numbers(i, &vcpu);
		if (vcpu.requests >> native_request_bit() & 1)
			continue;
		check_root(vcpu.root_hpa, vm->mmu_valid_gen);
		for (int prev = 0; prev < nr_prev; prev++)
			check_root(vcpu.prev_roots[prev], vm->mmu_valid_gen);
	}
}

/* The gfn and the access in an MMIO SPTE are those of its place. */
static void check_mmio_spte(const struct table *table, int index, u64 spte, const struct native_masks *masks)
{
	const u64 access = PT_WRITABLE_MASK | PT_USER_MASK;

	if (table->level != 1)
		suspect("an MMIO SPTE that is of no page");
	if ((spte >> 12 & MMIO_GFN & ~(masks->shadow_mmio_mask >> 12)) != table->gfn + index)
		suspect("an MMIO SPTE is for another gfn");
	if (!(masks->shadow_mmio_value & access) && (spte & access) != access)
		suspect("an MMIO SPTE is for some accesses only");
}

/* Two parts of it, the low one first. */
static long mmio_generation(const struct native_masks *masks, u64 spte)
{
	u64 low = masks->mmio_gen_low_mask, high = masks->mmio_gen_high_mask;

	return (spte & low) >> __builtin_ctzl(low) |
	       (spte & high) >> __builtin_ctzl(high) << __builtin_popcountl(low);
}

/* No MMIO SPTE is of a generation to come. */
static void check_mmio(const struct native_vm *vm)
{
	struct native_masks masks;

	native_masks(&masks);
	if (!masks.enable_mmio_caching)
		return;
	for (long number = 0; number < nr_tables; number++) {
		const unsigned long *raw = tables_raw(number);

		if (!tables[number].live)
			continue;
		for (int i = tables_next(raw, 0); i < 512; i = tables_next(raw, i + 1)) {
			u64 spte = tables_entry(number, i);
			long generation = mmio_generation(&masks, spte);

			if (spte & SPTE_MMU_PRESENT_MASK || (spte & masks.shadow_mmio_mask) != masks.shadow_mmio_value)
				continue;
			if (generation > (vm->generations[tables[number].as_id] & (long)masks.mmio_gen_mask))
				suspect("an MMIO SPTE outlived the wrap of the generation");
			check_mmio_spte(&tables[number], i, spte, &masks);
		}
	}
}

void books_check(void)
{
	struct native_vm vm;

	native_vm_numbers(&vm);
	check_counters(&vm);
	check_nx_list(&vm);
	check_counts();
	check_roots(&vm);
	if (!play_config->guest)
		check_mmio(&vm);
}

void books_check_leaks(void)
{
	struct native_vm vm;
	struct native_left left;
	long root;

	native_vm_numbers(&vm);
	native_leaks(&left);
	for (long number = 0; number < nr_tables; number++)
		if (tables[number].live)
			suspect("page tables are left");
	if (native_tdp_roots(&root, 1))
		suspect("roots are left");
	if (vm.n_used_mmu_pages || vm.tdp_mmu_pages || vm.nx_lpage_splits || left.zapped_obsolete_pages)
		suspect("MMU pages are left");
	if (vm.pages_4k || vm.pages_2m || vm.pages_1g)
		suspect("page statistics are left");
	if (hm_frames_leaked())
		suspect("references to the host's pages are left");
	/* The last of all: who was told of it before goes on (engine/fast_lockstep.py). */
	if (left.unprotected_reads)
		suspect("memslots were read without SRCU");
}
