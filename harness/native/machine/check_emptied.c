// SPDX-License-Identifier: GPL-2.0-only
/* What was zapped is empty, in every table: difffuzz/oracle/emptied.py in C, of lockstep. */
#include "play.h"

static struct map_slot gone;	/* that the operation takes, if it succeeds; not live for none */
static bool nx;

void emptied_before(const struct op *op)
{
	const struct map_slot *slot;

	gone.live = false;
	nx = map_nx;
	if (op->kind != OP_MEMSLOT_DELETE && op->kind != OP_MEMSLOT_MOVE)
		return;
	slot = map_slot(op->memslot.as_id, op->memslot.slot);
	if (slot && (op->kind == OP_MEMSLOT_DELETE || (u64)op->memslot_move.gfn != slot->gfn))
		gone = *slot;
}

/* `as_id` -1: either address space. */
static void check_empty(int as_id, u64 start, u64 end)
{
	for (long number = 0; number < nr_tables; number++) {
		const struct table *table = &tables[number];
		const unsigned long *raw = tables_raw(number);

		if (!table->live || (as_id >= 0 && table->as_id != as_id))
			continue;
		for (int i = tables_next(raw, 0); i < 512; i = tables_next(raw, i + 1)) {
			u64 first = table->gfn + ((u64)i << 9 * (table->level - 1));

			if (tables_is_leaf(table, tables_entry(number, i)) && first < end &&
			    start < first + level_pages(table->level))
				suspect("a leaf is left of what was zapped");
		}
	}
}

void emptied_after(const struct op *op, const struct outcome *outcome)
{
	if (op->kind == OP_ZAP_GFN_RANGE)
		check_empty(-1, op->zap_gfn_range.gfn, op->zap_gfn_range.gfn + op->zap_gfn_range.n);
	else if (gone.live && !outcome->value)
		check_empty(gone.as_id, gone.gfn, gone.end);
	else if (op->kind == OP_NX && map_nx != nx)
		check_empty(-1, 0, -1UL);
}
