// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program from begin to end on one side, in lockstep's order of operations: what
 * difffuzz/engine/lockstep.py does, but for the comparison of the two sides.
 */
#include "guest.h"
#include "paging.h"
#include "task.h"

const struct config *play_config;

static void create_vm(const struct config *config, const struct slot_spec *slots)
{
	hm_kvm(FN_CREATE_VM, (long)config, 0, 0, 0, 0, 0);
	hm_init(config->areas, config->nr_areas);
	gm_init(config->tdp, config->ept, config->ad, config->pml, config->maxphyaddr);
	access_init();
	tables_init();
	check_init();
	map_init(config, slots);
	if (config->mmu_pages)
		hm_kvm(FN_SET_NR_MMU_PAGES, config->mmu_pages, 0, 0, 0, 0, 0);
	for (int i = 0; i < config->vcpus; i++) {
		gm_nr_vcpus++;
		hm_kvm(FN_CREATE_VCPU, 0, 0, 0, 0, 0, 0);
	}
	for (int i = 0; i < config->nr_slots; i++)
		run_set_slot(slots[i].as_id, slots[i].slot, slots[i].gfn, slots[i].npages,
			     HM_AREA_BASE(slots[i].area) + (slots[i].page << 12), slots[i].flags);
}

/* One operation, and what is checked after it. */
static void step(const struct op *op, long index)
{
	int as_id = op->thread < NR_VCPU_THREADS ? map_smm[op->thread] : 0;
	struct outcome outcome;

	check_before(op);
	/* Numbers start at 1: fresh memory reads as 0. */
	outcome = run_op(op, index + 1);
	map_apply(op);
	check_after(op, &outcome, as_id);
	record_outcome(index, op, &outcome);
}

static void end_fault(long thread, long index)
{
	struct op op = { .kind = OP_END_FAULT, .thread = thread };

	step(&op, index);
}

/* A memslot update waits for all parked faults (SRCU), another operation of a vCPU for its own. */
static void end_faults(const struct op *op, long index)
{
	bool update = op->kind >= OP_MEMSLOT_CREATE && op->kind <= OP_MEMSLOT_FLAGS;
	bool own = op->kind != OP_BEGIN_FAULT && op->kind != OP_END_FAULT;

	for (int vcpu = 0; vcpu < NR_VCPU_THREADS; vcpu++)
		if (access_has_fault(vcpu) && (update || (own && op->thread == vcpu)))
			end_fault(vcpu, index);
}

static void play_steps(const struct op *ops)
{
	for (long i = 0; i < play_config->nr_ops; i++) {
		end_faults(&ops[i], i);
		step(&ops[i], i);
		if (ops[i].ends)
			end_fault(ops[i].thread, i);
	}
}

/* Leaves, the last checks, the end of the VM. */
void play_end(const struct config *config, long number)
{
	contents_settled();
	access_finish_faults(number);
	hm_kvm(FN_END_OPERATION, 0, 0, 0, 0, 0, 0);
	check_end();
	for (long number = 0; config->trace && number < nr_tables; number++)
		for (int i = 0; tables[number].live && i < 512; i++) {
			const struct table *table = &tables[number];
			u64 spte = tables_entry(number, i);

			if (spte && tables_is_leaf(table, spte))
				record_leaf(table->as_id, table->gfn + ((u64)i << 9 * (table->level - 1)), spte,
					    table->level);
		}
	hm_destroy();
	check_released();
	hm_kvm(FN_DESTROY_VM, 0, 0, 0, 0, 0, 0);
	check_destroyed();
}

void play(const struct config *config)
{
	const struct slot_spec *slots = (const struct slot_spec *)(config + 1);
	const struct op *ops = (const struct op *)(slots + config->nr_slots);
	long steps;

	play_config = config;
	record_begin();
	native_control->budget = config->steps;
	native_control->frees_early = native_control->concurrent = config->concurrent;
	create_vm(config, slots);
	if (config->concurrent) {
		play_at_once(ops);
		return;
	}
	if (config->guest)
		play_guest(ops);
	else
		play_steps(ops);
	steps = config->steps - native_control->budget;
	/* The end is always seen through, however much is to be torn down. */
	native_control->budget += STEP_LIMIT;
	record_end(steps, config->nr_ops);
	play_end(config, config->nr_ops + 1);
}
