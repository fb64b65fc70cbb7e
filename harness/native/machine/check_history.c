// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one operation shows only beside those before it: accesses that undo each other for ever, the
 * order of reclaim.  difffuzz/oracle/history.py in C.
 */
#include "play.h"

#define SETTLED 4
#define NEAR_LIMIT 16
#define MOST_ACCESSES 1024

struct access {
	long thread, kind;
	u64 gfn;
	int count;
};

static struct access *accesses;
static int nr_accesses;
static long *pages, nr_pages;		/* that were active before, newest first; numbers */
static long recycled;

static long numbers_of_active(long **out, long most)
{
	long nr;

	*out = hm_alloc_list((most + 1) * sizeof(**out));
	nr = native_active_pages(*out, most + 1);
	if (nr > most)
		hm_give_up("more pages than are counted");
	for (long i = 0; i < nr; i++)
		(*out)[i] = ((*out)[i] - (long)NATIVE_PAGES_PA) >> 12;
	return nr;
}

void history_before(const struct op *op)
{
	const struct native_vm *vm = &check_vm;

	recycled = vm->mmu_recycled;
	nr_pages = 0;
	if (vm->n_used_mmu_pages + NEAR_LIMIT > vm->n_max_mmu_pages || op->kind == OP_MMU_PAGES ||
	    op->kind == OP_MEMSLOT_CREATE || op->kind == OP_MEMSLOT_DELETE)
		nr_pages = numbers_of_active(&pages, vm->n_used_mmu_pages + 64);
}

/* Reclaim takes the oldest pages, none that is younger than one it leaves. */
static void check_order(long used)
{
	long *active, nr = numbers_of_active(&active, used + 64);
	struct native_sp sp;
	bool kept_older = false;

	for (long i = nr_pages - 1; i >= 0; i--) {
		bool is_active = false;

		/* A page of an L2 goes with its last parent. */
		if (pages[i] < nr_tables && tables[pages[i]].guest_mode)
			continue;
		for (long j = 0; j < nr && !is_active; j++)
			is_active = active[j] == pages[i];
		if (!is_active) {
			if (kept_older)
				suspect("a shadow page was zapped before an older one");
		} else if (native_shadow_page(pages[i], &sp) && !sp.root_count) {
			kept_older = true;
		}
	}
}

static void settle(long thread, u64 gfn, long kind)
{
	for (int i = 0; i < nr_accesses; i++) {
		struct access *one = &accesses[i];

		if (one->thread != thread || one->gfn != gfn || one->kind != kind)
			continue;
		if (++one->count >= SETTLED)
			suspect("accesses unmap a page by turns");
		return;
	}
	if (!accesses)
		accesses = hm_alloc_list(MOST_ACCESSES * sizeof(*accesses));
	if (nr_accesses == MOST_ACCESSES)
		hm_give_up("too many accesses");
	accesses[nr_accesses++] = (struct access){ thread, kind, gfn, 1 };
}

/* `disturbed`: the host changed something meanwhile. */
void history_after(const struct op *op, const struct outcome *outcome, bool disturbed)
{
	long last = outcome->nr_rets ? outcome->rets[outcome->nr_rets - 1] : 0;

	native_vm_numbers(&check_vm);
	if (check_vm.mmu_recycled != recycled) {
		check_order(check_vm.n_used_mmu_pages);
		nr_accesses = 0;
	} else if (op->kind > OP_EXEC || disturbed) {
		nr_accesses = 0;
	} else if (last == RET_PF_FIXED || last == RET_PF_SPURIOUS) {
		settle(op->thread, op->guest.gfn, op->kind);
	}
}
