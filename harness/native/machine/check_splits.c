// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which page tables took the place of a writable huge page: what they map was writable before.
 * difffuzz/oracle/splits.py in C.
 */
#include <stdlib.h>

#include "guest.h"
#include "play.h"

#define HUGE (SPTE_MMU_PRESENT_MASK | PT_PAGE_SIZE_MASK | PT_WRITABLE_MASK)

/* Outlives a reset, unlike the library's variables, which are copied for each program. */
static struct {
	long above[NATIVE_PAGES];	/* the table whose entry leads there now, plus one; 0: not known */
	bool replaced[NATIVE_PAGES];
	long noted[NATIVE_PAGES];	/* those of which one of the two says something */
	long nr_noted;
} *splits;

/* Once, before the snapshot. */
void splits_map(void)
{
	splits = calloc(1, sizeof(*splits));
}

void splits_init(void)
{
	while (splits->nr_noted) {
		long table = splits->noted[--splits->nr_noted];

		splits->above[table] = 0;
		splits->replaced[table] = false;
	}
}

/* The table that an entry leads to, -1 if it is a leaf or absent. */
static long below(const struct native_change *change)
{
	const struct table *table = &tables[change->number];
	u64 number = spte_pfn(change->new) - ((u64)NATIVE_PAGES_PA >> 12);

	if (!(change->new & SPTE_MMU_PRESENT_MASK) || tables_is_leaf(table, change->new))
		return -1;
	return number < NATIVE_PAGES ? (long)number : -1;
}

/* Notes it of the changes of one operation, which `splits_has` then is about. */
void splits_note(const struct native_change *changes, long nr)
{
	splits_init();
	for (long i = 0; i < nr; i++) {
		long table = below(&changes[i]);

		if (table < 0)
			continue;
		if (!splits->above[table])
			splits->noted[splits->nr_noted++] = table;
		splits->above[table] = changes[i].number + 1;
		splits->replaced[table] |= (changes[i].old & HUGE) == HUGE;
	}
}

/* The table is in the place of such a page, or below one that is. */
bool splits_has(long table)
{
	for (int level = 0; level < 5; level++) {
		if (splits->replaced[table])
			return true;
		if (!splits->above[table])
			return false;
		table = splits->above[table] - 1;
	}
	return false;
}
