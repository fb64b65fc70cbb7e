// SPDX-License-Identifier: GPL-2.0-only
/* mm/migrate.c: moving pages to other frames.  A pinned page stays where it is. */
#include "machine.h"

/* Every hva that maps the page, ascending: several for a KSM page. */
int hm_rmap_addresses(u64 addr, u64 pfn, u64 *out)
{
	int nr = hm_ksm_addresses(pfn, out);

	if (nr)
		return nr;
	out[0] = addr;
	return 1;
}

/* Turns the entry into a migration entry inside its own bracket. */
static void try_to_migrate(u64 addr, int level, u64 pfn)
{
	u64 end = addr + hm_size(level);
	struct hm_leaf leaf;

	hm_invalidate_start(addr, end);
	hm_lock(&hm.ptl);
	leaf = hm_leaf(addr);
	if (leaf.level == level && leaf.pte & PTE_MAPPED && leaf.pte >> 12 == pfn) {
		hm_put_leaf(addr, level, (leaf.pte & ~PTE_MAPPED) | PTE_MIGRATION);
		hm_note(addr, end);
	}
	hm_unlock(&hm.ptl);
	hm_invalidate_end(addr, end);
}

/* The child and the page cache follow the page. */
static void move_other_owners(u64 addr, int level, u64 old, u64 new)
{
	int count = hm_child_unmap(old, level);
	u64 cached = hm_cached(addr);

	for (int i = 0; i < count; i++) {
		if (level > 1)
			hm_map_run(new);
		else
			hm_map_page(new);
	}
	if (count && level > 1)
		hm_child_add_run(hm_run(new), count);
	else if (count)
		hm_child_add_page(new, count);
	if (level == 2 && cached & PTE_MAPPED && cached >> 12 == old) {
		for (u64 page = 0; page < PMD_PAGES; page++)
			hm_set_cached(addr + page * PAGE_BYTES, (new + page) << 12 | (cached & PTE_FLAGS));
		hm_map_run(new);
		hm_unmap_run(old);
	}
	if (level == 1 && cached & PTE_MAPPED && cached >> 12 == old) {
		hm_set_cached(addr, new << 12 | (cached & PTE_FLAGS));
		hm_map_page(new);
		hm_unmap_page(old);
	}
}

/* Maps `new` where the migration entry of `old` still is; true if it was. */
static bool remove_migration_entry(u64 addr, int level, u64 old, u64 new)
{
	struct hm_leaf leaf;
	u64 flags;

	if (level == 1)
		return hm_remove_migration_pte(addr, old, new);
	if (level == 2 && hm_table(addr)) {
		/* It was split meanwhile and gets its own pages back. */
		for (u64 page = 0; page < PMD_PAGES; page++)
			hm_remove_migration_pte(addr + (page << 12), old + page, old + page);
		return false;
	}
	leaf = hm_leaf(addr);
	if (leaf.level != level || !(leaf.pte & PTE_MIGRATION) || leaf.pte >> 12 != old)
		return false;
	flags = hm_remap(hm_vma_find(addr), leaf.pte & PTE_FLAGS & ~PTE_MIGRATION);
	hm_put_leaf(addr, level, new << 12 | flags | PTE_HUGE);
	hm_note(addr, addr + hm_size(level));
	return true;
}

static void move_entry(u64 addr, int level, u64 old, u64 new)
{
	if (!remove_migration_entry(addr, level, old, new))
		return;
	if (level > 1)
		hm_map_run(new);
	else
		hm_map_page(new);
	if (hm_is_ksm(old))
		hm_ksm_add(new, addr);
	hm_unmap_entry(addr, level, old << 12);
}

/* Copies the page and maps the copy, or the page itself again if somebody has it pinned. */
static void move_to_new_folio(const u64 *addrs, int nr, int level, u64 old)
{
	bool split = level == 2 && hm_table(addrs[0]);
	struct hm_run *run = level > 1 ? hm_run(old) : NULL;
	u64 new;

	if (!split && !hm_page_count(old))
		return;
	if (split || (run ? run->pins : hm_pins(old))) {
		for (int i = 0; i < nr; i++) {
			hm_lock(&hm.ptl);
			remove_migration_entry(addrs[i], level, old, old);
			hm_unlock(&hm.ptl);
		}
		return;
	}
	new = hm_frame_alloc(hm_size(level) >> 12);
	if (level > 1)
		hm_copy_run(old, new);
	else
		hm_set_data(new, hm_data(old));
	hm_copy_flags(old, new);
	move_other_owners(addrs[0], level, old, new);
	for (int i = 0; i < nr; i++) {
		hm_lock(&hm.ptl);
		move_entry(addrs[i], level, old, new);
		hm_unlock(&hm.ptl);
	}
	if (level > 1)
		hm_unmap_run(new);
	else
		hm_unmap_page(new);
}

static void migrate_page(u64 addr, int level)
{
	u64 addrs[MOST_KSM];
	struct hm_leaf leaf;
	int nr;

	hm_lock(&hm.page_lock);
	leaf = hm_leaf(addr);
	/* A huge page of the page cache that is mapped in parts stays where it is. */
	if (leaf.level == level && leaf.pte & PTE_MAPPED && !(leaf.pte & PTE_SPECIAL) &&
	    !(level == 1 && hm_cached(addr) && hm_whole_run(leaf.pte >> 12))) {
		nr = hm_rmap_addresses(addr, leaf.pte >> 12, addrs);
		for (int i = 0; i < nr; i++)
			try_to_migrate(addrs[i], level, leaf.pte >> 12);
		hm_point();
		move_to_new_folio(addrs, nr, level, leaf.pte >> 12);
	}
	hm_unlock(&hm.page_lock);
}

/* move_pages(2), or compaction, of what is mapped in the range. */
void hm_migrate(u64 start, u64 end)
{
	struct hm_list list;

	hm_round_out(&start, &end);
	list = hm_mapped(start, end);
	for (long i = 0; i < list.nr; i++)
		migrate_page(list.at[i].addr, list.at[i].level);
}
