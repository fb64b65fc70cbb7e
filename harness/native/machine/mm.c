// SPDX-License-Identifier: GPL-2.0-only
/* struct mm_struct: the state that every host operation works on, its locks, KVM's mmu notifier. */
#include <string.h>

#include "interleave.h"
#include "machine.h"

struct hm hm;

static const long flags_of[] = {
	[AREA_THP] = VM_READ | VM_WRITE,
	[AREA_4K] = VM_READ | VM_WRITE | VM_NOHUGEPAGE,
	[AREA_HUGETLB2M] = VM_READ | VM_WRITE | VM_HUGETLB,
	[AREA_HUGETLB1G] = VM_READ | VM_WRITE | VM_HUGETLB,
	[AREA_SHARED] = VM_READ | VM_WRITE | VM_SHARED,
	[AREA_FILE] = VM_READ | VM_WRITE | VM_SHARED | VM_FILE,
	[AREA_PFNMAP] = VM_READ | VM_WRITE | VM_SHARED | VM_PFNMAP | VM_IO,
	[AREA_SHMEM_THP] = VM_READ | VM_WRITE | VM_SHARED | VM_SHMEM_HUGE,
	[AREA_PFNMAP_TAILS] = VM_READ | VM_WRITE | VM_SHARED | VM_PFNMAP | VM_TAILS,
};

/* Twice as much room, in memory of the program. */
static void *grow(void *old, long used, long *room, unsigned long size)
{
	void *more;

	*room = *room ? 2 * *room : 256;
	more = hm_alloc(*room * size);
	if (used)
		memcpy(more, old, used * size);
	return more;
}

void hm_init(const long *kinds, int nr)
{
	hm_init_frames();
	hm_init_page_table();
	hm.ksm = hm_alloc(MOST_KSM * sizeof(*hm.ksm));
	hm.next_slot = 1;
	hm.registered = true;
	for (int i = 0; i < nr; i++) {
		u64 base = HM_AREA_BASE(i);

		hm.areas[i] = kinds[i];
		hm_vma_insert(hm_new_vma(kinds[i], base, base + (HM_AREA_PAGES << 12)));
	}
}

/* A function of kernel/api.c as the current task; a fault in progress is not parked in it. */
long hm_kvm(int function, long a, long b, long c, long d, long e, long f)
{
	struct native_task *task = native_task;
	int want_park = task->want_park;
	long r;

	task->want_park = 0;
	native_enter_kernel();
	r = native_api[function](a, b, c, d, e, f);
	native_settle_frames();
	native_leave_kernel();
	task->want_park = want_park;
	return r;
}

/* Locks.  Where one operation runs at a time, whoever finds one taken has met a deadlock. */

void hm_point(void)
{
	native_point(NULL, 1);
}

static void take(struct hm_lock *lock, bool exclusive)
{
	if (lock->released && lock->writer && lock->owner == native_task->number)
		inter_fence();
	hm_point();
	inter_drain();
	if (!lock->writer && !(exclusive && lock->readers))
		return;
	if (lock->writer && lock->owner == native_task->number)
		hm_give_up("a lock of the host is taken again by its holder");
	inter_wait(exclusive ? WAIT_HOST_WRITE : WAIT_HOST_READ, lock);
}

void hm_down_read(struct hm_lock *lock)
{
	take(lock, false);
	lock->readers++;
}

void hm_up_read(struct hm_lock *lock)
{
	lock->readers--;
	inter_drain();
	hm_point();
}

void hm_lock(struct hm_lock *lock)
{
	take(lock, true);
	lock->writer = true;
	lock->released = false;
	lock->owner = native_task->number;
}

/* One that spins is released by a plain store. */
void hm_unlock(struct hm_lock *lock)
{
	if (lock != &hm.ptl)
		inter_drain();
	lock->released = inter_store_waits(&lock->writer, sizeof(lock->writer), false);
	if (!lock->released)
		lock->writer = false;
	hm_point();
}

/* The mmu notifier */

void hm_note_range(u64 start, u64 end)
{
	if (hm.nr_ranges == hm.room_for_ranges)
		hm.ranges = grow(hm.ranges, hm.nr_ranges, &hm.room_for_ranges, sizeof(*hm.ranges));
	hm.ranges[hm.nr_ranges++] = (struct hm_range){ start, end };
}

void hm_invalidate_start(u64 start, u64 end)
{
	if (hm.registered) {
		hm_kvm(FN_INVALIDATE_RANGE_START, start, end, 1, 0, 0, 0);
		hm_note_range(start, end);
	}
	hm_point();
}

void hm_invalidate_end(u64 start, u64 end)
{
	hm_point();
	if (hm.registered)
		hm_kvm(FN_INVALIDATE_RANGE_END, start, end, 0, 0, 0, 0);
}

/* An entry as the CPU has it. */
static u64 x86_pte(u64 pte)
{
	return pte ? (pte & ~PTE_FLAGS) | 1 | (pte & PTE_WRITE) : 0;
}

/* Clears the 4K entry, tells KVM its new value, sets it. */
void hm_set_pte_at_notify(u64 addr, u64 pte)
{
	hm_set_pte(addr, 0);
	if (hm.registered)
		hm_kvm(FN_CHANGE_PTE, addr, x86_pte(pte), 0, 0, 0, 0);
	hm_set_pte(addr, pte);
}

/* Areas and VMAs */

int hm_area_kind(u64 addr)
{
	return hm.areas[(addr >> 40) - 1];
}

bool hm_area_is_shared(u64 addr)
{
	return flags_of[hm_area_kind(addr)] & VM_SHARED;
}

int hm_area_level(u64 addr)
{
	int kind = hm_area_kind(addr);

	return kind == AREA_HUGETLB2M ? 2 : kind == AREA_HUGETLB1G ? 3 : 1;
}

/* A fresh mapping; device memory gets pfns never used before. */
struct hm_vma *hm_new_vma(int kind, u64 start, u64 end)
{
	struct hm_vma *vma = hm_alloc(sizeof(*vma));

	vma->start = start;
	vma->end = end;
	vma->flags = flags_of[kind];
	vma->level = kind == AREA_HUGETLB2M ? 2 : kind == AREA_HUGETLB1G ? 3 : 1;
	if (vma->flags & VM_PFNMAP)
		vma->pfn_delta = (kind == AREA_PFNMAP_TAILS ? hm_tails_alloc : hm_device_alloc)((end - start) >> 12) -
				 (start >> 12);
	return vma;
}

/* Entries */

/* Notes that entries of [start, end) changed. */
void hm_note(u64 start, u64 end)
{
	struct hm_range *last = hm.nr_changed ? &hm.changed[hm.nr_changed - 1] : NULL;

	if (last && last->start <= start && start <= last->end) {
		if (end > last->end)
			last->end = end;
		return;
	}
	if (hm.nr_changed == hm.room_for_changed)
		hm.changed = grow(hm.changed, hm.nr_changed, &hm.room_for_changed, sizeof(*hm.changed));
	hm.changed[hm.nr_changed++] = (struct hm_range){ start, end };
}

void hm_set_pte(u64 addr, u64 pte)
{
	hm_put_leaf(addr, 1, pte);
	hm_note(addr, addr + PAGE_BYTES);
}

/* Flags of an entry for a page that is mapped again.  No VMA: it is about to be cleared. */
u64 hm_remap(const struct hm_vma *vma, u64 flags)
{
	if (!vma)
		return flags | PTE_PRESENT;
	if (!(vma->flags & VM_READ))
		return (flags & ~PTE_WRITE) | PTE_PROTNONE;
	if (!(vma->flags & VM_WRITE))
		flags &= ~PTE_WRITE;
	else if (vma->flags & VM_SHARED && !hm_wants_writenotify(vma))
		flags |= PTE_WRITE;
	return flags | PTE_PRESENT;
}

/* Drops the reference that an entry which maps a page, or migrates one, held. */
void hm_unmap_entry(u64 addr, int level, u64 pte)
{
	u64 pfn = pte >> 12;

	if (level > 1) {
		if (pte & PTE_DIRTY && hm_cached(addr))
			hm_mark_dirty(pfn);
		hm_unmap_run(pfn);
		return;
	}
	if (hm_reserved(pfn))
		return;
	hm_ksm_remove(pfn, addr);
	if (pte & PTE_DIRTY && hm_cached(addr))
		hm_mark_dirty(pfn);
	hm_unmap_page(pfn);
}

/* The page cache of shared areas: an entry for each page that is there; each is a mapping. */

static u64 *cached_at(u64 addr, bool make)
{
	int area = (addr >> 40) - 1, pmd = addr >> 21 & (HM_PMDS - 1);

	if (!hm.page_cache[area]) {
		if (!make)
			return NULL;
		hm.page_cache[area] = hm_alloc(HM_PMDS * sizeof(u64 *));
	}
	if (!hm.page_cache[area][pmd]) {
		if (!make)
			return NULL;
		hm.page_cache[area][pmd] = hm_alloc(512 * sizeof(u64));
	}
	return &hm.page_cache[area][pmd][addr >> 12 & 511];
}

u64 hm_cached(u64 addr)
{
	u64 *at = cached_at(addr, false);

	return at ? *at : 0;
}

bool hm_cached_near(u64 addr)
{
	return cached_at(addr, false);
}

void hm_set_cached(u64 addr, u64 pte)
{
	*cached_at(addr, true) = pte;
}

/* What the disk has of a file. */

static long *disk_at(u64 addr, bool make)
{
	int area = (addr >> 40) - 1, pmd = addr >> 21 & (HM_PMDS - 1);

	if (!hm.disk[area]) {
		if (!make)
			return NULL;
		hm.disk[area] = hm_alloc(HM_PMDS * sizeof(long *));
	}
	if (!hm.disk[area][pmd]) {
		if (!make)
			return NULL;
		hm.disk[area][pmd] = hm_alloc(512 * sizeof(long));
	}
	return &hm.disk[area][pmd][addr >> 12 & 511];
}

long hm_disk(u64 addr)
{
	long *at = disk_at(addr, false);

	return at ? *at : 0;
}

void hm_write_disk(u64 addr, long data)
{
	*disk_at(addr, true) = data;
}

/* KSM pages: the addresses that map each. */

bool hm_is_ksm(u64 pfn)
{
	for (int i = 0; i < hm.nr_ksm; i++)
		if (hm.ksm[i].pfn == pfn)
			return true;
	return false;
}

/* Ascending; `out` has room for MOST_KSM.  0: it is no KSM page. */
int hm_ksm_addresses(u64 pfn, u64 *out)
{
	int nr = 0;

	for (int i = 0; i < hm.nr_ksm; i++) {
		int at = nr;

		if (hm.ksm[i].pfn != pfn)
			continue;
		while (at && out[at - 1] > hm.ksm[i].addr) {
			out[at] = out[at - 1];
			at--;
		}
		out[at] = hm.ksm[i].addr;
		nr++;
	}
	return nr;
}

void hm_ksm_add(u64 pfn, u64 addr)
{
	addr &= -PAGE_BYTES;
	for (int i = 0; i < hm.nr_ksm; i++)
		if (hm.ksm[i].pfn == pfn && hm.ksm[i].addr == addr)
			return;
	if (hm.nr_ksm == MOST_KSM)
		hm_give_up("too many KSM pages");
	hm.ksm[hm.nr_ksm++] = (struct hm_ksm){ pfn, addr };
}

void hm_ksm_remove(u64 pfn, u64 addr)
{
	addr &= -PAGE_BYTES;
	for (int i = 0; i < hm.nr_ksm; i++)
		if (hm.ksm[i].pfn == pfn && hm.ksm[i].addr == addr)
			hm.ksm[i--] = hm.ksm[--hm.nr_ksm];
}

void hm_ksm_forget(u64 pfn)
{
	for (int i = 0; i < hm.nr_ksm; i++)
		if (hm.ksm[i].pfn == pfn)
			hm.ksm[i--] = hm.ksm[--hm.nr_ksm];
}

/* Swap slots */

static long room_for_swap;

long hm_swap_new(long count, long data, long cached)
{
	if (hm.next_slot >= room_for_swap)
		hm.swap = grow(hm.swap, room_for_swap, &room_for_swap, sizeof(*hm.swap));
	hm.swap[hm.next_slot] = (struct hm_swap_slot){ count, data, cached, 0 };
	return hm.next_slot++;
}

/* One entry less refers to the slot; the last one frees it. */
void hm_swap_free(u64 number)
{
	struct hm_swap_slot *slot = &hm.swap[number];

	if (slot->count <= 0)
		hm_give_up("a swap slot is freed twice");
	if (!--slot->count && slot->cached >= 0)
		hm_unmap_page(slot->cached);
}

/* What the child of the last fork maps */

void hm_child_add_page(u64 pfn, int count)
{
	if (hm.nr_child_pages == hm.room_for_child_pages)
		hm.child_pages = grow(hm.child_pages, hm.nr_child_pages, &hm.room_for_child_pages,
				      sizeof(*hm.child_pages));
	hm.child_pages[hm.nr_child_pages++] = pfn;
	hm_frame(pfn)->child += count;
}

void hm_child_add_run(struct hm_run *run, int count)
{
	if (hm.nr_child_runs == (int)(sizeof(hm.child_runs) / sizeof(*hm.child_runs)))
		hm_give_up("the child has too many huge pages");
	hm.child_runs[hm.nr_child_runs++] = run;
	run->child += count;
}

/* The child maps the huge page of `pfn` by 4K entries from now on. */
void hm_child_split(u64 pfn)
{
	struct hm_run *run = hm_run(pfn);
	int count;

	if (!run || !run->child)
		return;
	count = run->child;
	run->child = 0;
	for (unsigned long page = 0; page < run->size; page++)
		hm_child_add_page(run->head + page, count);
}

/* Takes a page away from the child; returns how often it mapped it. */
int hm_child_unmap(u64 pfn, int level)
{
	struct hm_run *run = hm_run(pfn);
	struct hm_frame *frame;
	int count;

	if (level > 1) {
		count = run && run->head == pfn ? run->child : 0;
		if (count)
			run->child = 0;
		for (int i = 0; i < count; i++)
			hm_unmap_run(pfn);
		return count;
	}
	hm_child_split(pfn);
	frame = hm_frame(pfn);
	count = frame->child;
	frame->child = 0;
	for (int i = 0; i < count; i++)
		hm_unmap_page(pfn);
	return count;
}
