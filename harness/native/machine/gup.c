// SPDX-License-Identifier: GPL-2.0-only
/* mm/gup.c and follow_pte(): how KVM and the host's own CPUs reach pages of the process. */
#include <errno.h>

#include "machine.h"

static bool usable(u64 pte, bool write)
{
	return pte & PTE_PRESENT && (!write || pte & PTE_WRITE);
}

static bool permits(const struct hm_vma *vma, bool write)
{
	return vma && vma->flags & (write ? VM_WRITE : VM_READ);
}

/* The pfn mapped at `addr`, with a reference, or -1. */
long hm_gup_fast(u64 addr, bool write)
{
	u64 pte = hm_page(addr);

	if (!usable(pte, write) || pte & PTE_SPECIAL)
		return -1;
	hm_get(pte >> 12);
	return pte >> 12;
}

/* The pfn with a reference, 0 if `nowait` and it is in swap, or -errno. */
long hm_gup_locked(u64 addr, bool write, bool nowait)
{
	for (;;) {
		struct hm_vma *vma = hm_vma_find(addr);
		u64 pte;

		if (!permits(vma, write) || vma->flags & (VM_IO | VM_PFNMAP))
			return -EFAULT;
		pte = hm_page(addr);
		if (usable(pte, write)) {
			hm_get(pte >> 12);
			hm_mark_accessed(pte >> 12);
			if (write)
				hm_mark_dirty(pte >> 12);
			return pte >> 12;
		}
		switch (hm_fault(vma, addr, write, nowait)) {
		case VM_FAULT_HWPOISON:
			return -EHWPOISON;
		case VM_FAULT_RETRY:
			return 0;
		}
	}
}

long hm_gup(u64 addr, bool write, bool nowait)
{
	long pfn;

	hm_down_read(&hm.mmap_lock);
	pfn = hm_gup_locked(addr, write, nowait);
	hm_up_read(&hm.mmap_lock);
	return pfn;
}

/* Would a write meet a poisoned page?  Faults the page in. */
bool hm_check_hwpoison(u64 addr)
{
	long pfn = hm_gup_locked(addr, true, false);

	if (pfn > 0)
		hm_put(pfn);
	return pfn == -EHWPOISON;
}

u64 hm_follow_pte(u64 addr)
{
	u64 pte = hm_pte(addr);

	return pte & PTE_PRESENT ? (pte & ~PTE_FLAGS) | 1 | (pte & PTE_WRITE) : 0;
}

int hm_fixup_fault(u64 addr, bool write)
{
	struct hm_vma *vma = hm_vma_find(addr);

	if (!permits(vma, write))
		return -EFAULT;
	return hm_fault(vma, addr, write, false) ? -EFAULT : 0;
}

/* An access of a host CPU with its page faults: the pfn, or -1 for a signal. */
long hm_cpu_access(u64 addr, bool write)
{
	u64 pte;
	int r;

	while (!usable(pte = hm_page(addr), write)) {
		hm_down_read(&hm.mmap_lock);
		r = hm_fixup_fault(addr, write);
		hm_up_read(&hm.mmap_lock);
		if (r)
			return -1;
	}
	return pte >> 12;
}

/* The CPU sets accessed and dirty bits. */
void hm_touch(u64 addr, bool write)
{
	struct hm_leaf leaf = hm_leaf(addr);

	hm_put_leaf(addr, leaf.level, leaf.pte | PTE_ACCESSED | (write ? PTE_DIRTY : 0));
}

bool hm_copy_to_user(u64 addr, long value)
{
	long pfn = hm_cpu_access(addr, true);

	if (pfn < 0)
		return false;
	hm_touch(addr, true);
	hm_set_data(pfn, value);
	return true;
}

bool hm_copy_from_user(u64 addr, long *value)
{
	long pfn = hm_cpu_access(addr, false);

	if (pfn < 0)
		return false;
	hm_touch(addr, false);
	*value = hm_data(pfn);
	return true;
}
