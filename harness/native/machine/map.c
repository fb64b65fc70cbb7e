// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the guest's memory map should be, from the operations alone: difffuzz/sides/memory_map.py in C.
 */
#include <string.h>

#include "play.h"

#define MOST_TRACKED 1024

struct tracked {
	const struct map_slot *slot;
	u64 gfn;
	int count;
};

struct map_slot map_slots[MOST_SLOTS];
int map_smm[NR_VCPU_THREADS];
bool map_nx;
static struct tracked *tracked;
static int nr_tracked;

struct map_slot *map_slot(int as_id, int slot)
{
	for (int i = 0; i < MOST_SLOTS; i++)
		if (map_slots[i].live && map_slots[i].as_id == as_id && map_slots[i].slot == slot)
			return &map_slots[i];
	return NULL;
}

struct map_slot *map_slot_at(int as_id, u64 gfn)
{
	for (int i = 0; i < MOST_SLOTS; i++) {
		struct map_slot *slot = &map_slots[i];

		if (slot->live && slot->as_id == as_id && slot->gfn <= gfn && gfn < slot->end)
			return slot;
	}
	return NULL;
}

u64 map_hva(const struct map_slot *slot, u64 gfn)
{
	return slot->base_hva + ((gfn - slot->gfn) << 12);
}

/* Is a gfn of [start, end) tracked in this slot? */
bool map_tracked_in(const struct map_slot *slot, u64 start, u64 end)
{
	for (int i = 0; i < nr_tracked; i++)
		if (tracked[i].slot == slot && tracked[i].count && tracked[i].gfn >= start && tracked[i].gfn < end)
			return true;
	return false;
}

/* Are writes to `gfn` tracked, through either address space? */
bool map_tracked(int as_id, u64 gfn)
{
	const struct map_slot *one = map_slot_at(as_id, gfn), *other = map_slot_at(!as_id, gfn);

	return (one && map_tracked_in(one, gfn, gfn + 1)) || (other && map_tracked_in(other, gfn, gfn + 1));
}

static void remove_slot(struct map_slot *slot)
{
	slot->live = false;
	for (int i = 0; i < nr_tracked; i++)
		if (tracked[i].slot == slot)
			tracked[i].count = 0;
}

static void create(int as_id, int slot, u64 gfn, u64 npages, u64 hva, long flags)
{
	struct map_slot *new = map_slots;

	while (new->live)
		if (++new == map_slots + MOST_SLOTS)
			hm_give_up("too many memslots");
	*new = (struct map_slot){ true, slot, as_id, gfn, npages, gfn + npages, hva, flags };
}

static void set(int as_id, int slot, u64 gfn, u64 npages, u64 hva, long flags)
{
	struct map_slot *old = map_slot(as_id, slot);

	if (old) {
		if (hva != old->base_hva || npages != old->npages || (flags ^ old->flags) & SLOT_READONLY)
			return;
		if (gfn == old->gfn) {
			old->flags = flags;
			return;
		}
	}
	for (int i = 0; i < MOST_SLOTS; i++) {
		struct map_slot *other = &map_slots[i];

		if (other->live && other != old && other->as_id == as_id && other->gfn < gfn + npages &&
		    gfn < other->end)
			return;
	}
	/* Beyond kvm_mmu_max_gfn(); with shadow paging that is 52 bits. */
	if (play_config->tdp && gfn + npages > 1UL << (play_config->maxphyaddr - 12))
		return;
	if (old)
		remove_slot(old);
	create(as_id, slot, gfn, npages, hva, flags);
}

static void track(int as_id, u64 gfn, int count)
{
	const struct map_slot *slot = map_slot_at(as_id, gfn);

	if (!slot)
		return;
	for (int i = 0; i < nr_tracked; i++)
		if (tracked[i].slot == slot && tracked[i].gfn == gfn && tracked[i].count) {
			tracked[i].count += count;
			return;
		}
	if (count < 0)
		return;
	if (nr_tracked == MOST_TRACKED)
		hm_give_up("too many tracked pages");
	tracked[nr_tracked++] = (struct tracked){ slot, gfn, count };
}

void map_init(const struct config *config, const struct slot_spec *slots)
{
	tracked = hm_alloc_list(MOST_TRACKED * sizeof(*tracked));
	map_nx = config->nx_huge_pages;
	for (int i = 0; i < config->nr_slots; i++)
		create(slots[i].as_id, slots[i].slot, slots[i].gfn, slots[i].npages,
		       HM_AREA_BASE(slots[i].area) + (slots[i].page << 12), slots[i].flags);
}

/* Notes an operation. */
void map_apply(const struct op *op)
{
	struct map_slot *slot;

	switch (op->kind) {
	case OP_MEMSLOT_CREATE:
		set(op->memslot_create.as_id, op->memslot_create.slot, op->memslot_create.gfn, op->memslot_create.n,
		    HM_AREA_BASE(op->memslot_create.area) + (op->memslot_create.page << 12), op->memslot_create.flags);
		break;
	case OP_MEMSLOT_DELETE:
		slot = map_slot(op->memslot.as_id, op->memslot.slot);
		if (slot)
			remove_slot(slot);
		break;
	case OP_MEMSLOT_MOVE:
		slot = map_slot(op->memslot.as_id, op->memslot.slot);
		if (slot)
			set(slot->as_id, slot->slot, op->memslot_move.gfn, slot->npages, slot->base_hva, slot->flags);
		break;
	case OP_MEMSLOT_FLAGS:
		slot = map_slot(op->memslot.as_id, op->memslot.slot);
		if (slot)
			set(slot->as_id, slot->slot, slot->gfn, slot->npages, slot->base_hva, op->memslot_flags.flags);
		break;
	case OP_TRACK_ADD:
		track(op->track_add.as_id, op->track_add.gfn, 1);
		break;
	case OP_TRACK_REMOVE:
		track(op->track_remove.as_id, op->track_remove.gfn, -1);
		break;
	case OP_SMM:
		map_smm[op->thread] = op->smm.on;
		break;
	case OP_NX:
		map_nx = op->nx.on;
		break;
	}
}
