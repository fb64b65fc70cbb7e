// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the oracles may see of the VM: numbers, read without a trace.  Exported as they are, they
 * lock nothing and are no preemption points.
 */
#include <linux/kvm_host.h>

#include "arch/x86/kvm/mmu.h"
#include "arch/x86/kvm/mmu/mmu_internal.h"
#include "arch/x86/kvm/mmu/spte.h"
#include "vm.h"

#define API __attribute__((visibility("default"), used))

#if DIFFFUZZ_KERNEL < 6002
#define NX_SPLITS(kvm) (&(kvm)->arch.lpage_disallowed_mmu_pages)
#define NX_LINK lpage_disallowed_link
#else
#define NX_SPLITS(kvm) (&(kvm)->arch.possible_nx_huge_pages)
#define NX_LINK possible_nx_huge_page_link
#endif

/* Up to 6.2 the lists of the TDP MMU are not even initialised where it is not used. */
static bool is_empty(const struct list_head *head)
{
	return !head->next || list_empty(head);
}

static __maybe_unused long count_list(const void *head)
{
	const struct list_head *at;
	long n = 0;

	if (is_empty(head))
		return 0;
	list_for_each(at, (const struct list_head *)head)
		n++;
	return n;
}

static __maybe_unused long read_counter(const void *counter)
{
	return atomic64_read((const atomic64_t *)counter);
}

/* A list up to 6.2, a counter since. */
#define TDP_MMU_PAGES(kvm) _Generic((kvm)->arch.tdp_mmu_pages,			\
	struct list_head: count_list, default: read_counter)(&(kvm)->arch.tdp_mmu_pages)

API long native_ready_now(long kind, const void *object)
{
	return native_ready(kind, object);
}

bool native_ready(long kind, const void *object)
{
	unsigned long vcpu = (unsigned long)object >> 32;

	switch (kind) {
	case WAIT_SRCU:
	case WAIT_RCU:
		return native_rcu_ready(kind, object);
	case WAIT_IPI:
		return native_vcpu_ipis[vcpu] != ((unsigned long)object & ~0U) ||
		       native_vcpus[vcpu]->mode == OUTSIDE_GUEST_MODE;
	case WAIT_WAKE:
		return !native_kvm->mn_active_invalidate_count;
	default:
		return native_lock_ready(kind, object);
	}
}

/*
 * An entry as oracles see it: without the bit that suppresses #VE.  Since 6.10 it is set where
 * nothing is mapped and, if the CPU ignores it otherwise, in every other entry too.
 */
unsigned long native_seen(unsigned long entry)
{
#if DIFFFUZZ_KERNEL >= 6010
	if (!is_shadow_present_pte(entry) || shadow_present_mask & SHADOW_NONPRESENT_VALUE)
		return entry & ~SHADOW_NONPRESENT_VALUE;
#endif
	return entry;
}

/* The numbers of the VM, in the order of difffuzz/native/view.py. */
API void native_vm_numbers(long *out)
{
	struct kvm *kvm = native_kvm;
	struct kvm_mmu_page *sp;
	long nx = 0;

	list_for_each_entry(sp, NX_SPLITS(kvm), NX_LINK)
		nx++;
	out[0] = atomic64_read(&kvm->stat.pages_4k);
	out[1] = atomic64_read(&kvm->stat.pages_2m);
	out[2] = atomic64_read(&kvm->stat.pages_1g);
	out[3] = kvm->stat.nx_lpage_splits;
	out[4] = nx;
	out[5] = kvm->stat.mmu_recycled;
	out[6] = kvm->arch.n_used_mmu_pages;
	out[7] = kvm->arch.n_max_mmu_pages;
	out[8] = TDP_MMU_PAGES(kvm);
	out[9] = kvm->mmu_invalidate_seq;
	out[10] = kvm->mmu_invalidate_in_progress;
	out[11] = kvm->arch.mmu_valid_gen;
	out[12] = __kvm_memslots(kvm, 0)->generation;
	out[13] = __kvm_memslots(kvm, 1)->generation;
	out[14] = kvm->stat.generic.remote_tlb_flush_requests;
	out[15] = kvm->stat.mmu_shadow_zapped;
}

/* The masks of SPTEs that oracles use. */
API void native_masks(unsigned long *out)
{
	out[0] = shadow_x_mask;
	out[1] = shadow_nx_mask;
	out[2] = shadow_mmu_writable_mask;
	out[3] = shadow_mmio_mask;
	out[4] = shadow_mmio_value;
	out[5] = enable_mmio_caching;
	out[6] = shadow_accessed_mask;
	out[7] = shadow_dirty_mask;
}

/* The vCPU's numbers; out[9..] are the previous roots. */
API void native_vcpu_numbers(long vcpu, long *out)
{
	const struct kvm_vcpu *v = native_vcpus[vcpu];
	const struct kvm_mmu *mmu = v->arch.mmu;

	out[0] = mmu->root.hpa;
	out[1] = mmu->root_role.level;
	out[2] = v->requests;
	out[3] = v->stat.pf_taken;
	out[4] = v->stat.pf_fixed;
	out[5] = v->stat.pf_emulate;
	out[6] = v->stat.pf_spurious;
	out[7] = v->stat.pf_fast;
	out[8] = v->stat.pf_mmio_spte_created;
	for (int i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		out[9 + i] = mmu->prev_roots[i].hpa;
}

/* The shadow page whose table is the page of that number; 0: there is none. */
API long native_shadow_page(unsigned long number, long *out)
{
	struct page *page = virt_to_page((void *)(native_pages + number * PAGE_SIZE));
	const struct kvm_mmu_page *sp = (void *)page_private(page);

	if (!sp)
		return 0;
	out[0] = sp->role.level;
	out[1] = sp->role.smm;
	out[2] = sp->gfn;
	out[3] = sp->role.invalid;
	out[4] = sp->tdp_mmu_page;
	out[5] = sp->mmu_valid_gen;
	out[6] = sp->tdp_mmu_page ? (long)sp->ptep : 0;
	out[7] = sp->tdp_mmu_page ? refcount_read(&sp->tdp_mmu_root_count) : sp->root_count;
	out[8] = sp->role.word;
	out[9] = sp->role.guest_mode;
	return 1;
}

/* Physical addresses of the TDP MMU's roots; the number of them. */
API long native_tdp_roots(long *out, long max)
{
	struct kvm_mmu_page *sp;
	long n = 0;

	if (is_empty(&native_kvm->arch.tdp_mmu_roots))
		return 0;
	list_for_each_entry(sp, &native_kvm->arch.tdp_mmu_roots, link)
		if (n < max)
			out[n++] = __pa(sp->spt);
	return n;
}

/* Physical addresses of the legacy MMU's active pages, newest first. */
API long native_active_pages(long *out, long max)
{
	struct kvm_mmu_page *sp;
	long n = 0;

	list_for_each_entry(sp, &native_kvm->arch.active_mmu_pages, link)
		if (n < max)
			out[n++] = __pa(sp->spt);
	return n;
}

/* Physical addresses of the pages that NX recovery may zap. */
API long native_nx_pages(long *out, long max)
{
	struct kvm_mmu_page *sp;
	long n = 0;

	list_for_each_entry(sp, NX_SPLITS(native_kvm), NX_LINK)
		if (n < max)
			out[n++] = __pa(sp->spt);
	return n;
}

/* Where mmu_lock is: what a preemption point before it names. */
API long native_mmu_lock(void)
{
	return (long)&native_kvm->mmu_lock;
}

/* The bit of KVM_REQ_MMU_FREE_OBSOLETE_ROOTS. */
API long native_request_bit(void)
{
	return KVM_REQ_MMU_FREE_OBSOLETE_ROOTS & KVM_REQUEST_MASK;
}

/* A memslot: first gfn, pages, hva, flags, address of the dirty bitmap (0: none).  0: no slot. */
API long native_memslot(long as_id, long id, long *out)
{
	const struct kvm_memory_slot *slot = id_to_memslot(__kvm_memslots(native_kvm, as_id), id);

	if (!slot)
		return 0;
	out[0] = slot->base_gfn;
	out[1] = slot->npages;
	out[2] = slot->userspace_addr;
	out[3] = slot->flags;
	out[4] = (long)slot->dirty_bitmap;
	return 1;
}

/* What is left of a destroyed VM: TDP MMU roots, shadow pages, readers of SRCU. */
API void native_leaks(long *out)
{
	out[0] = !is_empty(&native_kvm->arch.tdp_mmu_roots);
	out[1] = !list_empty(&native_kvm->arch.zapped_obsolete_pages);
	out[2] = native_srcu_depth();
}
