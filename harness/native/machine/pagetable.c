// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's page table: three levels of leaves.  The levels from which the kernel reads how large
 * a page is are kept in its own tables too (kernel/host.c).
 */
#include <string.h>

#include "machine.h"

/* Outlives a reset: what was used is cleared before the next program. */
struct pmds {
	struct hm_table *tables[HM_PMDS];
	u64 huge[HM_PMDS];
	u64 used[HM_PMDS / 64];		/* a bit for each that was not empty once */
};

struct area {
	struct pmds *of;
	struct hm_table **tables;
	u64 *huge;
	u64 populated[HM_PMDS / 64];	/* a bit for each pmd with a table or a leaf */
	u64 gig[HM_PUDS];
	bool pmd_pages[HM_PUDS];
	u64 *pmds, *puds;		/* the kernel's */
	u64 pmd_tables[HM_PUDS];	/* what a pud entry is that is no leaf */
};

static struct area areas[HM_AREAS];

/* Once, before the snapshot. */
void hm_map_page_table(void)
{
	for (int i = 0; i < HM_AREAS; i++)
		areas[i].of = native_alloc_for_good(sizeof(struct pmds));
}

static void empty(struct pmds *of)
{
	for (int word = 0; word < HM_PMDS / 64; word++)
		for (; of->used[word]; of->used[word] &= of->used[word] - 1) {
			int pmd = word * 64 + __builtin_ctzl(of->used[word]);

			of->tables[pmd] = NULL;
			of->huge[pmd] = 0;
		}
}

void hm_init_page_table(void)
{
	struct native_host_tables where[HM_AREAS];

	native_host_tables(where);
	for (int i = 0; i < HM_AREAS; i++) {
		empty(areas[i].of);
		areas[i].tables = areas[i].of->tables;
		areas[i].huge = areas[i].of->huge;
		areas[i].puds = where[i].puds;
		areas[i].pmds = where[i].pmds;
		for (int pud = 0; pud < HM_PUDS; pud++)
			areas[i].pmd_tables[pud] = areas[i].puds[pud];
	}
}

bool hm_valid(u64 addr)
{
	u64 area = addr >> 40;

	return area >= 1 && area <= HM_AREAS && (addr & ((1UL << 40) - 1)) < HM_AREA_PAGES << 12;
}

static struct area *area_of(u64 addr)
{
	if (!hm_valid(addr))
		hm_give_up("an address outside of the areas");
	return &areas[(addr >> 40) - 1];
}

static int pmd_of(u64 addr)
{
	return addr >> 21 & (HM_PMDS - 1);
}

static int pud_of(u64 addr)
{
	return addr >> 30 & (HM_PUDS - 1);
}

static void tell_pmd(struct area *area, int pmd)
{
	area->of->used[pmd >> 6] |= 1UL << (pmd & 63);
	if (area->tables[pmd] || area->huge[pmd])
		area->populated[pmd >> 6] |= 1UL << (pmd & 63);
	else
		area->populated[pmd >> 6] &= ~(1UL << (pmd & 63));
	area->pmds[pmd] = area->tables[pmd] ? TABLE_ENTRY : area->huge[pmd] & PTE_MAPPED ? LARGE_ENTRY : 0;
}

struct hm_table *hm_table(u64 addr)
{
	return area_of(addr)->tables[pmd_of(addr)];
}

void hm_set_table(u64 addr, struct hm_table *table)
{
	struct area *area = area_of(addr);

	area->tables[pmd_of(addr)] = table;
	tell_pmd(area, pmd_of(addr));
}

struct hm_table *hm_make_table(u64 addr)
{
	struct hm_table *table = hm_table(addr);

	if (!table) {
		table = hm_alloc(sizeof(*table));
		hm_set_table(addr, table);
		area_of(addr)->pmd_pages[pud_of(addr)] = true;
	}
	return table;
}

u64 hm_huge(u64 addr)
{
	return area_of(addr)->huge[pmd_of(addr)];
}

void hm_set_huge(u64 addr, u64 pte)
{
	struct area *area = area_of(addr);

	area->huge[pmd_of(addr)] = pte;
	if (pte)
		area->pmd_pages[pud_of(addr)] = true;
	tell_pmd(area, pmd_of(addr));
}

u64 hm_gig(u64 addr)
{
	return area_of(addr)->gig[pud_of(addr)];
}

void hm_set_gig(u64 addr, u64 pte)
{
	struct area *area = area_of(addr);
	int pud = pud_of(addr);

	area->gig[pud] = pte;
	area->puds[pud] = pte & PTE_MAPPED ? LARGE_ENTRY : area->pmd_tables[pud];
}

bool hm_has_pmd_page(u64 addr)
{
	return area_of(addr)->pmd_pages[pud_of(addr)];
}

void hm_drop_pmd_page(u64 addr)
{
	area_of(addr)->pmd_pages[pud_of(addr)] = false;
}

u64 hm_pte(u64 addr)
{
	struct hm_table *table = hm_table(addr);

	return table ? table->pte[addr >> 12 & 511] : 0;
}

/* The entry that covers `addr`, present or not, and its level; {0, 1} if there is none. */
struct hm_leaf hm_leaf(u64 addr)
{
	struct area *area = area_of(addr);
	struct hm_table *table = area->tables[pmd_of(addr)];

	if (table)
		return (struct hm_leaf){ table->pte[addr >> 12 & 511], 1 };
	if (area->huge[pmd_of(addr)])
		return (struct hm_leaf){ area->huge[pmd_of(addr)], 2 };
	if (area->gig[pud_of(addr)])
		return (struct hm_leaf){ area->gig[pud_of(addr)], 3 };
	return (struct hm_leaf){ 0, 1 };
}

/* The entry that covers `addr` as if it were one of a 4K page. */
u64 hm_page(u64 addr)
{
	struct hm_leaf leaf = hm_leaf(addr);

	if (leaf.level == 1)
		return leaf.pte;
	return (leaf.pte & ~PTE_HUGE) + (addr & (hm_size(leaf.level) - 1) & -PAGE_BYTES);
}

/* Replaces the entry of a level that exists. */
void hm_put_leaf(u64 addr, int level, u64 pte)
{
	if (level == 3)
		hm_set_gig(addr, pte);
	else if (level == 2)
		hm_set_huge(addr, pte);
	else if (hm_table(addr))
		hm_table(addr)->pte[addr >> 12 & 511] = pte;
	else
		hm_give_up("no such table");
}

bool hm_populated(u64 addr)
{
	return area_of(addr)->populated[pmd_of(addr) >> 6] >> (pmd_of(addr) & 63) & 1;
}

/* The start of the first 2M of [start, end) with a table or a leaf, or `end` or more. */
u64 hm_next_populated(u64 start, u64 end)
{
	u64 addr = start & -PMD_BYTES;
	struct area *area;

	if (addr >= end)
		return end;
	area = area_of(addr);
	for (int pmd = pmd_of(addr); addr < end; addr += PMD_BYTES, pmd++) {
		u64 rest = pmd < HM_PMDS ? area->populated[pmd >> 6] >> (pmd & 63) : 1;

		if (rest & 1)
			break;
		/* On to the last of those that are known to be empty. */
		rest = rest ? __builtin_ctzl(rest) - 1 : 63 - (pmd & 63);
		pmd += rest;
		addr += rest * PMD_BYTES;
	}
	return addr < end ? addr : end;
}

static void add(struct hm_list *list, u64 addr, int level)
{
	/* Full at 512 entries, and whenever that has doubled. */
	if (!list->nr || (list->nr >= 512 && !(list->nr & (list->nr - 1)))) {
		struct hm_at *more = hm_alloc_list((list->nr ? 2 * list->nr : 512) * sizeof(*more));

		if (list->nr)
			memcpy(more, list->at, list->nr * sizeof(*more));
		list->at = more;
	}
	list->at[list->nr++] = (struct hm_at){ addr, level };
}

/* Every entry that is not 0 and lies in or reaches into [start, end), ascending in each level. */
struct hm_list hm_mapped(u64 start, u64 end)
{
	struct area *area = area_of(start);
	struct hm_list list = { 0 };

	for (u64 addr = start & -PUD_BYTES; addr < end; addr += PUD_BYTES)
		if (area->gig[pud_of(addr)])
			add(&list, addr, 3);
	for (u64 addr = hm_next_populated(start, end); addr < end; addr = hm_next_populated(addr + PMD_BYTES, end)) {
		struct hm_table *table = area->tables[pmd_of(addr)];

		if (!table) {
			if (area->huge[pmd_of(addr)])
				add(&list, addr, 2);
			continue;
		}
		for (int i = 0; i < 512; i++) {
			u64 at = addr + i * PAGE_BYTES;

			if (table->pte[i] && at >= (start & -PAGE_BYTES) && at < end)
				add(&list, at, 1);
		}
	}
	return list;
}

/* For checks: the present entry that covers `addr`, its pfn that of the 4K page, or 0. */
u64 hm_lookup(u64 addr)
{
	u64 pte = hm_valid(addr) ? hm_page(addr) : 0;

	return pte & PTE_PRESENT ? pte : 0;
}

int hm_mapping_level(u64 addr)
{
	struct hm_leaf leaf = hm_leaf(addr);

	return leaf.pte & PTE_MAPPED ? leaf.level : 1;
}

void hm_clear_tables(void)
{
	for (int i = 0; i < HM_AREAS; i++) {
		u64 end = HM_AREA_BASE(i) + (HM_AREA_PAGES << 12), addr = HM_AREA_BASE(i);

		while ((addr = hm_next_populated(addr, end)) < end) {
			hm_set_table(addr, NULL);
			addr += PMD_BYTES;
		}
	}
}
