// SPDX-License-Identifier: GPL-2.0-only
/* Mappings of the host process: the VMAs in the order of their addresses, splitting and merging. */
#include <string.h>

#include "machine.h"

struct hm_vmas hm_vmas;

/* How many begin at or below `addr`. */
static int below(u64 addr)
{
	int n = 0;

	while (n < hm_vmas.nr && hm_vmas.at[n]->start <= addr)
		n++;
	return n;
}

struct hm_vma *hm_vma_find(u64 addr)
{
	int n = below(addr);

	return n && addr < hm_vmas.at[n - 1]->end ? hm_vmas.at[n - 1] : NULL;
}

/* VMAs that have a byte in [start, end), ascending; `out` has room for MOST_VMAS. */
int hm_vma_overlapping(u64 start, u64 end, struct hm_vma **out)
{
	int nr = 0;

	for (int i = 0; i < hm_vmas.nr; i++)
		if (hm_vmas.at[i]->start < end && hm_vmas.at[i]->end > start)
			out[nr++] = hm_vmas.at[i];
	return nr;
}

void hm_vma_insert(struct hm_vma *vma)
{
	int n = below(vma->start);

	if (hm_vmas.nr == MOST_VMAS)
		hm_give_up("too many VMAs");
	memmove(&hm_vmas.at[n + 1], &hm_vmas.at[n], (hm_vmas.nr - n) * sizeof(vma));
	hm_vmas.at[n] = vma;
	hm_vmas.nr++;
}

void hm_vma_remove(struct hm_vma *vma)
{
	int n = 0;

	while (n < hm_vmas.nr && hm_vmas.at[n] != vma)
		n++;
	if (n == hm_vmas.nr)
		hm_give_up("no such VMA");
	hm_vmas.nr--;
	memmove(&hm_vmas.at[n], &hm_vmas.at[n + 1], (hm_vmas.nr - n) * sizeof(vma));
}

/* Cuts a VMA at `addr`; returns the upper part. */
struct hm_vma *hm_vma_split(struct hm_vma *vma, u64 addr)
{
	struct hm_vma *upper = hm_alloc(sizeof(*upper));

	*upper = *vma;
	upper->start = addr;
	vma->end = addr;
	hm_vma_insert(upper);
	return upper;
}

/* Joins neighbours with equal properties that meet in [start, end]. */
void hm_vma_merge(u64 start, u64 end)
{
	struct hm_vma *found[MOST_VMAS];
	int nr = hm_vma_overlapping(start - 1, end + 1, found);

	for (int i = 1; i < nr; i++) {
		struct hm_vma *upper = found[i], *lower = hm_vma_find(upper->start - 1);

		if (lower && lower->flags == upper->flags && lower->level == upper->level &&
		    lower->pfn_delta == upper->pfn_delta) {
			hm_vma_remove(upper);
			lower->end = upper->end;
			lower->anon_vma |= upper->anon_vma;
		}
	}
}

/* Joins those that changed with their neighbours: who did not change looks for none. */
void hm_vma_merge_all(struct hm_vma **changed, int nr)
{
	for (int i = 0; i < nr; i++)
		hm_vma_merge(changed[i]->start, changed[i]->end);
}

bool hm_vma_anonymous(const struct hm_vma *vma)
{
	return !(vma->flags & (VM_SHARED | VM_HUGETLB));
}

/* Is a page that is clean mapped read-only? */
bool hm_wants_writenotify(const struct hm_vma *vma)
{
	return vma->flags & VM_FILE;
}

bool hm_vma_is_shmem(const struct hm_vma *vma)
{
	return (vma->flags & (VM_SHARED | VM_PFNMAP | VM_FILE | VM_HUGETLB)) == VM_SHARED;
}

bool hm_vma_contains(const struct hm_vma *vma, u64 start, u64 end)
{
	return vma->start <= start && end <= vma->end;
}

/* May a huge page lie at the 2M around `addr`? */
/* Does the 2M range around `addr` lie in it? */
bool hm_vma_fits_huge(const struct hm_vma *vma, u64 addr)
{
	u64 base = addr & -PMD_BYTES;

	return vma->start <= base && base + PMD_BYTES <= vma->end;
}

bool hm_vma_thp_allowed(const struct hm_vma *vma, u64 addr)
{
	u64 base = addr & -PMD_BYTES;

	return !(vma->flags & (VM_SHARED | VM_HUGETLB | VM_NOHUGEPAGE)) &&
	       hm_vma_contains(vma, base, base + PMD_BYTES);
}
