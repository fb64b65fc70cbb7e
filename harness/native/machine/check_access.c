// SPDX-License-Identifier: GPL-2.0-only
/*
 * One guest access: stale frames, progress, the level of the mapping made, retries without a cause.
 * difffuzz/oracle/access.py and retry.py in C.
 */
#include "guest.h"
#include "play.h"

static int count_rets(const struct outcome *outcome, int from, long ret)
{
	int n = 0;

	for (int i = from; i < outcome->nr_rets; i++)
		n += outcome->rets[i] == ret;
	return n;
}

static void check_level(int as_id, u64 gfn, const struct map_slot *slot)
{
	int expected = leaf_max_level(slot, gfn);
	struct mapping *found;
	long nr;

	/* Small pages may stand where a fetch needed them. */
	if (map_nx)
		return;
	nr = tables_leaves_in(as_id, gfn, gfn + 1, &found);
	for (long i = 0; i < nr; i++)
		if (found[i].level == expected)
			return;
	if (nr)
		suspect("mapped at another level than fits");
}

/* An access that used a frame. */
static void check_mapped(int as_id, u64 gfn, int access, const struct outcome *outcome)
{
	const struct map_slot *slot = map_slot_at(as_id, gfn);
	u64 pte;

	if (!slot)
		suspect("used a frame without a memslot");
	if (access == GM_WRITE && slot->flags & SLOT_READONLY)
		suspect("written in a read-only memslot");
	if (access == GM_WRITE && map_tracked_in(slot, gfn, gfn + 1))
		suspect("written although tracked");
	pte = hm_lookup(map_hva(slot, gfn));
	if (!pte || (long)(pte >> 12) != outcome->pfn)
		suspect("used a frame that the host took back");
	if (count_rets(outcome, 0, RET_PF_FIXED) && !outcome->fast)
		check_level(as_id, gfn, slot);
}

static void check_mmio(int as_id, u64 gfn, int access)
{
	const struct map_slot *slot = map_slot_at(as_id, gfn);
	const struct hm_vma *vma;

	if (!slot || (access == GM_WRITE && slot->flags & SLOT_READONLY))
		return;
	vma = hm_vma_find(map_hva(slot, gfn));
	if (access != GM_WRITE || (vma && vma->flags & VM_WRITE))
		suspect("MMIO exit where memory is");
}

/* `own`: the invalidations that the access itself made, by breaking copy-on-write. */
static void check_retries(const struct outcome *outcome, long own)
{
	int retries = count_rets(outcome, outcome->parked_rets, RET_PF_RETRY);

	if (!retries || outcome->result == RESULT_SIGBUS || retries <= own || play_config->async_pf)
		return;
	suspect("RETRY without a cause");
}

void access_check(int as_id, u64 gfn, int access, const struct outcome *outcome, long own)
{
	if (outcome->result == RESULT_OK && outcome->pfn >= 0)
		check_mapped(as_id, gfn, access, outcome);
	else if (outcome->result == RESULT_STUCK)
		suspect("never completes");
	else if (outcome->result == RESULT_MMIO)
		check_mmio(as_id, gfn, access);
	check_retries(outcome, own);
}
