// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program whose threads run at once, on one side: what difffuzz/engine/concurrent.py does.
 *
 * Of its oracles only those are here that look where all threads meet, and one that is stricter: a
 * guest access uses what the host maps at that very moment.
 */
#include "guest.h"
#include "interleave.h"
#include "paging.h"
#include "task.h"

#define PROBES 6

static const struct op *ops;
static long phase_begins, phase_ends;	/* operations of the phase */

/* An access was emulated: who wrote last is not known. */
static void note_emulated(const struct op *op, const struct outcome *outcome)
{
	const struct map_slot *slot;

	if (op->kind > OP_BEGIN_FAULT || outcome->result != RESULT_OK || outcome->pfn >= 0)
		return;
	slot = map_slot_at(map_smm[op->thread], op->guest.gfn);
	if (slot)
		contents_unknown(map_hva(slot, op->guest.gfn), map_hva(slot, op->guest.gfn) + PAGE_BYTES);
}

static void step(const struct op *op, long index)
{
	bool update = op->kind >= OP_MEMSLOT_CREATE && op->kind <= OP_SYNC;
	struct outcome outcome;

	check_updates += update;
	sizes_before(op);
	outcome = run_op_among_others(op, index + 1);
	inter_fence();
	map_apply(op);
	check_updates -= update;
	note_emulated(op, &outcome);
	record_outcome(index, op, &outcome);
	check_rest(op);
	sizes_after(op, &outcome);
	if (outcome.result == RESULT_STUCK)
		suspect("never completes");
}

/* A thread's operations of the phase. */
static void body(int number)
{
	for (long i = phase_begins; i < phase_ends; i++) {
		if (ops[i].thread != number || (number < NR_VCPU_THREADS && number >= gm_nr_vcpus))
			continue;
		inter_new_operation();
		hm_point();
		if (play_config->guest)
			guest_step_at_once(&ops[i], i);
		else
			step(&ops[i], i);
	}
}

static void run_phase(void)
{
	int numbers[NR_THREADS], nr = 0;
	bool has[NR_THREADS] = { false };

	for (long i = phase_begins; i < phase_ends; i++)
		has[ops[i].thread] = true;
	for (int thread = 0; thread < NR_THREADS; thread++)
		if (has[thread])
			numbers[nr++] = thread;
	inter_run(nr, numbers, body);
}

/* Nothing is going on: the tables must be exact. */
static void settle(void)
{
	hm_kvm(FN_END_OPERATION, 0, 0, 0, 0, 0, 0);
	hm.nr_changed = 0;
	if (play_config->guest) {
		check_end();
		check_guest_settled();
		return;
	}
	/* What the host did may have come after any write of the phase. */
	for (long i = phase_begins; i < phase_ends; i++)
		contents_host(&ops[i]);
	contents_settled();
	check_end();
}

/* Both host threads at work, or poison: what the host has depends on who came first. */
static bool host_raced(long nr)
{
	bool has[NR_THREADS] = { false };

	for (long i = 0; i < nr; i++) {
		if (ops[i].kind == OP_HWPOISON)
			return true;
		if (ops[i].kind == OP_SYNC)
			has[FIRST_HOST_THREAD] = has[LAST_HOST_THREAD] = false;
		has[ops[i].thread] = true;
		if (has[FIRST_HOST_THREAD] && has[LAST_HOST_THREAD])
			return true;
	}
	return false;
}

/* Reads of the first few pages that the program touched, one at a time. */
static void probe(long nr)
{
	u64 gfns[PROBES];
	int known = 0;

	for (long i = 0; i < nr && known < PROBES; i++) {
		struct op op = { .kind = OP_READ, .read = { ops[i].guest.gfn } };
		struct outcome outcome;
		int before = 0;

		if (ops[i].kind > OP_BEGIN_FAULT)
			continue;
		while (before < known && gfns[before] != (u64)op.read.gfn)
			before++;
		if (before < known)
			continue;
		gfns[known++] = op.read.gfn;
		outcome = run_op(&op, 0);
		check_rest(&op);
		access_check(map_smm[0], op.read.gfn, GM_READ, &outcome, MAX_ATTEMPTS);
		record_probe(outcome.result);
	}
}

void play_at_once(const struct op *all)
{
	const struct config *config = play_config;
	long nr = config->nr_ops;

	if (config->exit_races)
		hm_give_up("an exit that races");
	ops = all;
	if (config->guest)
		guest_begin();
	strategy_begin((const struct decision *)(ops + nr), config);
	inter_begin(config->steps, config->delays);
	for (phase_begins = 0; phase_begins < nr; phase_begins = phase_ends + 1) {
		phase_ends = phase_begins;
		while (phase_ends < nr && ops[phase_ends].kind != OP_SYNC)
			phase_ends++;
		if (phase_ends == phase_begins)
			continue;
		run_phase();
		settle();
	}
	record_nothing_compared();
	if (!config->guest && !host_raced(nr))
		probe(nr);
	record_end(inter_steps(), nr);
	play_end(config, nr + 1);
}
