// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Python reads of a program that was played: what its operations did, the part of it that both
 * sides must agree on, state features, and the leaves at the end.
 */
#include <stdlib.h>
#include <string.h>

#include "interleave.h"
#include "play.h"

#define ROOM (1L << 18)
#define MOST_OUTCOMES (1L << 14)

/* Outlives a reset. */
struct record {
	struct native_outcome outcomes[MOST_OUTCOMES];
	long nr_outcomes;
	long rets[ROOM], nr_rets;	/* of all outcomes */
	long compared[ROOM], nr_compared;
	long features[FEATURES], nr_features;
	unsigned char has_feature[FEATURES];
	struct native_leaf *leaves;
	long nr_leaves, room_for_leaves;
	long steps, operations;
	long rules[NR_RULES], foreign_at_start;	/* of guests with page tables */
	bool comparable, foreign;		/* what is about to be recorded */
	const struct decision *switches;
	long nr_switches;
	const struct native_choice *choices;
	long nr_choices;
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
	record->comparable = record->foreign = record->foreign_at_start = 0;
	memset(record->rules, 0, sizeof(record->rules));
	record->nr_outcomes = record->nr_rets = record->nr_compared = record->nr_leaves = 0;
	record->steps = record->operations = 0;
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
	/* What a guest wrote to its tables is no number. */
	word = word * 4 + outcome->parked * 2 + (outcome->value < 0 && !(op->kind == OP_PTE && outcome->result == RESULT_OK));
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
	return kind <= OP_EXEC || kind == OP_END_FAULT || kind == OP_PREFAULT ||
	       (kind >= OP_HOST_READ && kind <= OP_TEST_AGE && kind != OP_HOST_WRITE) ||
	       kind == OP_SWAP_OUT || kind == OP_PAGEOUT || (kind >= OP_MEMSLOT_CREATE && kind <= OP_DIRTY_CLEAR);
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
	u64 gfn = op->kind == OP_END_FAULT ? outcome->fault_gfn : op->guest.gfn;

	return op->kind <= OP_END_FAULT && map_tracked(map_smm[op->thread], gfn);
}

/* A rule of the oracles of guests with page tables excuses something. */
void record_rule(enum rule rule)
{
	record->rules[rule]++;
}

void record_guest_begins(bool foreign)
{
	record->foreign_at_start = foreign;
}

/* Of the outcome that is recorded next. */
void record_guest(bool comparable, bool foreign)
{
	record->comparable = comparable;
	record->foreign = foreign;
}

void record_outcome(long index, const struct op *op, const struct outcome *outcome)
{
	const struct native_vm *vm = &check_vm;

	tell_both_sides(op, outcome);
	note_answer(op, outcome);
	if (record->nr_outcomes == MOST_OUTCOMES)
		hm_give_up("too many operations to tell of");
	record->outcomes[record->nr_outcomes++] = (struct native_outcome){
		.op_index = index,
		.kind = op->kind,
		.thread = op->thread,
		.result = outcome->result,
		.value = outcome->value,
		.pfn = outcome->pfn,
		.fast = outcome->fast,
		.parked = outcome->parked,
		.parked_ret = outcome->parked_ret,
		.parked_rets = outcome->parked_rets,
		.access = outcome->access,
		.fault_gfn = outcome->fault_gfn,
		.bitmap_digest = outcome->bitmap ? (long)digest(outcome) : 0,
		.nx = map_nx,
		.may_be_absent = may_be_absent(op, outcome) && (vm->mmu_recycled || !play_config->ad),
		.flushes = vm->remote_tlb_flush_requests,
		.step = inter_on() ? inter_steps() : 0,
		.comparable = record->comparable,
		.foreign = record->foreign,
		.nr_rets = outcome->nr_rets,
	};
	for (int i = 0; i < outcome->nr_rets; i++)
		add(record->rets, &record->nr_rets, outcome->rets[i]);
}

void record_leaf(int as_id, u64 gfn, u64 spte, int level)
{
	if (record->nr_leaves == record->room_for_leaves) {
		record->room_for_leaves = record->room_for_leaves ? 2 * record->room_for_leaves : 1024;
		record->leaves = realloc(record->leaves, record->room_for_leaves * sizeof(*record->leaves));
	}
	record->leaves[record->nr_leaves++] =
		(struct native_leaf){ .as_id = as_id, .gfn = gfn, .spte = spte, .level = level };
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
	record->nr_choices = strategy_choices(&record->choices);
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

void native_played(struct native_played *out)
{
	record_schedule();
	*out = (struct native_played){
		.outcomes = record->outcomes,
		.nr_outcomes = record->nr_outcomes,
		.rets = record->rets,
		.nr_rets = record->nr_rets,
		.compared = record->compared,
		.nr_compared = record->nr_compared,
		.features = record->features,
		.nr_features = record->nr_features,
		.leaves = record->leaves,
		.nr_leaves = record->nr_leaves,
		.switches = record->switches,
		.nr_switches = record->nr_switches,
		.choices = record->choices,
		.nr_choices = record->nr_choices,
		.steps = record->steps,
		.operations = record->operations,
		.efer_nx = record->rules[RULE_EFER_NX],
		.fault_keeps_stale = record->rules[RULE_FAULT_KEEPS_STALE],
		.npt_fetch = record->rules[RULE_NPT_FETCH],
		.foreign_at_start = record->foreign_at_start,
	};
}
