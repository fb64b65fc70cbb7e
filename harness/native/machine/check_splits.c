// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which page tables took the place of a writable huge page: what they map was writable before.
 * difffuzz/oracle/splits.py in C.
 */
#include "guest.h"
#include "play.h"

#define HUGE (SPTE_MMU_PRESENT_MASK | PT_PAGE_SIZE_MASK | PT_WRITABLE_MASK)

static long above[NATIVE_PAGES];	/* the table whose entry leads there now, plus one; 0: not known */
static bool replaced[NATIVE_PAGES];
static long noted[NATIVE_PAGES], nr_noted;	/* those of which one of the two says something */

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
	while (nr_noted) {
		long table = noted[--nr_noted];

		above[table] = 0;
		replaced[table] = false;
	}
	for (long i = 0; i < nr; i++) {
		long table = below(&changes[i]);

		if (table < 0)
			continue;
		if (!above[table])
			noted[nr_noted++] = table;
		above[table] = changes[i].number + 1;
		replaced[table] |= (changes[i].old & HUGE) == HUGE;
	}
}

/* The table is in the place of such a page, or below one that is. */
bool splits_has(long table)
{
	for (int level = 0; level < 5; level++) {
		if (replaced[table])
			return true;
		if (!above[table])
			return false;
		table = above[table] - 1;
	}
	return false;
}
