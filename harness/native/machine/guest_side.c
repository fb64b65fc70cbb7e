// SPDX-License-Identifier: GPL-2.0-only
/*
 * An operation of a program whose guest has page tables of its own: difffuzz/sides/guest_side.py in C.
 * The slot where its tables lie stays; SMM, an L2 of a direct program and parked faults do nothing here.
 */
#include "guest.h"
#include "paging.h"
#include "task.h"

#define LEAST_MMU_PAGES 64
#define LOW_GFNS 0x100000
#define FAR_GFNS (1UL << (MAXPHYADDR - 12 - 1))
#define NR(of) ((int)(sizeof(of) / sizeof(*(of))))

static bool is_way_to_all(u64 gfn)
{
	static const u64 pmds[] = GUEST_DIRECT_PMDS;

	for (int i = 0; i < NR(pmds); i++)
		if (gfn == pmds[i])
			return true;
	return gfn == GUEST_DIRECT_PUD;
}

/* Does the operation do nothing where the guest has page tables? */
bool guest_leaves_out(const struct op *op)
{
	switch (op->kind) {
	case OP_TOGGLE:
		/* Nested paging goes by less. */
		return is_ept12() || (is_nested() && op->toggle.what == TOGGLE_WP);
	case OP_SMM:
	case OP_GUEST_MODE:
	case OP_BEGIN_FAULT:
	case OP_END_FAULT:
		return true;
	case OP_MMU_PAGES:
		return op->mmu_pages.n < LEAST_MMU_PAGES;
	case OP_READ:
	case OP_WRITE:
	case OP_EXEC:
		/* The guest's direct map ends, or it would write over its own way there. */
		return (u64)op->guest.gfn >= LOW_GFNS ||
		       (op->kind == OP_WRITE && !is_nested() && is_way_to_all(op->guest.gfn));
	case OP_MEMSLOT_CREATE:
		/* The sides' CPUs end memslots at different gfns. */
		if ((u64)op->memslot_create.gfn >= FAR_GFNS)
			return true;
		break;
	case OP_MEMSLOT_MOVE:
		if ((u64)op->memslot_move.gfn >= FAR_GFNS)
			return true;
		break;
	case OP_MEMSLOT_DELETE:
		break;
	default:
		return false;
	}
	return !op->memslot.slot && !op->memslot.as_id;
}

static bool is_instruction(long kind)
{
	return kind <= OP_EXEC || (kind >= OP_GVA_READ && kind < OP_DMA);
}

struct outcome guest_op(const struct op *op, long number)
{
	struct op home = *op;

	if (guest_leaves_out(op))
		return outcome_of(RESULT_NOTHING, 0);
	if (is_instruction(op->kind)) {
		if (op->thread >= gm_nr_vcpus)
			return outcome_of(RESULT_NOTHING, 0);
		task_run_as(op->thread);
		return is_nested() ? nested_run(op, number) : guest_run(op, number);
	}
	if (op->kind == OP_DMA) {
		task_run_as(op->thread);
		return guest_dma(op);
	}
	if (op->kind != OP_MEMSLOT_FLAGS || op->memslot.slot || op->memslot.as_id)
		return run_plain_op(op, number);
	home.memslot_flags.flags &= ~SLOT_READONLY;
	return run_plain_op(&home, number);
}
