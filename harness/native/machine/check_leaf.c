// SPDX-License-Identifier: GPL-2.0-only
/*
 * One leaf against the memslots and the host's page table: translation, permission, level, and its
 * bit of the dirty log.  difffuzz/oracle/pages.py in C.
 */
#include "play.h"

static u64 exec_mask, exec_value;

void leaf_init(void)
{
	struct native_masks masks;

	native_masks(&masks);
	exec_mask = masks.shadow_x_mask | masks.shadow_nx_mask;
	exec_value = masks.shadow_x_mask;
}

/* A writable leaf in a slot that logs dirty pages must be a 4K page that is marked dirty. */
static void check_dirty(const struct map_slot *slot, u64 gfn, int level)
{
	struct native_slot kvm_slot;
	u64 rel;

	if (level > 1) {
		if (!play_config->dirty_log_init_set)
			suspect("huge and writable while logging");
		return;
	}
	/* With PML the CPU logs the first write, by the SPTE's dirty bit. */
	if (play_config->pml)
		return;
	if (!native_memslot(slot->as_id, slot->slot, &kvm_slot) || !kvm_slot.dirty_bitmap)
		return;
	rel = gfn - kvm_slot.base_gfn;
	if (rel >= (u64)kvm_slot.npages)
		suspect("a leaf outside of its memslot");
	if (!(kvm_slot.dirty_bitmap[rel >> 6] >> (rel & 63) & 1))
		suspect("writable, not marked dirty");
}

static void check_writable(const struct map_slot *slot, u64 gfn, int level, u64 pte, bool made)
{
	if (slot->flags & SLOT_READONLY)
		suspect("writable in a read-only memslot");
	if (!(pte & PTE_WRITE))
		suspect("writable, but read-only on the host");
	if (level == 1 && made ? map_tracked(slot->as_id, gfn) :
				 map_tracked_in(slot, gfn, gfn + level_pages(level)))
		suspect("writable, but tracked");
	if (slot->flags & SLOT_DIRTY_LOG)
		check_dirty(slot, gfn, level);
}

/* `made`: it was made writable just now, so that tracking in the other address space counts too. */
void leaf_check(int as_id, u64 gfn, u64 spte, int level, bool made)
{
	const struct map_slot *slot = map_slot_at(as_id, gfn);
	u64 pages = level_pages(level), pte;

	if (!slot || gfn + pages > slot->end)
		suspect("a leaf where no memslot is");
	pte = hm_lookup(map_hva(slot, gfn));
	if (!pte || pte >> 12 != spte_pfn(spte))
		suspect("a leaf maps another page than the host");
	if (level > 1 && level > hm_mapping_level(map_hva(slot, gfn)))
		suspect("a leaf is larger than the host's own mapping");
	if (level > 1) {
		pte = hm_lookup(map_hva(slot, gfn + pages - 1));
		if (!pte || pte >> 12 != spte_pfn(spte) + pages - 1)
			suspect("a huge leaf ends with another page than the host's");
	}
	if (level > 1 && map_nx && (spte & exec_mask) == exec_value)
		suspect("huge and executable under the NX mitigation");
	if (spte & PT_WRITABLE_MASK)
		check_writable(slot, gfn, level, hm_lookup(map_hva(slot, gfn)), made);
}

/* The level at which `gfn` should be mapped. */
int leaf_max_level(const struct map_slot *slot, u64 gfn)
{
	int limit = play_config->max_level, level = hm_mapping_level(map_hva(slot, gfn));

	if (slot->flags & SLOT_DIRTY_LOG)
		return 1;
	if (!play_config->tdp && limit > 2)
		limit = 2;
	if (level > limit)
		level = limit;
	for (; level > 1; level--) {
		u64 pages = level_pages(level), first = gfn & -pages;
		bool congruent = !((slot->gfn ^ slot->base_hva >> 12) & (pages - 1));

		if (congruent && slot->gfn <= first && first + pages <= slot->end &&
		    !map_tracked_in(slot, first, first + pages))
			break;
	}
	return level;
}

void leaf_check_gfns(int as_id, u64 start, u64 end)
{
	struct mapping *found;
	long nr = tables_leaves_in(as_id, start, end, &found);

	for (long i = 0; i < nr; i++)
		leaf_check(as_id, found[i].gfn, found[i].spte, found[i].level, false);
}

/* Every present leaf of every page table. */
void leaf_check_all(void)
{
	for (long number = 0; number < nr_tables; number++) {
		const struct table *table = &tables[number];
		const unsigned long *raw = tables_raw(number);

		if (!table->live)
			continue;
		for (int i = tables_next(raw, 0); i < 512; i = tables_next(raw, i + 1)) {
			u64 spte = tables_entry(number, i);

			if (tables_is_leaf(table, spte))
				leaf_check(table->as_id, table->gfn + ((u64)i << 9 * (table->level - 1)), spte,
					   table->level, false);
		}
	}
}
