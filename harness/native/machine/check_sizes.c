// SPDX-License-Identifier: GPL-2.0-only
/*
 * Levels by ranges: what dirty logging splits, and what its end makes whole again; after an operation,
 * whether or not others are going on.  difffuzz/oracle/sizes.py in C.
 */
#include <string.h>

#include "play.h"

static bool logging, was_logging;
static u64 *dirty;
static long dirty_words;

static void note_bitmap(int as_id, int slot)
{
	struct native_slot kvm_slot;

	logging = native_memslot(as_id, slot, &kvm_slot) && kvm_slot.dirty_bitmap;
	dirty_words = logging ? (kvm_slot.npages + 63) >> 6 : 0;
	dirty = hm_alloc((dirty_words + 1) * sizeof(*dirty));
	if (logging)
		memcpy(dirty, kvm_slot.dirty_bitmap, dirty_words * sizeof(*dirty));
}

void sizes_before(const struct op *op)
{
	const struct map_slot *slot;

	if (op->kind != OP_MEMSLOT_FLAGS && op->kind != OP_DIRTY_CLEAR)
		return;
	note_bitmap(op->memslot.as_id, op->memslot.slot);
	slot = map_slot(op->memslot.as_id, op->memslot.slot);
	was_logging = slot && slot->flags & SLOT_DIRTY_LOG;
}

static void check_split(const struct map_slot *slot, u64 start, u64 end)
{
	struct mapping *found;
	long nr = tables_leaves_in(slot->as_id, start, end, &found);

	for (long i = 0; i < nr; i++)
		if (found[i].level > 1)
			suspect("a huge leaf is left that should have been split");
}

static void check_split_pages(const struct map_slot *slot, u64 first, u64 n)
{
	for (long word = 0; word < dirty_words; word++) {
		u64 start = (u64)word << 6, low;

		if (!dirty[word] || start < first || start >= first + n)
			continue;
		low = slot->gfn + start + __builtin_ctzl(dirty[word]);
		check_split(slot, low, slot->gfn + start + 64 - __builtin_clzl(dirty[word]));
	}
}

/* When dirty logging ends, no small leaf is left where a larger one fits. */
static void check_whole(const struct map_slot *slot)
{
	struct mapping *found;
	long nr = tables_leaves_in(slot->as_id, slot->gfn, slot->end, &found);

	for (long i = 0; i < nr; i++)
		if (found[i].level < 3 && found[i].level < leaf_max_level(slot, found[i].gfn))
			suspect("a small leaf is left where a larger one fits");
}

/* The memory map is already what the operation made it. */
void sizes_after(const struct op *op, const struct outcome *outcome)
{
	bool splits = play_config->eager_page_split && play_config->tdp && play_config->tdp_mmu;
	const struct map_slot *slot;

	if ((op->kind != OP_MEMSLOT_FLAGS && op->kind != OP_DIRTY_CLEAR) || outcome->value)
		return;
	slot = map_slot(op->memslot.as_id, op->memslot.slot);
	if (!slot)
		return;
	if (op->kind == OP_DIRTY_CLEAR) {
		if (splits && play_config->dirty_log_init_set)
			check_split_pages(slot, op->dirty_clear.first, op->dirty_clear.n);
	} else if (slot->flags & SLOT_READONLY) {
		return;
	} else if (slot->flags & SLOT_DIRTY_LOG) {
		if (splits && !play_config->dirty_log_init_set && !logging)
			check_split(slot, slot->gfn, slot->end);
	} else if (was_logging && !(play_config->concurrent && map_nx)) {
		check_whole(slot);
	}
}
