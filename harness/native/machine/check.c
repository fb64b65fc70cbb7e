// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the oracles of lockstep would look at, after each operation: difffuzz/engine/judged_side.py in C.
 *
 * Whatever seems wrong only ends the program: the slow engine runs it again and judges.  Too strict
 * costs time, too lax hides a bug.
 */
#include "guest.h"
#include "play.h"

/* A leaf of EPT has it, for its memory type is write-back (6); in x86 tables it is PCD, never set. */
#define EPT_LEAF (1UL << 4)

/* What happened while a fault was parked. */
struct flight {
	bool on;
	u64 hva;
	long begun, parked;	/* invalidations before it began, and before it was parked */
	bool root_obsolete, all_gfns;
};

static struct flight *flights;
struct native_vm check_vm;
static long ranges_before;
static u64 mmu_writable;

void suspect(const char *why)
{
	native_die("suspect", why, "");
}

void check_init(void)
{
	struct native_masks masks;

	native_masks(&masks);
	mmu_writable = masks.shadow_mmu_writable_mask;
	flights = hm_alloc(NR_VCPU_THREADS * sizeof(*flights));
	leaf_init();
	splits_init();
	contents_init();
}

void check_before(const struct op *op)
{
	if (!check_vm.n_max_mmu_pages)
		native_vm_numbers(&check_vm);
	ranges_before = hm.nr_ranges;
	history_before(op);
	sizes_before(op);
	emptied_before(op);
	for (int i = 0; i < NR_VCPU_THREADS; i++) {
		if (op->kind == OP_NX && !!op->nx.on != map_nx)
			flights[i].root_obsolete = true;
		else if (op->kind == OP_ZAP_GFN_RANGE && op->zap_gfn_range.n)
			flights[i].all_gfns = true;
	}
}

/* Accesses */

static void note_access(int as_id, u64 gfn, int access, const struct outcome *outcome)
{
	const struct map_slot *slot = map_slot_at(as_id, gfn);

	access_check(as_id, gfn, access, outcome, hm.nr_ranges - ranges_before);
	dirty_note(slot, gfn, access == GM_WRITE && outcome->result == RESULT_OK);
	if (!slot || outcome->result != RESULT_OK)
		return;
	if (access == GM_WRITE)
		contents_wrote(map_hva(slot, gfn), outcome->value);
	else
		contents_read(map_hva(slot, gfn), outcome->value);
}

static void note_begin(int vcpu, int as_id, u64 gfn, const struct outcome *outcome)
{
	const struct map_slot *slot = map_slot_at(as_id, gfn);

	dirty_note(slot, gfn, false);
	flights[vcpu] = (struct flight){
		.on = outcome->parked && slot,
		.hva = slot ? map_hva(slot, gfn) : 0,
		.begun = ranges_before,
		.parked = hm.nr_ranges,
	};
}

static bool behind_a_slot(struct hm_range range)
{
	for (int i = 0; i < MOST_SLOTS; i++) {
		const struct map_slot *slot = &map_slots[i];

		if (slot->live && slot->base_hva < range.end && range.start < slot->base_hva + (slot->npages << 12))
			return true;
	}
	return false;
}

/* R1 and R2 for a fault that was parked. */
static void check_flight(const struct flight *flight, const struct outcome *outcome)
{
	bool covered = false, relevant = false, must;

	for (long i = flight->begun; i < ranges_before; i++) {
		struct hm_range range = hm.ranges[i];

		covered |= i >= flight->parked && range.start <= flight->hva && flight->hva < range.end;
		relevant |= behind_a_slot(range);
	}
	must = flight->root_obsolete || flight->all_gfns || (covered && relevant);
	if (must && outcome->parked_ret != RET_PF_RETRY)
		suspect("a stale fault did not answer RETRY");
	if (!must && outcome->parked_ret == RET_PF_RETRY && !relevant && play_config->tdp)
		suspect("a parked fault answered RETRY without a cause");
}

static void note_end(int vcpu, int as_id, const struct outcome *outcome)
{
	if (flights[vcpu].on)
		check_flight(&flights[vcpu], outcome);
	flights[vcpu].on = false;
	note_access(as_id, outcome->fault_gfn, outcome->access, outcome);
}

/* Any page of the range may have been mapped, and marked dirty by that: difffuzz/oracle/prefault.py. */
static void note_prefault(int as_id, u64 gfn, u64 npages, const struct outcome *outcome)
{
	struct mapping *found;

	if (outcome->result == RESULT_STUCK)
		suspect("its prefault never completes");
	if (outcome->result == RESULT_DONE && npages == 1 && !tables_leaves_in(as_id, gfn, gfn + 1, &found))
		suspect("prefaulted, says KVM, and not mapped");
	for (int i = 0; i < MOST_SLOTS; i++) {
		const struct map_slot *slot = &map_slots[i];
		u64 first = gfn > slot->gfn ? gfn : slot->gfn;
		u64 end = gfn + npages < slot->end ? gfn + npages : slot->end;

		if (!slot->live || slot->as_id != as_id || !(slot->flags & SLOT_DIRTY_LOG))
			continue;
		for (u64 page = first; page < end; page++)
			dirty_note(slot, page, false);
	}
}

/* Page tables */

static unsigned long spte_class(u64 spte, int level)
{
	if (!spte)
		return 0;
	if (!(spte & SPTE_MMU_PRESENT_MASK))
		return spte & VMX_EPT_RWX_MASK ? 2 : 1; /* is_frozen_spte() of facts/spte.py */
	if (level > 1 && !(spte & PT_PAGE_SIZE_MASK))
		return 3;
	bool ept = spte & EPT_LEAF;
	u64 accessed = spte & (ept ? VMX_EPT_ACCESS_BIT : PT_ACCESSED_MASK);
	u64 dirty = spte & (ept ? VMX_EPT_DIRTY_BIT : PT_DIRTY_MASK);

	return 4 | (spte >> 1 & 1) << 1 | (accessed ? 1 : 0) | (dirty ? 8 : 0);
}

/* difffuzz/engine/features.py, transition() */
static void note_transition(long kind, const struct table *table, u64 old, u64 new)
{
	int level = (table->level + 4 * !table->direct) & 7;
	u64 word = ((play_config->side * 64 + kind) * 8 + level) * 256 + spte_class(old, level) * 16 +
		   spte_class(new, level);

	record_feature((word * 2654435761UL >> 7) % FEATURES);
}

/* Do operations of the kind change SPTEs by stores that are no preemption points? */
static bool stores_plainly(long kind)
{
	return kind == OP_AGE || (kind >= OP_MEMSLOT_FLAGS && kind <= OP_DIRTY_CLEAR);
}

static void check_changes(long kind)
{
	struct native_change *changes;
	long nr = tables_changes(&changes, stores_plainly(kind));

	splits_note(changes, nr);
	for (long i = 0; i < nr; i++) {
		const struct table *table = &tables[changes[i].number];
		u64 old = changes[i].old, new = changes[i].new;
		bool made = new & ~old & PT_WRITABLE_MASK && !splits_has(changes[i].number) &&
			    !(old & SPTE_MMU_PRESENT_MASK && old & mmu_writable);

		note_transition(kind, table, old, new);
		if (new && tables_is_leaf(table, new))
			leaf_check(table->as_id, table->gfn + ((u64)changes[i].index << 9 * (table->level - 1)),
				   new, table->level, made);
	}
}

static void check_host_range(struct hm_range range)
{
	for (int i = 0; i < MOST_SLOTS; i++) {
		const struct map_slot *slot = &map_slots[i];
		u64 base = slot->base_hva, top = base + (slot->npages << 12);
		u64 start = range.start > base ? range.start : base;
		u64 end = range.end < top ? range.end : top;

		if (slot->live && start < end)
			leaf_check_gfns(slot->as_id, slot->gfn + ((start - base) >> 12),
					slot->gfn + ((end - base + PAGE_BYTES - 1) >> 12));
	}
}

static void check_slots(const struct op *op)
{
	const struct map_slot *slot;

	switch (op->kind) {
	case OP_MEMSLOT_CREATE:	/* of a slot that is there it changes the flags */
		slot = map_slot(op->memslot.as_id, op->memslot.slot);
		if (slot && !(slot->flags & SLOT_DIRTY_LOG))
			dirty_forget(slot->as_id, slot->slot);
		break;
	case OP_MEMSLOT_FLAGS:
		slot = map_slot(op->memslot.as_id, op->memslot.slot);
		if (!slot)
			break;
		if (!(slot->flags & SLOT_DIRTY_LOG))
			dirty_forget(slot->as_id, slot->slot);
		leaf_check_gfns(slot->as_id, slot->gfn, slot->end);
		break;
	case OP_TRACK_ADD:
	case OP_TRACK_REMOVE:
		for (int as_id = 0; as_id < NR_AS; as_id++)
			leaf_check_gfns(as_id, op->track_add.gfn, op->track_add.gfn + 1);
		break;
	case OP_MEMSLOT_DELETE:
		dirty_forget(op->memslot.as_id, op->memslot.slot);
		/* fall through */
	case OP_MEMSLOT_MOVE:
	case OP_NX:
		leaf_check_all();
		break;
	}
}

static void note_dirty_get(const struct op *op, const struct outcome *outcome)
{
	const struct map_slot *slot = map_slot(op->memslot.as_id, op->memslot.slot);

	if (!slot || outcome->value)
		return;
	dirty_check(slot, outcome);
	if (!play_config->manual_dirty_log_protect)
		dirty_forget(slot->as_id, slot->slot);
}

/* The memory map is already what the operation made it. */
void check_after(const struct op *op, const struct outcome *outcome, int as_id)
{
	if (native_control->nr_splats)
		suspect("WARN()");
	/* First: what follows walks the tables that are known. */
	check_changes(op->kind);
	history_after(op, outcome, hm.nr_ranges != ranges_before);
	contents_host(op);
	if (op->kind == OP_SWAP_OUT || op->kind == OP_PAGEOUT)
		contents_settled();
	if (op->kind <= OP_EXEC)
		note_access(as_id, op->guest.gfn, op->kind, outcome);
	else if (op->kind == OP_BEGIN_FAULT && outcome->fault_gfn >= 0)
		note_begin(op->thread, as_id, op->begin_fault.gfn, outcome);
	else if (op->kind == OP_END_FAULT && outcome->result != RESULT_NOTHING)
		note_end(op->thread, as_id, outcome);
	else if (op->kind == OP_PREFAULT)
		note_prefault(as_id, op->prefault.gfn, op->prefault.n, outcome);
	else if (op->kind == OP_DIRTY_GET)
		note_dirty_get(op, outcome);
	else if (op->kind == OP_DIRTY_CLEAR && !outcome->value)
		dirty_clear(op->dirty_clear.as_id, op->dirty_clear.slot, op->dirty_clear.first, op->dirty_clear.n);
	for (long i = 0; i < hm.nr_changed; i++)
		check_host_range(hm.changed[i]);
	hm.nr_changed = 0;
	check_slots(op);
	sizes_after(op, outcome);
	emptied_after(op, outcome);
}

/* Concurrent runs: what can be told at once, and what only where all threads meet */

int check_updates;

/* The guest uses a frame: that which the host maps now, and not against the map as it is now. */
void check_touch(int as_id, u64 gfn, u64 pfn, int access, long number)
{
	const struct map_slot *slot = map_slot_at(as_id, gfn);
	u64 pte;

	if (hm_is_free(pfn))
		suspect("used a frame that the host took back");
	if (slot && access == GM_WRITE)
		contents_wrote(map_hva(slot, gfn), number);
	/* What the map is meanwhile depends on how far they are. */
	if (check_updates) {
		contents_forget();
		return;
	}
	if (!slot)
		suspect("used a frame without a memslot");
	pte = hm_lookup(map_hva(slot, gfn));
	if (!pte || pte >> 12 != pfn)
		suspect("used a frame that the host no longer maps there");
	if (access == GM_WRITE && (slot->flags & SLOT_READONLY || map_tracked_in(slot, gfn, gfn + 1)))
		suspect("written against the memory map");
}

/* Features of what an operation among others changed. */
void check_rest(const struct op *op)
{
	struct native_change *changes;
	long nr = tables_changes(&changes, true);

	for (long i = 0; i < nr; i++)
		note_transition(op->kind, &tables[changes[i].number], changes[i].old, changes[i].new);
	if (native_control->nr_splats)
		suspect("WARN()");
}

/* After the last operation, when faults have ended. */
void check_end(void)
{
	struct native_change *changes;

	tables_changes(&changes, true);
	if (native_control->nr_splats)
		suspect("WARN()");
	/* Where shadow pages follow a guest's tables, check_shadow.c looks at leaves. */
	if (!play_config->guest)
		leaf_check_all();
	books_check();
}

/* The address space ended, and release() of the mmu notifier with it. */
void check_released(void)
{
	struct native_change *changes;

	tables_changes(&changes, true);
	for (long number = 0; number < nr_tables; number++) {
		const unsigned long *raw = tables_raw(number);

		if (!tables[number].live)
			continue;
		for (int i = tables_next(raw, 0); i < 512; i = tables_next(raw, i + 1))
			if (tables_is_leaf(&tables[number], tables_entry(number, i)))
				suspect("a leaf is left when the address space has ended");
	}
}

void check_destroyed(void)
{
	struct native_change *changes;

	tables_changes(&changes, true);
	if (native_control->nr_splats)
		suspect("WARN()");
	if (!native_poison_is_whole())
		suspect("a freed page table was written to");
	books_check_leaks();
}
