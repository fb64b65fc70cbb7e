// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a VM and of its vCPUs, as far as the MMU is concerned; entering and leaving the guest.
 *
 * KVM_CREATE_VM and KVM_CREATE_VCPU need hardware: what they do for the MMU is done here, with the
 * tree's own functions for everything that is the MMU's.
 */
#include <asm/processor.h>
#include <linux/kvm_host.h>

#include "arch/x86/kvm/mmu.h"
#include "arch/x86/kvm/mmu/mmu_internal.h"
#include "arch/x86/kvm/mmu/spte.h"
#include "arch/x86/kvm/x86.h"
#include "virt/kvm/kvm_mm.h"
#include "compat.h"
#include "vm.h"

struct kvm *native_kvm;
struct kvm_vcpu *native_vcpus[NATIVE_VCPUS];
long native_vcpu_ipis[NATIVE_VCPUS];
static bool paging, guest, npt12;
static long four_levels;	/* vCPUs, bit n for vCPU n, whose CPUID says FOUR_LEVEL_BITS */

struct native_async_pf {
	struct kvm_async_pf works[ASYNC_PF_PER_VCPU];
	int nr;
};

static struct native_async_pf *async_pf[NATIVE_VCPUS];	/* of those that had one */

/* Physical address bits of the host's CPU, and of the guest's, unless its CPUID says less. */
static void native_set_maxphyaddr(int bits)
{
	boot_cpu_data.x86_phys_bits = bits;
	boot_cpu_data.x86_cache_bits = bits;
}

/* Once, before the snapshot. */
void native_init_module(void)
{
	native_set_maxphyaddr(MAXPHYADDR);
	set_cpu_cap(&boot_cpu_data, X86_FEATURE_GBPAGES);
	set_cpu_cap(&boot_cpu_data, X86_FEATURE_NX);
	native_configure_nx(false, 1);
	native_init_nested();
	kvm_mmu_x86_module_init();
	if (kvm_mmu_vendor_module_init())
		native_die("crash", "kvm_mmu_vendor_module_init", "failed");
}

static void configure(const struct native_params *params)
{
	native_set_maxphyaddr(params->maxphyaddr);
	native_set_vendor(params->ept, params->async_pf);
	native_flush_ranges(params->range_flush);
	native_configure_nx(params->nx_huge_pages, params->nx_recovery_ratio);
	enable_mmio_caching = params->mmio_caching;
	kvm_mmu_spte_module_init();
	kvm_mmu_reset_all_pte_masks();
	if (params->ept)
		native_set_ept_masks(params->ad);
	native_allow_tdp_mmu(params->tdp_mmu);
	eager_page_split = params->eager_page_split;
	/* VMX lets KVM choose; the levels of NPT are those of the host's own tables. */
	kvm_configure_mmu(params->tdp, params->ept ? 0 : params->root_level, params->root_level, params->max_level);
}

static void init_memslots(struct kvm *kvm, int as_id, u64 generation)
{
	for (int i = 0; i < 2; i++) {
		struct kvm_memslots *slots = &kvm->__memslots[as_id][i];

		slots->gfn_tree = RB_ROOT;
		slots->hva_tree = RB_ROOT_CACHED;
		slots->node_idx = i;
		slots->generation = generation + as_id;
	}
	rcu_assign_pointer(kvm->memslots[as_id], &kvm->__memslots[as_id][0]);
}

static u64 dirty_log_flags(const struct native_params *params)
{
	return (params->manual_dirty_log_protect ? KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE : 0) |
	       (params->dirty_log_init_set ? KVM_DIRTY_LOG_INITIALLY_SET : 0);
}

long native_create_vm(const struct native_params *params)
{
	struct kvm *kvm;

	configure(params);
	native_clear_host();
	kvm = native_alloc(sizeof(*kvm));
	DIRTY_LOG_SIZE(kvm) = params->pml ? PML_ENTRIES : 0;
	KVM_MMU_LOCK_INIT(kvm);
	mutex_init(&kvm->lock);
	mutex_init(&kvm->slots_lock);
	mutex_init(&kvm->slots_arch_lock);
	spin_lock_init(&kvm->mn_invalidate_lock);
	rcuwait_init(&kvm->mn_memslots_update_rcuwait);
	init_srcu_struct(&kvm->srcu);
	kvm->mm = native_mm;
	refcount_set(&kvm->users_count, 1);
	for (int as_id = 0; as_id < NR_AS; as_id++)
		init_memslots(kvm, as_id, -params->before_wrap[as_id] & MMIO_SPTE_GEN_MASK);
	kvm->manual_dirty_log_protect = dirty_log_flags(params);
	kvm->mmu_invalidate_seq = params->mmu_invalidate_seq;
	kvm->arch.n_max_mmu_pages = KVM_MIN_ALLOC_MMU_PAGES;
#ifdef KVM_X86_QUIRK_SLOT_ZAP_ALL
	if (!params->slot_zap_all)
		kvm->arch.disabled_quirks |= KVM_X86_QUIRK_SLOT_ZAP_ALL;
#endif
#if HAS_PRE_FAULT_MEMORY
	kvm->arch.pre_fault_allowed = true;
#endif
	kvm->nr_memslot_pages = 0;
	kvm_page_track_init(kvm);
	native_allow_write_tracking(kvm);
	kvm_mmu_init_vm(kvm);
	guest = params->guest;
	four_levels = params->four_levels;
	npt12 = params->guest == NATIVE_GUEST_NPT12;
	paging = params->guest == NATIVE_GUEST_PAGING64 || (params->tdp && !params->guest);
	native_set_nested(npt12);
	list_add(&kvm->vm_list, &vm_list);
	native_kvm = kvm;
	return 0;
}

long native_create_vcpu(void)
{
	struct kvm *kvm = native_kvm;
	struct kvm_vcpu *vcpu = native_alloc(sizeof(*vcpu));
	int id = atomic_read(&kvm->online_vcpus);
	long r;

	vcpu->kvm = kvm;
	vcpu->vcpu_id = vcpu->vcpu_idx = vcpu->cpu = id;
	memset(&vcpu->arch.regs_avail, 0xff, sizeof(vcpu->arch.regs_avail));
	vcpu->arch.maxphyaddr = four_levels >> id & 1 ? FOUR_LEVEL_BITS : boot_cpu_data.x86_phys_bits;
	vcpu->arch.reserved_gpa_bits = rsvd_bits(vcpu->arch.maxphyaddr, 63);
	native_reset_async_pf(vcpu);
	if (paging) {
		vcpu->arch.cr0 = X86_CR0_PG | X86_CR0_PE | X86_CR0_WP;
		vcpu->arch.cr4 = X86_CR4_PAE;
		vcpu->arch.efer = EFER_LMA | EFER_LME | EFER_NX;
	} else {
		vcpu->arch.cr0 = X86_CR0_PE;
	}
	if (npt12) {
		/* By these an L1 has its NPT walked, whose own paging is left out. */
		vcpu->arch.cr4 = X86_CR4_PAE;
		vcpu->arch.efer = EFER_LMA | EFER_LME | EFER_NX;
	}
	if (guest)
		native_create_emulator(vcpu);
	r = kvm_mmu_create(vcpu);
	if (r)
		return r;
	native_vcpus[id] = vcpu;
	kvm_init_mmu(vcpu);
	atomic_inc(&kvm->online_vcpus);
	if (DIRTY_LOG_SIZE(kvm))
		static_call(kvm_x86_update_cpu_dirty_logging)(vcpu);
	return 0;
}

/* The last reference is gone; the host's address space was released before. */
void native_destroy_vm(void)
{
	struct kvm *kvm = native_kvm;
	int nr = atomic_read(&kvm->online_vcpus);

	list_del(&kvm->vm_list);
	refcount_set(&kvm->users_count, 0);
	for (int i = 0; i < nr; i++)
		kvm_mmu_unload(native_vcpus[i]);
	for (int i = 0; i < nr; i++)
		kvm_mmu_destroy(native_vcpus[i]);
	kvm_mmu_uninit_vm(kvm);
	kvm_page_track_cleanup(kvm);
	native_free_memslots(kvm);
	rcu_barrier();
}

/* kvm_for_each_vcpu(), kvm_get_vcpu(): vCPUs by index. */

void *xa_load(struct xarray *xa, unsigned long index)
{
	return index < NATIVE_VCPUS ? native_vcpus[index] : NULL;
}

void *xa_find(struct xarray *xa, unsigned long *index, unsigned long max, xa_mark_t filter)
{
	for (; *index <= max && *index < NATIVE_VCPUS; ++*index)
		if (native_vcpus[*index])
			return native_vcpus[*index];
	return NULL;
}

void *xa_find_after(struct xarray *xa, unsigned long *index, unsigned long max, xa_mark_t filter)
{
	++*index;
	return xa_find(xa, index, max, filter);
}

/* Async page faults: a worker faults the page in by the time the vCPU enters the guest again. */

bool kvm_setup_async_pf(struct kvm_vcpu *vcpu, gpa_t cr2_or_gpa, unsigned long hva,
			struct kvm_arch_async_pf *arch)
{
	struct native_async_pf *async = async_pf[vcpu->vcpu_id];
	struct kvm_async_pf *work;

	if (!async)
		async = async_pf[vcpu->vcpu_id] = native_alloc(sizeof(*async));
	if (async->nr == ASYNC_PF_PER_VCPU || kvm_is_error_hva(hva))
		return false;
	work = &async->works[async->nr++];
	work->vcpu = vcpu;
	work->cr2_or_gpa = cr2_or_gpa;
	work->addr = hva;
	work->arch = *arch;
	native_add_async_pf(vcpu, arch->gfn);
	return true;
}

static void complete_async_pf(struct kvm_vcpu *vcpu)
{
	struct native_async_pf *async = async_pf[vcpu->vcpu_id];
	struct page *page;

	if (!async)
		return;
	for (int i = 0; i < async->nr; i++)
		if (get_user_pages_unlocked(async->works[i].addr, 1, &page, FOLL_WRITE) == 1)
			put_page(page);
	for (int i = 0; i < async->nr; i++) {
		kvm_arch_async_page_ready(vcpu, &async->works[i]);
		native_del_async_pf(vcpu, async->works[i].arch.gfn);
	}
	async->nr = 0;
}

/* Guest entry: what vcpu_enter_guest() does about requests that concern the MMU, in its order. */

static void serve_requests(struct kvm_vcpu *vcpu)
{
	if (!kvm_request_pending(vcpu))
		return;
	if (kvm_check_request(KVM_REQ_MMU_FREE_OBSOLETE_ROOTS, vcpu))
		kvm_mmu_free_obsolete_roots(vcpu);
	if (kvm_check_request(KVM_REQ_MMU_SYNC, vcpu))
		kvm_mmu_sync_roots(vcpu);
	if (kvm_check_request(KVM_REQ_LOAD_MMU_PGD, vcpu))
		kvm_mmu_load_pgd(vcpu);
	if (kvm_check_request(KVM_REQ_TLB_FLUSH, vcpu))
		native_host(HOST_FLUSH, vcpu->vcpu_id, 0, 0);
	kvm_service_local_tlb_flush_requests(vcpu);
	if (kvm_check_request(NATIVE_REQ_FLUSH_RANGES, vcpu))
		native_host(HOST_FLUSH_RANGES, vcpu->vcpu_id, 0, 0);
	if (kvm_check_request(KVM_REQ_UPDATE_CPU_DIRTY_LOGGING, vcpu))
		static_call(kvm_x86_update_cpu_dirty_logging)(vcpu);
}

long native_enter_guest(struct kvm_vcpu *vcpu, int *srcu_idx)
{
	long r;

	for (;;) {
		complete_async_pf(vcpu);
		native_point(&vcpu->requests, 1);
		serve_requests(vcpu);
		r = kvm_mmu_reload(vcpu);
		if (r) {
			/* A root where no memory is, up to 6.2: the guest, or L2, is over. */
			kvm_clear_request(KVM_REQ_TRIPLE_FAULT, vcpu);
			return r;
		}
		native_store(&vcpu->mode, sizeof(vcpu->mode));
		vcpu->mode = IN_GUEST_MODE;
		srcu_read_unlock(&vcpu->kvm->srcu, *srcu_idx);
		native_point(&vcpu->requests, 0);
		if (vcpu->mode != EXITING_GUEST_MODE && !kvm_request_pending(vcpu))
			return 0;
		native_leave_guest(vcpu, srcu_idx);
	}
}

void native_leave_guest(struct kvm_vcpu *vcpu, int *srcu_idx)
{
	native_point(&vcpu->mode, 1);
	vcpu->mode = OUTSIDE_GUEST_MODE;
	native_vcpu_ipis[vcpu->vcpu_id]++;
	*srcu_idx = srcu_read_lock(&vcpu->kvm->srcu);
}
