// SPDX-License-Identifier: GPL-2.0-only
/* What user space does by ioctls and module parameters. */
#include <string.h>

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
	struct native_slot old;

	if (!native_memslot(as_id, slot, &old))
		return done(0);
	return done(run_set_slot(as_id, slot, gfn < 0 ? old.base_gfn : gfn, old.npages, old.userspace_addr,
				 flags < 0 ? old.flags : flags));
}

static struct outcome get_dirty(int as_id, int slot)
{
	struct outcome outcome = done(0);
	struct native_bitmap bitmap = {};

	outcome.value = hm_kvm(FN_GET_DIRTY_LOG, as_id, slot, (long)&bitmap, 0, 0, 0);
	outcome.bitmap_words = bitmap.nr_words;
	outcome.bitmap = hm_alloc(bitmap.nr_words * sizeof(u64));
	if (bitmap.nr_words)
		memcpy(outcome.bitmap, bitmap.words, bitmap.nr_words * sizeof(u64));
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
	switch (op->kind) {
	case OP_MEMSLOT_CREATE:
		return done(run_set_slot(op->memslot_create.as_id, op->memslot_create.slot, op->memslot_create.gfn,
					 op->memslot_create.n,
					 HM_AREA_BASE(op->memslot_create.area) + (op->memslot_create.page << 12),
					 op->memslot_create.flags));
	case OP_MEMSLOT_DELETE:
		return done(run_set_slot(op->memslot.as_id, op->memslot.slot, 0, 0, 0, 0));
	case OP_MEMSLOT_MOVE:
		return change_slot(op->memslot.as_id, op->memslot.slot, op->memslot_move.gfn, -1);
	case OP_MEMSLOT_FLAGS:
		return change_slot(op->memslot.as_id, op->memslot.slot, -1, op->memslot_flags.flags);
	case OP_DIRTY_GET:
		return get_dirty(op->memslot.as_id, op->memslot.slot);
	case OP_DIRTY_CLEAR:
		return clear_dirty(op->memslot.as_id, op->memslot.slot, op->dirty_clear.first, op->dirty_clear.n);
	case OP_MMU_PAGES:
		return done(hm_kvm(FN_SET_NR_MMU_PAGES, op->mmu_pages.n, 0, 0, 0, 0, 0));
	case OP_TRACK_ADD:
	case OP_TRACK_REMOVE:
		return done(hm_kvm(FN_PAGE_TRACK, op->track_add.as_id, op->track_add.gfn, op->kind == OP_TRACK_ADD, 0, 0, 0));
	case OP_NX:
		hm_kvm(FN_SET_NX, op->nx.on, 0, 0, 0, 0, 0);
		return done(0);
	case OP_ZAP_GFN_RANGE:
		hm_kvm(FN_ZAP_GFN_RANGE, op->zap_gfn_range.gfn, op->zap_gfn_range.n, 0, 0, 0, 0);
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
