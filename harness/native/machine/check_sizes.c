// SPDX-License-Identifier: GPL-2.0-only
/*
 * Levels by ranges: what dirty logging splits, and what its end makes whole again; after an operation,
 * whether or not others are going on.  difffuzz/oracle/sizes.py in C.
 */
#include <string.h>

#include "play.h"

struct before {
	bool logging, was_logging, alone;
	u64 *dirty;
	long dirty_words;
};

static struct before before_of[NR_THREADS];	/* by thread, while it changes how a slot is logged */

/* A log is read or cleared, or a slot changed, on this thread: nobody else's clear is alone any more. */
static bool alone(int thread)
{
	bool alone = check_updates < 2;

	for (int i = 0; i < NR_THREADS; i++)
		if (i != thread)
			before_of[i].alone = false;
	return alone;
}

static void note_bitmap(struct before *before, int as_id, int slot)
{
	struct native_slot kvm_slot;

	before->logging = native_memslot(as_id, slot, &kvm_slot) && kvm_slot.dirty_bitmap;
	before->dirty_words = before->logging ? (kvm_slot.npages + 63) >> 6 : 0;
	before->dirty = hm_alloc((before->dirty_words + 1) * sizeof(*before->dirty));
	if (before->logging)
		memcpy(before->dirty, kvm_slot.dirty_bitmap, before->dirty_words * sizeof(*before->dirty));
}

void sizes_before(const struct op *op)
{
	struct before *before = &before_of[op->thread];
	const struct map_slot *slot;

	if (op->kind >= OP_MEMSLOT_CREATE && op->kind <= OP_DIRTY_CLEAR)
		before->alone = alone(op->thread);
	if (op->kind != OP_MEMSLOT_FLAGS && op->kind != OP_DIRTY_CLEAR)
		return;
	note_bitmap(before, op->memslot.as_id, op->memslot.slot);
	slot = map_slot(op->memslot.as_id, op->memslot.slot);
	before->was_logging = slot && slot->flags & SLOT_DIRTY_LOG;
}

static void check_split(const struct map_slot *slot, u64 start, u64 end)
{
	struct mapping *found;
	long nr = tables_leaves_in(slot->as_id, start, end, &found);

	for (long i = 0; i < nr; i++)
		if (found[i].level > 1)
			suspect("a huge leaf is left that should have been split");
}

static void check_split_pages(const struct before *before, const struct map_slot *slot, u64 first, u64 n)
{
	const u64 *dirty = before->dirty;

	for (long word = 0; word < before->dirty_words; word++) {
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
	const struct before *before = &before_of[op->thread];
	bool splits = play_config->eager_page_split && play_config->tdp && play_config->tdp_mmu;
	const struct map_slot *slot;

	if ((op->kind != OP_MEMSLOT_FLAGS && op->kind != OP_DIRTY_CLEAR) || outcome->value)
		return;
	slot = map_slot(op->memslot.as_id, op->memslot.slot);
	if (!slot)
		return;
	if (op->kind == OP_DIRTY_CLEAR) {
		if (splits && play_config->dirty_log_init_set && before->alone)
			check_split_pages(before, slot, op->dirty_clear.first, op->dirty_clear.n);
	} else if (slot->flags & SLOT_READONLY) {
		return;
	} else if (slot->flags & SLOT_DIRTY_LOG) {
		if (splits && !play_config->dirty_log_init_set && !before->logging)
			check_split(slot, slot->gfn, slot->end);
	} else if (before->was_logging && !(play_config->concurrent && map_nx)) {
		check_whole(slot);
	}
}
