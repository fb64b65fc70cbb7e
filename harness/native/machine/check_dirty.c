// SPDX-License-Identifier: GPL-2.0-only
/*
 * The dirty log: every write since the last get or clear is in the bitmap, no page that was never
 * touched is.  difffuzz/oracle/dirty_log.py in C.
 */
#include "play.h"

#define MOST_TOUCHED 2048

struct touched {
	int as_id, slot;
	u64 page;
	bool written, gone;
};

static struct touched *touched;
static int nr_touched;

static struct touched *find(int as_id, int slot, u64 page)
{
	for (int i = 0; i < nr_touched; i++)
		if (!touched[i].gone && touched[i].as_id == as_id && touched[i].slot == slot && touched[i].page == page)
			return &touched[i];
	return NULL;
}

/* A guest access. */
void dirty_note(const struct map_slot *slot, u64 gfn, bool write)
{
	struct touched *one;

	if (!slot || !(slot->flags & SLOT_DIRTY_LOG))
		return;
	one = find(slot->as_id, slot->slot, gfn - slot->gfn);
	if (!one) {
		if (!touched)
			touched = hm_alloc_list(MOST_TOUCHED * sizeof(*touched));
		if (nr_touched == MOST_TOUCHED)
			hm_give_up("too many pages are touched");
		one = &touched[nr_touched++];
		*one = (struct touched){ .as_id = slot->as_id, .slot = slot->slot, .page = gfn - slot->gfn };
	}
	one->written |= write;
}

/* The bits of n pages were cleared. */
void dirty_clear(int as_id, int slot, u64 first, u64 n)
{
	for (int i = 0; i < nr_touched; i++)
		if (touched[i].as_id == as_id && touched[i].slot == slot && touched[i].page >= first &&
		    touched[i].page < first + n)
			touched[i].gone = true;
}

/* The slot has a new bitmap, or none. */
void dirty_forget(int as_id, int slot)
{
	dirty_clear(as_id, slot, 0, -1UL);
}

static bool in_bitmap(const struct outcome *outcome, u64 page)
{
	return (long)(page >> 6) < outcome->bitmap_words && outcome->bitmap[page >> 6] >> (page & 63) & 1;
}

/* What KVM_GET_DIRTY_LOG returned against what the guest did. */
void dirty_check(const struct map_slot *slot, const struct outcome *outcome)
{
	for (int i = 0; i < nr_touched; i++)
		if (!touched[i].gone && touched[i].written && touched[i].as_id == slot->as_id &&
		    touched[i].slot == slot->slot && !in_bitmap(outcome, touched[i].page))
			suspect("written, not in the log");
	if (play_config->dirty_log_init_set)
		return;
	for (long word = 0; word < outcome->bitmap_words; word++)
		for (u64 rest = outcome->bitmap[word]; rest; rest &= rest - 1)
			if (!find(slot->as_id, slot->slot, ((u64)word << 6) + __builtin_ctzl(rest)))
				suspect("in the log, never touched");
}
