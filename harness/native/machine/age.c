// SPDX-License-Identifier: GPL-2.0-only
/* mm/rmap.c, mm/page_idle.c: which pages were used.  Neighbouring 4K pages share a call. */
#include "machine.h"

static bool clear_accessed(u64 start, u64 end)
{
	struct hm_list list = hm_mapped(start, end);
	bool young = false;

	for (long i = 0; i < list.nr; i++) {
		u64 pte = hm_leaf(list.at[i].addr).pte;

		if (pte & PTE_MAPPED && pte & PTE_ACCESSED) {
			hm_put_leaf(list.at[i].addr, list.at[i].level, pte & ~PTE_ACCESSED);
			young = true;
		}
	}
	return young;
}

static bool clear_referenced(u64 start, u64 end)
{
	struct hm_list list = hm_mapped(start, end);
	bool young = false;

	for (long i = 0; i < list.nr; i++) {
		u64 pte = hm_leaf(list.at[i].addr).pte;

		if (pte & PTE_MAPPED && hm_accessed(pte >> 12)) {
			hm_clear_accessed(pte >> 12);
			young = true;
		}
	}
	return young;
}

static int age_range(u64 start, u64 end, bool flush)
{
	int young = 0;

	hm_lock(&hm.ptl);
	if (clear_accessed(start, end))
		young |= HOST_YOUNG;
	if (hm.registered &&
	    hm_kvm(flush ? FN_CLEAR_FLUSH_YOUNG : FN_CLEAR_YOUNG, start, end, 0, 0, 0, 0))
		young |= KVM_YOUNG;
	if (clear_referenced(start, end))
		young |= PAGE_YOUNG;
	hm_unlock(&hm.ptl);
	return young;
}

/* folio_referenced() with `flush`, else page_idle or DAMON: who found any page young. */
int hm_age(u64 start, u64 end, bool flush)
{
	struct hm_list list = hm_mapped(start, end);
	struct hm_range *ranges = hm_alloc((list.nr + 1) * sizeof(*ranges));
	long nr = 0;
	int young = 0;

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
		young |= age_range(ranges[i].start, ranges[i].end, flush);
	return young;
}

/* Who finds the page young?  Changes nothing. */
int hm_test_age(u64 addr)
{
	u64 pte = hm_leaf(addr).pte;
	int young = 0;

	if (!(pte & PTE_MAPPED))
		return 0;
	if (pte & PTE_ACCESSED)
		young = HOST_YOUNG;
	else if (hm.registered && hm_kvm(FN_TEST_YOUNG, addr, 0, 0, 0, 0, 0))
		young = KVM_YOUNG;
	return hm_accessed(hm_page(addr) >> 12) ? young | PAGE_YOUNG : young;
}
