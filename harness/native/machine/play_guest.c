// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program whose guest has page tables of its own, on one side, one operation at a time: what
 * difffuzz/engine/guest_lockstep.py does, but for the comparison of the two sides.
 */
#include "interleave.h"
#include "paging.h"

/* Who tracks writes removes only what it added, not what KVM tracks for itself. */
static bool is_not_tracked(const struct op *op)
{
	const struct map_slot *slot;

	if (op->kind != OP_TRACK_REMOVE)
		return false;
	slot = map_slot_at(op->track_remove.as_id, op->track_remove.gfn);
	return !slot || !map_tracked_in(slot, op->track_remove.gfn, op->track_remove.gfn + 1);
}

static void step(const struct op *op, long index)
{
	struct outcome outcome;

	if (is_not_tracked(op))
		return;
	outcome = run_op(op, index + 1);
	if (!guest_leaves_out(op))
		map_apply(op);
	check_guest_after(op, &outcome);
	record_guest(check_guest_comparable(op, &outcome), check_foreign);
	record_outcome(index, op, &outcome);
	hm.nr_changed = 0;
}

void guest_begin(void)
{
	guest_init();
	guest_load();
	check_guest_init();
	record_guest_begins(check_foreign);
}

/* An operation of the current thread, while others do theirs. */
void guest_step_at_once(const struct op *op, long index)
{
	struct outcome outcome;

	if (is_not_tracked(op))
		return;
	outcome = run_op_among_others(op, index + 1);
	inter_fence();
	if (!guest_leaves_out(op))
		map_apply(op);
	check_guest_at_once(op, &outcome);
	record_guest(false, check_foreign);
	record_outcome(index, op, &outcome);
	check_rest(op);
}

void play_guest(const struct op *ops)
{
	guest_begin();
	for (long i = 0; i < play_config->nr_ops; i++)
		step(&ops[i], i);
}
