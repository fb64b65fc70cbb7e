// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadow pages of a guest's page tables, checked as tables: what is not unsync follows the guest's
 * table, which nothing maps writable.  difffuzz/oracle/guest_shadow.py in C.
 */
#include "paging.h"

#define W 2UL
#define A (1UL << 5)
#define ADDRESS ((1UL << 52) - (1UL << 12))
#define MOST_SYNCED 1024

static u64 synced[MOST_SYNCED];	/* pfns of tables that are shadowed and in sync */
static int nr_synced;

static u64 pte_of(u64 gfn)
{
	const struct map_slot *slot = map_slot_at(0, gfn);

	return slot ? hm_lookup(map_hva(slot, gfn)) : 0;
}

/* `entry`: the guest's; `writable`: the bits that let it be mapped writable. */
static void check_entry(u64 entry, u64 writable, u64 spte)
{
	bool by_kernel = spec_exempts && (entry & (A | W)) == A;

	if (!(entry & spec_present))
		suspect("a shadow page has what the guest's table has not");
	if (pte_of((entry & ADDRESS) >> 12) >> 12 != (spte & SPTE_BASE_ADDR_MASK) >> 12)
		suspect("a shadow page maps another page than the guest's table");
	if (spte & PT_WRITABLE_MASK && (entry & writable) != writable && !by_kernel)
		suspect("a shadow page is writable, the guest's entry is not");
}

/* The entries of a shadow page of leaves against the guest's. */
static void check_entries(long number, u64 gfn)
{
	const unsigned long *raw = tables_raw(number);
	long content;
	bool readable = spec_content(gfn, &content);
	/* Where KVM may not write there are no dirty bits. */
	u64 writable = spec_writable_bit | (spec_writable(gfn) ? spec_dirty : 0);

	for (int i = tables_next(raw, 0); i < 512; i = tables_next(raw, i + 1)) {
		u64 spte = tables_entry(number, i);

		if (spte & SPTE_MMU_PRESENT_MASK)
			check_entry(readable ? content_word(content, i) : 0, writable, spte);
	}
}

/* The entries of an upper shadow page point to those of the tables that the guest's do. */
static void check_links(long number, u64 gfn)
{
	const unsigned long *raw = tables_raw(number);
	struct native_sp child;
	long content;
	bool readable = spec_content(gfn, &content);

	for (int i = tables_next(raw, 0); i < 512; i = tables_next(raw, i + 1)) {
		u64 spte = tables_entry(number, i), entry = readable ? content_word(content, i) : 0;
		long below = ((long)(spte & SPTE_BASE_ADDR_MASK) - (long)NATIVE_PAGES_PA) >> 12;

		if (!(spte & SPTE_MMU_PRESENT_MASK) || spte & PT_PAGE_SIZE_MASK)
			continue;
		if (!(entry & spec_present))
			suspect("a shadow page has a table that the guest's has not");
		if (below < 0 || below >= nr_tables || !tables[below].live)
			suspect("a table that is linked was freed");
		if (!(entry & PT_PAGE_SIZE_MASK) && native_shadow_page(below, &child) &&
		    (u64)child.gfn != (entry & ADDRESS) >> 12)
			suspect("a shadow page has another table than the guest's");
	}
}

/* No leaf maps a table that is shadowed and in sync writable. */
static void check_leaves(long number, int level)
{
	const unsigned long *raw = tables_raw(number);
	u64 pages = level_pages(level);

	for (int i = tables_next(raw, 0); i < 512; i = tables_next(raw, i + 1)) {
		u64 spte = tables_entry(number, i), first = spte_pfn(spte) & -pages;

		if (!tables_is_leaf(&tables[number], spte) || !(spte & PT_WRITABLE_MASK))
			continue;
		for (int table = 0; table < nr_synced; table++)
			if (first <= synced[table] && synced[table] < first + pages)
				suspect("a table that is shadowed and in sync is mapped writable");
	}
}

static bool in_use(long number, struct native_sp *sp)
{
	return tables[number].live && native_shadow_page(number, sp) && !sp->invalid &&
	       sp->mmu_valid_gen == check_vm.mmu_valid_gen;
}

/* All shadow pages that are in use. */
void check_shadow(void)
{
	struct native_sp sp;

	native_vm_numbers(&check_vm);
	spec_look_anew();
	nr_synced = 0;
	for (long number = 0; number < nr_tables; number++) {
		u64 pte;

		if (!in_use(number, &sp) || sp.direct || sp.unsync)
			continue;
		pte = pte_of(sp.gfn);
		if (pte && nr_synced == MOST_SYNCED)
			hm_give_up("too many shadow pages");
		if (pte)
			synced[nr_synced++] = pte >> 12;
		if (sp.level == 1)
			check_entries(number, sp.gfn);
	}
	for (long number = 0; number < nr_tables; number++)
		if (in_use(number, &sp))
			check_leaves(number, sp.level);
	for (long number = 0; number < nr_tables; number++)
		if (in_use(number, &sp) && !sp.direct && !sp.unsync && sp.level > 1)
			check_links(number, sp.gfn);
}
