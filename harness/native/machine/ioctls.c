// SPDX-License-Identifier: GPL-2.0-only
/* What user space does by ioctls and module parameters. */
#include <string.h>

#include "functions.h"
#include "guest.h"
#include "play.h"

static struct outcome done(long value)
{
	return outcome_of(RESULT_DONE, value);
}

long run_set_slot(int as_id, int slot, u64 gfn, u64 npages, u64 hva, long flags)
{
	return hm_kvm(FN_SET_MEMORY_REGION, as_id, slot, gfn, npages, hva, flags);
}

/* Moves a slot, or changes its flags; `gfn` -1: where it is. */
static struct outcome change_slot(int as_id, int slot, long gfn, long flags)
{
	long old[5];

	if (!native_memslot(as_id, slot, old))
		return done(0);
	return done(run_set_slot(as_id, slot, gfn < 0 ? old[0] : gfn, old[1], old[2], flags < 0 ? old[3] : flags));
}

static struct outcome get_dirty(int as_id, int slot)
{
	struct outcome outcome = done(0);
	long known[5] = { 0, 1 };

	native_memslot(as_id, slot, known);
	outcome.bitmap_words = (known[1] + 63) / 64 + 1;
	outcome.bitmap = hm_alloc(outcome.bitmap_words * sizeof(u64));
	outcome.value = hm_kvm(FN_GET_DIRTY_LOG, as_id, slot, (long)outcome.bitmap, 0, 0, 0);
	return outcome;
}

static struct outcome clear_dirty(int as_id, int slot, u64 first, u64 n)
{
	unsigned long words = (n + 63) / 64 + 1;
	u64 *bitmap = hm_alloc(words * sizeof(u64));

	memset(bitmap, 0xff, words * sizeof(u64));
	return done(hm_kvm(FN_CLEAR_DIRTY_LOG, as_id, slot, (long)bitmap, first, n, 0));
}

struct outcome run_ioctl(const struct op *op)
{
	static bool nx_is_set, nx;
	const long *args = op->args;

	switch (op->kind) {
	case OP_MEMSLOT_CREATE:
		return done(run_set_slot(args[1], args[0], args[2], args[3],
					 HM_AREA_BASE(args[4]) + (args[5] << 12), args[6]));
	case OP_MEMSLOT_DELETE:
		return done(run_set_slot(args[1], args[0], 0, 0, 0, 0));
	case OP_MEMSLOT_MOVE:
		return change_slot(args[1], args[0], args[2], -1);
	case OP_MEMSLOT_FLAGS:
		return change_slot(args[1], args[0], -1, args[2]);
	case OP_DIRTY_GET:
		return get_dirty(args[1], args[0]);
	case OP_DIRTY_CLEAR:
		return clear_dirty(args[1], args[0], args[2], args[3]);
	case OP_MMU_PAGES:
		return done(hm_kvm(FN_SET_NR_MMU_PAGES, args[0], 0, 0, 0, 0, 0));
	case OP_TRACK_ADD:
	case OP_TRACK_REMOVE:
		return done(hm_kvm(FN_PAGE_TRACK, args[0], args[1], op->kind == OP_TRACK_ADD, 0, 0, 0));
	case OP_NX:
		if (!nx_is_set)
			nx = play_config->nx_huge_pages;
		nx_is_set = true;
		if (nx != !!args[0]) {
			nx = args[0];
			hm_kvm(FN_SET_NX, args[0], 0, 0, 0, 0, 0);
		}
		return done(0);
	case OP_ZAP_GFN_RANGE:
		hm_kvm(FN_ZAP_GFN_RANGE, args[0], args[1], 0, 0, 0, 0);
		return done(0);
	case OP_VCPU_CREATE:
		if (gm_nr_vcpus >= NR_VCPU_THREADS)
			return outcome_of(RESULT_NOTHING, 0);
		gm_nr_vcpus++;
		hm_kvm(FN_CREATE_VCPU, 0, 0, 0, 0, 0, 0);
		return done(0);
	case OP_NX_RECOVER:
		hm_kvm(FN_RECOVER_NX, 0, 0, 0, 0, 0, 0);
		return done(0);
	case OP_SYNC:
		return outcome_of(RESULT_NOTHING, 0);
	}
	hm_give_up("no such operation");
}
