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

#if !HAS_POSSIBLE_NX_HUGE_PAGES
#define NX_LINK lpage_disallowed_link
#define NX_LIST "lpage_disallowed_mmu_pages"
#else
#define NX_LINK possible_nx_huge_page_link
#define NX_LIST "possible_nx_huge_pages"
#endif

/* The lists of pages that NX splits made, one for each MMU or one for both; NULL behind the last. */
static const struct list_head *nx_splits(const struct kvm *kvm, int number)
{
#if HAS_NX_LISTS_BY_TYPE
	return number < KVM_NR_MMU_TYPES ? &kvm->arch.possible_nx_huge_pages[number].pages : NULL;
#elif HAS_POSSIBLE_NX_HUGE_PAGES
	return number ? NULL : &kvm->arch.possible_nx_huge_pages;
#else
	return number ? NULL : &kvm->arch.lpage_disallowed_mmu_pages;
#endif
}

#if HAS_USED_PAGES_ARE_STATISTICS
#define USED_PAGES(kvm) ((kvm)->stat.mmu_shadow_pages)
#else
#define USED_PAGES(kvm) ((kvm)->arch.n_used_mmu_pages)
#endif

/* The second of two masks is set and taken together with the first. */
#if HAS_SPLIT_EXEC_MASKS
#define EXEC_MASK shadow_xs_mask
#else
#define EXEC_MASK shadow_x_mask
#endif

#ifdef SPTE_TDP_AD_DISABLED
#define AD_DISABLED SPTE_TDP_AD_DISABLED
#else
#define AD_DISABLED SPTE_TDP_AD_DISABLED_MASK
#endif

/* Up to 6.2 the lists of the TDP MMU are not even initialised where it is not used. */
static bool is_empty(const struct list_head *head)
{
	return !head->next || list_empty(head);
}

/*
 * The shadow page after `at` on a list, NULL at its end.  Looked at in the middle of broken states: what
 * is on the list must be an object that was not freed, and not more of them than there are pages.
 */
static struct kvm_mmu_page *next_sp(const struct list_head *head, const struct list_head *at,
				    size_t offset, const char *list, long n)
{
	struct kvm_mmu_page *sp = (void *)at->next - offset;

	if (at->next == head)
		return NULL;
	if (!native_is_object(sp))
		native_die("uaf", list, "what was freed, or is no shadow page, is on the list");
	if (n == NATIVE_PAGES)
		native_die("crash", list, "the list does not end");
	return sp;
}

#define for_each_sp(sp, head, member, list, n)							\
	for (sp = next_sp(head, head, offsetof(struct kvm_mmu_page, member), list, n); sp;	\
	     n++, sp = next_sp(head, &sp->member, offsetof(struct kvm_mmu_page, member), list, n))

static __maybe_unused long count_list(const void *tdp_mmu_pages)
{
	const struct kvm_mmu_page *sp;
	long n = 0;

	if (is_empty(tdp_mmu_pages))
		return 0;
	for_each_sp(sp, (const struct list_head *)tdp_mmu_pages, link, "tdp_mmu_pages", n)
		;
	return n;
}

static __maybe_unused long read_counter(const void *counter)
{
	return atomic64_read((const atomic64_t *)counter);
}

/* A list up to 6.2, a counter since. */
#define TDP_MMU_PAGES(kvm) _Generic((kvm)->arch.tdp_mmu_pages,			\
	struct list_head: count_list, default: read_counter)(&(kvm)->arch.tdp_mmu_pages)

long native_ready_now(long kind, const void *object)
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

#ifdef SHADOW_NONPRESENT_VALUE
const unsigned long native_nonpresent = SHADOW_NONPRESENT_VALUE;
#else
const unsigned long native_nonpresent;
#endif

/*
 * An entry as oracles see it: without the bit that suppresses #VE.  Since 6.10 it is set where
 * nothing is mapped and, if the CPU ignores it otherwise, in every other entry too.
 */
unsigned long native_seen(unsigned long entry)
{
#ifdef SHADOW_NONPRESENT_VALUE
	if (!is_shadow_present_pte(entry) || shadow_present_mask & SHADOW_NONPRESENT_VALUE)
		return entry & ~SHADOW_NONPRESENT_VALUE;
#endif
	return entry;
}

void native_vm_numbers(struct native_vm *out)
{
	struct kvm *kvm = native_kvm;
	const struct kvm_mmu_page *sp;
	long nx = 0;

	for (int i = 0; nx_splits(kvm, i); i++)
		for_each_sp(sp, nx_splits(kvm, i), NX_LINK, NX_LIST, nx)
			;
	*out = (struct native_vm){
		.pages_4k = atomic64_read(&kvm->stat.pages_4k),
		.pages_2m = atomic64_read(&kvm->stat.pages_2m),
		.pages_1g = atomic64_read(&kvm->stat.pages_1g),
		.nx_lpage_splits = kvm->stat.nx_lpage_splits,
		.nx_listed = nx,
		.mmu_recycled = kvm->stat.mmu_recycled,
		.n_used_mmu_pages = USED_PAGES(kvm),
		.n_max_mmu_pages = kvm->arch.n_max_mmu_pages,
		.tdp_mmu_pages = TDP_MMU_PAGES(kvm),
		.mmu_invalidate_seq = kvm->mmu_invalidate_seq,
		.mmu_invalidate_in_progress = kvm->mmu_invalidate_in_progress,
		.mmu_valid_gen = kvm->arch.mmu_valid_gen,
		.remote_tlb_flush_requests = kvm->stat.generic.remote_tlb_flush_requests,
		.mmu_shadow_zapped = kvm->stat.mmu_shadow_zapped,
	};
	for (int as_id = 0; as_id < NR_AS; as_id++)
		out->generations[as_id] = __kvm_memslots(kvm, as_id)->generation;
}

/* The masks of SPTEs that oracles use. */
void native_masks(struct native_masks *out)
{
	*out = (struct native_masks){
		.shadow_x_mask = EXEC_MASK,
		.shadow_nx_mask = shadow_nx_mask,
		.shadow_mmu_writable_mask = shadow_mmu_writable_mask,
		.shadow_mmio_mask = shadow_mmio_mask,
		.shadow_mmio_value = shadow_mmio_value,
		.shadow_accessed_mask = shadow_accessed_mask,
		.shadow_dirty_mask = shadow_dirty_mask,
		.mmio_gen_low_mask = MMIO_SPTE_GEN_LOW_MASK,
		.mmio_gen_high_mask = MMIO_SPTE_GEN_HIGH_MASK,
		.mmio_gen_mask = MMIO_SPTE_GEN_MASK,
		.tdp_ad_mask = SPTE_TDP_AD_MASK,
		.tdp_ad_disabled = AD_DISABLED,
		.enable_mmio_caching = enable_mmio_caching,
		.retries_by_gfn = HAS_RETRY_GFN,
		.tells_accessed = HAS_PFN_ACCESSED,
	};
}

void native_vcpu_numbers(long vcpu, struct native_vcpu *out)
{
	const struct kvm_vcpu *v = native_vcpus[vcpu];
	const struct kvm_mmu *mmu = v->arch.mmu;

	_Static_assert(ARRAY_SIZE(out->prev_roots) == KVM_MMU_NUM_PREV_ROOTS, "previous roots");
	*out = (struct native_vcpu){
		.root_hpa = mmu->root.hpa,
		.root_level = mmu->root_role.level,
		.requests = v->requests,
		.stat = {
			.pf_taken = v->stat.pf_taken,
			.pf_fixed = v->stat.pf_fixed,
			.pf_emulate = v->stat.pf_emulate,
			.pf_spurious = v->stat.pf_spurious,
			.pf_fast = v->stat.pf_fast,
			.pf_mmio_spte_created = v->stat.pf_mmio_spte_created,
		},
	};
	for (int i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		out->prev_roots[i] = mmu->prev_roots[i].hpa;
}

/* The shadow page whose table is the page of that number; 0: there is none. */
long native_shadow_page(long number, struct native_sp *out)
{
	struct page *page = virt_to_page((void *)(native_pages + number * PAGE_SIZE));
	const struct kvm_mmu_page *sp = (void *)page_private(page);

	if (!sp)
		return 0;
	*out = (struct native_sp){
		.level = sp->role.level,
		.smm = sp->role.smm,
		.guest_mode = sp->role.guest_mode,
		.role_word = sp->role.word,
		.gfn = sp->gfn,
		.invalid = sp->role.invalid,
		.tdp_mmu_page = sp->tdp_mmu_page,
		.mmu_valid_gen = sp->mmu_valid_gen,
		.ptep = sp->tdp_mmu_page ? (long)sp->ptep : 0,
		.root_count = sp->tdp_mmu_page ? refcount_read(&sp->tdp_mmu_root_count) : sp->root_count,
		.direct = sp->role.direct,
		.access = sp->role.access,
		.unsync = !sp->tdp_mmu_page && sp->unsync,
	};
	return 1;
}

/* Physical addresses of the TDP MMU's roots; the number of them. */
long native_tdp_roots(long *out, long max)
{
	const struct list_head *roots = &native_kvm->arch.tdp_mmu_roots;
	const struct kvm_mmu_page *sp;
	long n = 0;

	if (is_empty(roots))
		return 0;
	for_each_sp(sp, roots, link, "tdp_mmu_roots", n)
		if (n < max)
			out[n] = __pa(sp->spt);
	return min(n, max);
}

/* Physical addresses of the legacy MMU's active pages, newest first. */
long native_active_pages(long *out, long max)
{
	const struct kvm_mmu_page *sp;
	long n = 0;

	for_each_sp(sp, &native_kvm->arch.active_mmu_pages, link, "active_mmu_pages", n)
		if (n < max)
			out[n] = __pa(sp->spt);
	return min(n, max);
}

/* Physical addresses of the pages that NX recovery may zap. */
long native_nx_pages(long *out, long max)
{
	const struct kvm_mmu_page *sp;
	long n = 0;

	for (int i = 0; nx_splits(native_kvm, i); i++)
		for_each_sp(sp, nx_splits(native_kvm, i), NX_LINK, NX_LIST, n)
			if (n < max)
				out[n] = __pa(sp->spt);
	return min(n, max);
}

/* Where mmu_lock is: what a preemption point before it names. */
long native_mmu_lock(void)
{
	return (long)&native_kvm->mmu_lock;
}

/* The bit of KVM_REQ_MMU_FREE_OBSOLETE_ROOTS. */
long native_request_bit(void)
{
	return KVM_REQ_MMU_FREE_OBSOLETE_ROOTS & KVM_REQUEST_MASK;
}

/* 0: there is no such slot. */
long native_memslot(long as_id, long id, struct native_slot *out)
{
	const struct kvm_memory_slot *slot = id_to_memslot(__kvm_memslots(native_kvm, as_id), id);

	if (!slot)
		return 0;
	*out = (struct native_slot){
		.base_gfn = slot->base_gfn,
		.npages = slot->npages,
		.userspace_addr = slot->userspace_addr,
		.flags = slot->flags,
		.dirty_bitmap = slot->dirty_bitmap,
	};
	return 1;
}

static void count_memslots(struct native_counts *out)
{
	struct kvm_memory_slot *slot;
	int bkt;

	for (int as_id = 0; as_id < NR_AS; as_id++)
		kvm_for_each_memslot(slot, bkt, __kvm_memslots(native_kvm, as_id)) {
			out->pages_there += slot->npages;
#if HAS_DIRTY_LOGGING_SLOTS
			out->logging_there += kvm_slot_dirty_track_enabled(slot);
#endif
		}
	out->pages_counted = native_kvm->nr_memslot_pages;
#if HAS_DIRTY_LOGGING_SLOTS
	out->logging_counted = atomic_read(&native_kvm->nr_memslots_dirty_logging);
#endif
}

/* Counters beside what they count. */
void native_counts(struct native_counts *out)
{
	*out = (struct native_counts){ 0 };
	count_memslots(out);
#if HAS_NX_LISTS_BY_TYPE
	const struct kvm_mmu_page *sp;

	for_each_sp(sp, nx_splits(native_kvm, KVM_SHADOW_MMU), NX_LINK, NX_LIST, out->nx_legacy_listed)
		;
	for_each_sp(sp, nx_splits(native_kvm, KVM_TDP_MMU), NX_LINK, NX_LIST, out->nx_tdp_listed)
		;
	out->nx_legacy_counted = native_kvm->arch.possible_nx_huge_pages[KVM_SHADOW_MMU].nr_pages;
	out->nx_tdp_counted = native_kvm->arch.possible_nx_huge_pages[KVM_TDP_MMU].nr_pages;
#endif
}

/* What is left of a destroyed VM. */
void native_leaks(struct native_left *out)
{
	*out = (struct native_left){
		.tdp_mmu_roots = !is_empty(&native_kvm->arch.tdp_mmu_roots),
#if HAS_ZAPPED_OBSOLETE_PAGES
		.zapped_obsolete_pages = !list_empty(&native_kvm->arch.zapped_obsolete_pages),
#endif
		.srcu_readers = native_srcu_depth(),
		.unprotected_reads = native_unprotected_reads,
	};
}

/* Which description (difffuzz/native/abi) the library was built from. */
long native_abi(void)
{
	return NATIVE_ABI;
}
