// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Python reads of a program that was played: what its operations did, the part of it that both
 * sides must agree on, state features, and the leaves at the end.  difffuzz/sides/played.py knows the
 * layout.
 */
#include <stdlib.h>
#include <string.h>

#include "interleave.h"
#include "play.h"

#define API __attribute__((visibility("default")))
#define ROOM (1L << 18)
#define FEATURES (1UL << 16)

/* Outlives a reset. */
struct record {
	long outcomes[ROOM], nr_outcomes;
	long compared[ROOM], nr_compared;
	long features[FEATURES], nr_features;
	unsigned char has_feature[FEATURES];
	long *leaves, nr_leaves, room_for_leaves;
	long steps, operations;
	const struct decision *switches;
	long nr_switches;
};

static struct record *record;

/* Once, before the snapshot. */
void record_map(void)
{
	record = calloc(1, sizeof(*record));
}

void record_begin(void)
{
	while (record->nr_features)
		record->has_feature[record->features[--record->nr_features]] = 0;
	record->nr_outcomes = record->nr_compared = record->nr_leaves = 0;
}

void record_feature(unsigned long feature)
{
	if (record->has_feature[feature])
		return;
	record->has_feature[feature] = 1;
	record->features[record->nr_features++] = feature;
}

/* difffuzz/engine/features.py, answer() */
static void note_answer(const struct op *op, const struct outcome *outcome)
{
	unsigned long word = (play_config->side * 64 + op->kind) * 8 + outcome->result;

	for (int i = outcome->nr_rets < 4 ? 0 : outcome->nr_rets - 4; i < outcome->nr_rets; i++)
		word = word * 16 + (outcome->rets[i] & 15);
	word = word * 4 + outcome->parked * 2 + (outcome->value < 0);
	record_feature((word * 2246822519UL >> 5) % FEATURES);
}

static void add(long *to, long *nr, long value)
{
	if (*nr == ROOM)
		hm_give_up("too much to tell of a program");
	to[(*nr)++] = value;
}

static bool is_compared(long kind)
{
	return kind <= OP_EXEC || kind == OP_END_FAULT || kind == OP_HOST_READ ||
	       (kind >= OP_MEMSLOT_CREATE && kind <= OP_DIRTY_CLEAR);
}

static unsigned long digest(const struct outcome *outcome)
{
	unsigned long sum = 14695981039346656037UL;

	for (long i = 0; i < outcome->bitmap_words; i++)
		if (outcome->bitmap[i])
			sum = (sum ^ outcome->bitmap[i] ^ (unsigned long)i << 32) * 1099511628211UL;
	return sum >> 1;
}

static void tell_both_sides(const struct op *op, const struct outcome *outcome)
{
	long *to = record->compared, *nr = &record->nr_compared;

	/* Where it ends at once it may have been parked on one side only. */
	add(to, nr, outcome->parked && !op->ends);
	if (!is_compared(op->kind))
		return;
	add(to, nr, outcome->result);
	add(to, nr, outcome->value);
	add(to, nr, outcome->parked_rets);
	add(to, nr, outcome->nr_rets);
	for (int i = 0; i < outcome->nr_rets; i++)
		add(to, nr, outcome->rets[i]);
}

/* Does the oracle excuse that one side may not map the page? */
static bool may_be_absent(const struct op *op, const struct outcome *outcome)
{
	u64 gfn = op->kind == OP_END_FAULT ? (u64)outcome->fault_gfn : (u64)op->args[0];

	return op->kind <= OP_END_FAULT && map_tracked(map_smm[op->thread], gfn);
}

void record_outcome(long index, const struct op *op, const struct outcome *outcome)
{
	long *to = record->outcomes, *nr = &record->nr_outcomes;
	const long *vm = check_vm;

	tell_both_sides(op, outcome);
	note_answer(op, outcome);
	add(to, nr, index);
	add(to, nr, op->kind);
	add(to, nr, op->thread);
	add(to, nr, outcome->result);
	add(to, nr, outcome->value);
	add(to, nr, outcome->pfn);
	add(to, nr, outcome->fast);
	add(to, nr, outcome->parked);
	add(to, nr, outcome->parked_ret);
	add(to, nr, outcome->parked_rets);
	add(to, nr, outcome->access);
	add(to, nr, outcome->fault_gfn);
	add(to, nr, outcome->bitmap ? (long)digest(outcome) : 0);
	add(to, nr, map_nx);
	add(to, nr, may_be_absent(op, outcome) && (vm[VM_RECYCLED] || !play_config->ad));
	add(to, nr, vm[VM_FLUSHES]);
	add(to, nr, inter_on() ? inter_steps() : 0);
	add(to, nr, outcome->nr_rets);
	for (int i = 0; i < outcome->nr_rets; i++)
		add(to, nr, outcome->rets[i]);
}

void record_leaf(int as_id, u64 gfn, u64 spte, int level)
{
	if (record->nr_leaves + 4 > record->room_for_leaves) {
		record->room_for_leaves = record->room_for_leaves ? 2 * record->room_for_leaves : 4096;
		record->leaves = realloc(record->leaves, record->room_for_leaves * sizeof(long));
	}
	record->leaves[record->nr_leaves++] = as_id;
	record->leaves[record->nr_leaves++] = gfn;
	record->leaves[record->nr_leaves++] = spte;
	record->leaves[record->nr_leaves++] = level;
}

void record_end(long steps, long operations)
{
	record->steps = steps;
	record->operations = operations;
}

/* The switches of a concurrent run so far, even if it is left early. */
void record_schedule(void)
{
	record->nr_switches = strategy_switches(&record->switches);
}

/* What threads did at once may differ between the sides. */
void record_nothing_compared(void)
{
	record->nr_compared = 0;
}

/* How an access ended that is made when all is over. */
void record_probe(enum result result)
{
	add(record->compared, &record->nr_compared, result);
}

/* Addresses and lengths of all of it. */
API void native_played(long *out)
{
	out[0] = (long)record->outcomes;
	out[1] = record->nr_outcomes;
	out[2] = (long)record->compared;
	out[3] = record->nr_compared;
	out[4] = (long)record->features;
	out[5] = record->nr_features;
	out[6] = (long)record->leaves;
	out[7] = record->nr_leaves;
	out[8] = record->steps;
	out[9] = record->operations;
	record_schedule();
	out[10] = (long)record->switches;
	out[11] = 2 * record->nr_switches;
}
