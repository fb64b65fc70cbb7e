// SPDX-License-Identifier: GPL-2.0-only
/* mm/rmap.c, mm/page_idle.c: which pages were used.  Neighbouring 4K pages share a call. */
#include "machine.h"

static void clear_accessed(u64 start, u64 end)
{
	struct hm_list list = hm_mapped(start, end);

	for (long i = 0; i < list.nr; i++) {
		u64 pte = hm_leaf(list.at[i].addr).pte;

		if (pte & PTE_MAPPED && pte & PTE_ACCESSED)
			hm_put_leaf(list.at[i].addr, list.at[i].level, pte & ~PTE_ACCESSED);
	}
}

static void age_range(u64 start, u64 end, bool flush)
{
	hm_lock(&hm.ptl);
	clear_accessed(start, end);
	if (hm.registered)
		hm_kvm(flush ? FN_CLEAR_FLUSH_YOUNG : FN_CLEAR_YOUNG, start, end, 0, 0, 0, 0);
	hm_unlock(&hm.ptl);
}

/* folio_referenced() with `flush`, else page_idle or DAMON. */
void hm_age(u64 start, u64 end, bool flush)
{
	struct hm_list list = hm_mapped(start, end);
	struct hm_range *ranges = hm_alloc((list.nr + 1) * sizeof(*ranges));
	long nr = 0;

	for (long i = 0; i < list.nr; i++) {
		u64 addr = list.at[i].addr, last = addr + hm_size(list.at[i].level);

		if (!(hm_leaf(addr).pte & PTE_MAPPED))
			continue;
		if (list.at[i].level == 1 && nr && ranges[nr - 1].end == addr && addr & (PMD_BYTES - 1))
			ranges[nr - 1].end = last;
		else
			ranges[nr++] = (struct hm_range){ addr, last };
	}
	for (long i = 0; i < nr; i++)
		age_range(ranges[i].start, ranges[i].end, flush);
}

/* Is the page young, here or for KVM?  Changes nothing. */
void hm_test_age(u64 addr)
{
	u64 pte = hm_leaf(addr).pte;

	if (pte & PTE_MAPPED && !(pte & PTE_ACCESSED) && hm.registered)
		hm_kvm(FN_TEST_YOUNG, addr, 0, 0, 0, 0, 0);
}
