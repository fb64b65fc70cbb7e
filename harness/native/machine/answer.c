// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel's code asks of the host while a program is played: enum native_request. */
#include <errno.h>

#include "guest.h"
#include "interleave.h"
#include "paging.h"
#include "task.h"

static void must_be_unlocked(void)
{
	const struct hm_lock *locks[] = { &hm.mmap_lock, &hm.page_lock, &hm.ptl };

	for (int i = 0; i < 3; i++)
		if (locks[i]->writer && !locks[i]->released && locks[i]->owner == native_task->number)
			hm_give_up("KVM wants mmap_lock inside a lock of the host");
}

static void still_there(u64 pfn)
{
	if (hm_is_free(pfn))
		hm_give_up("KVM uses a page that the host has taken back");
}

static long vma_flags(u64 addr)
{
	struct hm_vma *vma = hm_vma_find(addr);

	if (!vma)
		return -1;
	native_control->vma_start = vma->start;
	native_control->vma_end = vma->end;
	return vma->flags;
}

static long mmap_lock(bool release)
{
	if (release) {
		hm_up_read(&hm.mmap_lock);
	} else {
		must_be_unlocked();
		hm_down_read(&hm.mmap_lock);
	}
	return 0;
}

/* The CPU drops its TLB; or what is of L1 alone, or of L2 if that runs. */
static void flush(int vcpu, bool current_only)
{
	if (is_nested() && (gm_vcpus[vcpu].guest_mode || !current_only)) {
		gm_flush_l2(vcpu);
		if (current_only)
			return;
	}
	gm_flush_tlb(vcpu);
	gva_flush_all(vcpu);
	gm_vcpus[vcpu].nr_ranges = 0;
}

static long load_word(u64 hva, bool atomic)
{
	return user_load(hva, atomic, (u64 *)&native_control->loaded) ? 0 : -EFAULT;
}

static long exchange_word(u64 hva, u64 old, u64 new)
{
	u64 found;

	if (!user_cmpxchg(hva, old, new, &found))
		return -EFAULT;
	native_control->loaded = found;
	return found != old;
}

/* The fault has its pfn and is about to take mmu_lock. */
static long park(void)
{
	if (inter_on())
		run_parks();
	else
		task_switch(MAIN_TASK);
	return 0;
}

/* Did others run? */
static long yield(void)
{
	long before = inter_switches();

	inter_relax();
	return inter_switches() != before;
}

long native_answer(enum native_request what, unsigned long a, unsigned long b, unsigned long c)
{
	switch (what) {
	case HOST_POINT:
		if (!inter_on())
			hm_give_up("out of steps");
		return inter_decide((const void *)a, b);
	case HOST_WAIT:
		inter_wait(a, (const void *)b);
		return 0;
	case HOST_PARK:
		return park();
	case HOST_GUP_FAST:
		return hm_valid(a) ? hm_gup_fast(a, b) : -1;
	case HOST_GUP:
		must_be_unlocked();
		return hm_gup(a, b, c);
	case HOST_FOLLOW_PTE:
		return hm_follow_pte(a);
	case HOST_FIXUP_FAULT:
		return hm_fixup_fault(a, b);
	case HOST_VMA:
		return vma_flags(a);
	case HOST_MMAP_LOCK:
		return mmap_lock(a);
	case HOST_POISONED:
		return hm_check_hwpoison(a);
	case HOST_PUT_PAGE:
		hm_put(a);
		return 0;
	case HOST_DIRTY_PAGE:
		still_there(a);
		hm_mark_dirty(a);
		return 0;
	case HOST_ACCESSED_PAGE:
		still_there(a);
		hm_mark_accessed(a);
		return 0;
	case HOST_PAGE_COUNT:
		return !hm_is_free(a);
	case HOST_SIGBUS:
		if (native_task->number >= gm_nr_vcpus)
			hm_give_up("a signal to what is no vCPU");
		gm_vcpus[native_task->number].sigbus = true;
		return 0;
	case HOST_FLUSH:
		flush(a, b);
		return 0;
	case HOST_QUEUE_FLUSH:
		gm_queue_flush(a, b);
		return 0;
	case HOST_FLUSH_RANGES:
		gm_flush_ranges(a);
		return 0;
	case HOST_DIRTY_LOGGING:
		gm_vcpus[a].pml_enabled = b;
		return 0;
	case HOST_LOCKED:
		return 0;
	case HOST_YIELD:
		return yield();
	case HOST_USER_LOAD:
		return load_word(a, b);
	case HOST_USER_STORE:
		return user_store(a, b) ? 0 : -EFAULT;
	case HOST_USER_CMPXCHG:
		return exchange_word(a, b, c);
	case HOST_FLUSH_GVA:
		gva_flush(a, b);
		return 0;
	case HOST_FENCE:
		if (a)
			inter_fence();
		else
			inter_drain();
		return 0;
	case HOST_RELEASE:
		return inter_releases();
	}
	hm_give_up("a request that a played program has no answer to");
}
