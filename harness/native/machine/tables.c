// SPDX-License-Identifier: GPL-2.0-only
/* KVM's page tables as they are after an operation: what changed, and which leaves map a range. */
#include <stdlib.h>
#include <string.h>

#include "play.h"

#define MOST_CHANGES 4096
#define MOST_ROOTS 1024

struct list {
	struct mapping *at;
	long nr, room;
};

struct table *tables;
long nr_tables;
static long room_for_tables;
static struct native_change *changes;
static long nr_changes, room_for_changes;
static struct native_change *buffer;

/* Once, before the snapshot. */
void tables_map(void)
{
	buffer = calloc(MOST_CHANGES, sizeof(*buffer));
}

void tables_init(void)
{
	room_for_tables = 64;
	tables = hm_alloc(room_for_tables * sizeof(*tables));
	room_for_changes = 1024;
	changes = hm_alloc_list(room_for_changes * sizeof(*changes));
}

static void make_room(long number)
{
	struct table *more;
	long room = room_for_tables;

	while (room <= number)
		room *= 2;
	if (room == room_for_tables)
		return;
	more = hm_alloc(room * sizeof(*more));
	memcpy(more, tables, nr_tables * sizeof(*more));
	tables = more;
	room_for_tables = room;
}

static void note_new(long number)
{
	struct native_sp sp;

	make_room(number);
	if (number >= nr_tables)
		nr_tables = number + 1;
	if (!native_shadow_page(number, &sp))
		return;
	tables[number] = (struct table){
		.live = true, .tdp = sp.tdp_mmu_page, .has_parent = sp.ptep, .level = sp.level,
		.as_id = sp.smm, .gfn = sp.gfn, .guest_mode = sp.guest_mode, .direct = sp.direct,
	};
}

static void note_change(const struct native_change *change)
{
	if (nr_changes == room_for_changes) {
		struct native_change *more = hm_alloc_list(2 * room_for_changes * sizeof(*more));

		memcpy(more, changes, nr_changes * sizeof(*more));
		changes = more;
		room_for_changes *= 2;
	}
	changes[nr_changes++] = *change;
}

/* The first entry from `index` on that is not as in a new table, or 512. */
int tables_next(const unsigned long *raw, int index)
{
	unsigned long told = ~native_nonpresent;

	for (; index & 7 && index < 512; index++)
		if (raw[index] & told)
			return index;
	for (; index < 512; index += 8) {
		const unsigned long *at = raw + index;

		if ((at[0] | at[1] | at[2] | at[3] | at[4] | at[5] | at[6] | at[7]) & told)
			break;
	}
	while (index < 512 && !(raw[index] & told))
		index++;
	return index;
}

/* The entries that changed since the last call, of tables that are still there. */
long tables_changes(struct native_change **out, bool thorough)
{
	long n, kept = 0;

	nr_changes = 0;
	do {
		n = native_changes_of(buffer, MOST_CHANGES, thorough);
		for (long i = 0; i < n; i++) {
			const struct native_change *one = &buffer[i];

			if (one->index == CHANGE_NEW)
				note_new(one->number);
			else if (one->index == CHANGE_GONE)
				tables[one->number].live = false;
			else
				note_change(one);
		}
	} while (n == MOST_CHANGES);
	for (long i = 0; i < nr_changes; i++)
		if (tables[changes[i].number].live)
			changes[kept++] = changes[i];
	*out = changes;
	return kept;
}

const unsigned long *tables_raw(long number)
{
	return (const unsigned long *)native_pages + number * 512;
}

u64 tables_entry(long number, int index)
{
	unsigned long entry = tables_raw(number)[index];

	return entry & ~native_nonpresent ? native_seen(entry) : 0;
}

bool tables_is_leaf(const struct table *table, u64 spte)
{
	return spte & SPTE_MMU_PRESENT_MASK && (table->level == 1 || spte & PT_PAGE_SIZE_MASK);
}

static void add(struct list *list, u64 gfn, u64 spte, int level)
{
	if (list->nr == list->room) {
		struct mapping *more = hm_alloc_list((list->room ? 2 * list->room : 64) * sizeof(*more));

		if (list->nr)
			memcpy(more, list->at, list->nr * sizeof(*more));
		list->at = more;
		list->room = list->room ? 2 * list->room : 64;
	}
	list->at[list->nr++] = (struct mapping){ gfn, spte, level };
}

static void walk(long number, u64 start, u64 end, struct list *list)
{
	const unsigned long *raw = tables_raw(number);
	const struct table *table;
	long first, last;
	int shift;

	if (number < 0 || number >= nr_tables || !tables[number].live)
		suspect("a table that is linked was freed");
	table = &tables[number];
	shift = 9 * (table->level - 1);
	first = (long)(start - table->gfn) >> shift;
	last = (long)(end - 1 - table->gfn) >> shift;
	for (long i = tables_next(raw, first < 0 ? 0 : first); i <= last && i < 512; i = tables_next(raw, i + 1)) {
		u64 spte = tables_entry(number, i);

		if (!(spte & SPTE_MMU_PRESENT_MASK))
			continue;
		if (tables_is_leaf(table, spte))
			add(list, table->gfn + ((u64)i << shift), spte, table->level);
		else
			walk(((long)(spte & SPTE_BASE_ADDR_MASK) - (long)NATIVE_PAGES_PA) >> 12, start, end, list);
	}
}

static bool is_root(long number)
{
	struct native_sp sp;

	return tables[number].live && native_shadow_page(number, &sp) && sp.root_count;
}

/* Every leaf below a root that maps a gfn of [start, end). */
long tables_leaves_in(int as_id, u64 start, u64 end, struct mapping **out)
{
	long roots[MOST_ROOTS], nr = 0;
	struct list list = { 0 };

	if (play_config->tdp && play_config->tdp_mmu) {
		nr = native_tdp_roots(roots, MOST_ROOTS);
		for (long i = 0; i < nr; i++)
			roots[i] = (roots[i] - (long)NATIVE_PAGES_PA) >> 12;
	} else {
		for (long number = 0; number < nr_tables; number++)
			if (is_root(number) && nr < MOST_ROOTS)
				roots[nr++] = number;
	}
	if (nr == MOST_ROOTS)
		hm_give_up("too many roots");
	for (long i = 0; i < nr; i++)
		if (roots[i] < 0 || roots[i] >= nr_tables)
			suspect("a root that was freed");
		else if (tables[roots[i]].as_id == as_id)
			walk(roots[i], start, end, &list);
	*out = list.at;
	return list.nr;
}
