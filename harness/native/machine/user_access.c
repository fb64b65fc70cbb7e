// SPDX-License-Identifier: GPL-2.0-only
/*
 * 8-byte words of user memory as the kernel reads and writes them: a page that is not there is
 * faulted in, unless the access is atomic.  difffuzz/machine/user_access.py in C.
 */
#include "paging.h"

/* The pfn behind an address; -1 for a fault. */
static long frame(u64 hva, bool write, bool atomic)
{
	long pfn;

	if ((atomic && !(hm_page(hva) & PTE_PRESENT)) || !hm_vma_find(hva))
		return -1;
	pfn = hm_cpu_access(hva, write);
	if (pfn >= 0)
		hm_touch(hva, write);
	return pfn;
}

static int place(u64 hva)
{
	return hva >> 3 & 511;
}

/* One word of a page changes. */
void store_word(u64 pfn, int index, u64 word)
{
	hm_set_data(pfn, content_with_word(hm_data(pfn), index, word));
}

bool user_load(u64 hva, bool atomic, u64 *word)
{
	long pfn = frame(hva, false, atomic);

	if (pfn < 0)
		return false;
	*word = content_word(hm_data(pfn), place(hva));
	return true;
}

bool user_store(u64 hva, u64 word)
{
	long pfn = frame(hva, true, false);

	if (pfn < 0)
		return false;
	store_word(pfn, place(hva), word);
	return true;
}

/* Writes the word if it is `old`; *found becomes what it was. */
bool user_cmpxchg(u64 hva, u64 old, u64 new, u64 *found)
{
	long pfn = frame(hva, true, false);

	if (pfn < 0)
		return false;
	*found = content_word(hm_data(pfn), place(hva));
	if (*found == old)
		store_word(pfn, place(hva), new);
	return true;
}
