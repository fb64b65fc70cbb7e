// SPDX-License-Identifier: GPL-2.0-only
/* fs/userfaultfd.c, mm/userfaultfd.c: what the monitor of an area asks for. */
#include <errno.h>

#include "machine.h"

enum { OFF, MISSING, MINOR, WP, COPY, ZERO, CONTINUE, PROTECT, UNPROTECT };

static const long modes[] = { 0, VM_UFFD_MISSING, VM_UFFD_MINOR, VM_UFFD_WP };

static bool can_userfault(const struct hm_vma *vma, long mode)
{
	if (mode == VM_UFFD_MINOR)
		return hm_vma_is_shmem(vma);
	return hm_vma_anonymous(vma) || (hm_vma_is_shmem(vma) && mode != VM_UFFD_WP);
}

static long register_range(u64 start, u64 end, long mode)
{
	struct hm_vma *vmas[MOST_VMAS];
	int nr = hm_vma_overlapping(start, end, vmas), changed = 0;

	if (!nr)
		return -EINVAL;
	for (int i = 0; i < nr; i++)
		if (!can_userfault(vmas[i], mode))
			return -EINVAL;
	for (int i = 0; i < nr; i++) {
		struct hm_vma *vma = vmas[i];

		if ((vma->flags & UFFD_FLAGS) == mode)
			continue;
		if (!mode && vma->flags & VM_UFFD_WP)
			hm_change_protection(vma, start > vma->start ? start : vma->start,
					     end < vma->end ? end : vma->end, UFFD_RESOLVE);
		vma = hm_vma_isolate(vma, start, end);
		vma->flags = (vma->flags & ~UFFD_FLAGS) | mode;
		vmas[changed++] = vma;
	}
	hm_vma_merge_all(vmas, changed);
	return 0;
}

/* Page by page, up to the first that fails. */
static long fill(struct hm_vma *vma, u64 start, u64 end, int what, long value)
{
	bool shared = vma->flags & VM_SHARED;

	if (what == CONTINUE && !hm_vma_is_shmem(vma))
		return -EINVAL;
	for (u64 addr = start; addr < end; addr += PAGE_BYTES) {
		u64 cached;
		bool done;

		if (hm_leaf(addr).pte)
			return -EEXIST;
		if (what == CONTINUE) {
			cached = hm_cached_entry(addr);
			if (!cached || cached & PTE_HWPOISON)
				return cached ? -EIO : -EFAULT;
			done = hm_map_cached(vma, addr);
		} else if (shared && hm_cached(addr)) {
			return -EEXIST;
		} else if (what == ZERO && !shared) {
			done = hm_map_zero_page(vma, addr);
		} else {
			done = hm_map_missing(vma, addr, what == COPY ? value : 0);
		}
		if (!done)
			return -EEXIST;
		hm_point();
	}
	return 0;
}

static long ask(u64 start, u64 end, int what, long value)
{
	struct hm_vma *vma = hm_vma_find(start);

	if (!vma || !hm_vma_contains(vma, start, end) || !(vma->flags & UFFD_FLAGS))
		return -ENOENT;
	if (what < PROTECT)
		return fill(vma, start, end, what, value);
	if (!(vma->flags & VM_UFFD_WP))
		return -ENOENT;
	hm_change_protection(vma, start, end, what == PROTECT ? UFFD_PROTECT : UFFD_RESOLVE);
	return 0;
}

/* `value`: what a copied page holds. */
long hm_uffd(u64 start, u64 end, int what, long value)
{
	long answer;

	if (what <= WP) {
		hm_lock(&hm.mmap_lock);
		answer = register_range(start, end, modes[what]);
		hm_unlock(&hm.mmap_lock);
	} else {
		hm_down_read(&hm.mmap_lock);
		answer = ask(start, end, what, value);
		hm_up_read(&hm.mmap_lock);
	}
	return answer;
}
