// SPDX-License-Identifier: GPL-2.0-only
/*
 * What one operation shows only beside those before it: accesses that undo each other for ever, the
 * order of reclaim, huge pages that are not split.  difffuzz/oracle/history.py in C.
 */
#include <string.h>

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
static bool logging;
static u64 *dirty;
static long dirty_words;

static long numbers_of_active(long **out, long most)
{
	long nr;

	*out = hm_alloc((most + 1) * sizeof(**out));
	nr = native_active_pages(*out, most + 1);
	if (nr > most)
		hm_give_up("more pages than are counted");
	for (long i = 0; i < nr; i++)
		(*out)[i] = ((*out)[i] - (long)NATIVE_PAGES_PA) >> 12;
	return nr;
}

static void note_bitmap(int as_id, int slot)
{
	struct native_slot kvm_slot;

	logging = native_memslot(as_id, slot, &kvm_slot) && kvm_slot.dirty_bitmap;
	dirty_words = logging ? (kvm_slot.npages + 63) >> 6 : 0;
	dirty = hm_alloc((dirty_words + 1) * sizeof(*dirty));
	if (logging)
		memcpy(dirty, kvm_slot.dirty_bitmap, dirty_words * sizeof(*dirty));
}

void history_before(const struct op *op)
{
	const struct native_vm *vm = &check_vm;

	recycled = vm->mmu_recycled;
	nr_pages = 0;
	if (vm->n_used_mmu_pages + NEAR_LIMIT > vm->n_max_mmu_pages || op->kind == OP_MMU_PAGES ||
	    op->kind == OP_MEMSLOT_CREATE || op->kind == OP_MEMSLOT_DELETE)
		nr_pages = numbers_of_active(&pages, vm->n_used_mmu_pages + 64);
	if (op->kind == OP_MEMSLOT_FLAGS || op->kind == OP_DIRTY_CLEAR)
		note_bitmap(op->memslot.as_id, op->memslot.slot);
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
		accesses = hm_alloc(MOST_ACCESSES * sizeof(*accesses));
	if (nr_accesses == MOST_ACCESSES)
		hm_give_up("too many accesses");
	accesses[nr_accesses++] = (struct access){ thread, kind, gfn, 1 };
}

static void check_split(const struct map_slot *slot, u64 start, u64 end)
{
	struct mapping *found;
	long nr = tables_leaves_in(slot->as_id, start, end, &found);

	for (long i = 0; i < nr; i++)
		if (found[i].level > 1)
			suspect("a huge leaf is left that should have been split");
}

static void check_split_pages(const struct map_slot *slot, u64 first, u64 n)
{
	for (long word = 0; word < dirty_words; word++) {
		u64 start = (u64)word << 6, low;

		if (!dirty[word] || start < first || start >= first + n)
			continue;
		low = slot->gfn + start + __builtin_ctzl(dirty[word]);
		check_split(slot, low, slot->gfn + start + 64 - __builtin_clzl(dirty[word]));
	}
}

/* `disturbed`: the host changed something meanwhile. */
void history_after(const struct op *op, const struct outcome *outcome, bool disturbed)
{
	bool splits = play_config->eager_page_split && play_config->tdp && play_config->tdp_mmu;
	const struct map_slot *slot;
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
	if (!splits || (op->kind != OP_MEMSLOT_FLAGS && op->kind != OP_DIRTY_CLEAR))
		return;
	slot = map_slot(op->memslot.as_id, op->memslot.slot);
	if (!slot)
		return;
	if (op->kind == OP_DIRTY_CLEAR && !outcome->value && play_config->dirty_log_init_set)
		check_split_pages(slot, op->dirty_clear.first, op->dirty_clear.n);
	if (op->kind == OP_MEMSLOT_FLAGS && !play_config->dirty_log_init_set && !logging &&
	    slot->flags & SLOT_DIRTY_LOG && !(slot->flags & SLOT_READONLY))
		check_split(slot, slot->gfn, slot->end);
}
