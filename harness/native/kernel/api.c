// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Python can have done: the functions of native_run(), by number (difffuzz/native/api.py).
 * Each returns a long; a buffer is a pointer to longs that Python owns.
 */
#include <linux/kvm_host.h>
#include <linux/mmu_notifier.h>

#include "arch/x86/kvm/kvm_cache_regs.h"
#include "arch/x86/kvm/mmu.h"
#include "arch/x86/kvm/mmu/mmu_internal.h"
#include "arch/x86/kvm/mmu/spte.h"
#include "arch/x86/kvm/mmu/tdp_mmu.h"
#include "arch/x86/kvm/x86.h"
#include "compat.h"
#include "vm.h"

#define MIN_REQUESTED_MMU_PAGES 8
#define API_FN(name) static long api_##name(long a, long b, long c, long d, long e, long f)

static int srcu_idx[NATIVE_VCPUS];

API_FN(init)
{
	native_init_host();
	native_init_module();
	return 0;
}

API_FN(create_vm)
{
	return native_create_vm((const struct native_params *)a);
}

API_FN(create_vcpu)
{
	return native_create_vcpu();
}

API_FN(destroy_vm)
{
	native_destroy_vm();
	return 0;
}

/* Guest entry and faults; a: vCPU */

API_FN(enter_guest)
{
	return native_enter_guest(native_vcpus[a], &srcu_idx[a]);
}

API_FN(leave_guest)
{
	native_leave_guest(native_vcpus[a], &srcu_idx[a]);
	return 0;
}

API_FN(vcpu_srcu_lock)
{
	srcu_idx[a] = srcu_read_lock(&native_kvm->srcu);
	return 0;
}

API_FN(vcpu_srcu_unlock)
{
	srcu_read_unlock(&native_kvm->srcu, srcu_idx[a]);
	return 0;
}

/*
 * b: gpa, c: PFERR_* bits, d: two longs for RET_PF_* of handle_mmio_page_fault() and of the fault,
 * e: park it when it has its pfn.
 */
API_FN(page_fault)
{
	struct kvm_vcpu *vcpu = native_vcpus[a];
	long *rets = (long *)d;
	int r = RET_PF_INVALID;

	if (WARN_ON(!VALID_PAGE(vcpu->arch.mmu->root.hpa)))
		return RET_PF_RETRY;
	if (unlikely(c & PFERR_RSVD_MASK)) {
		r = native_handle_mmio_page_fault(vcpu, b);
		rets[0] = native_ret_pf(r);
		if (r == RET_PF_EMULATE)
			return r;
	}
	if (r == RET_PF_INVALID) {
		native_task->got_pfn = 0;
		native_task->want_park = e;
		r = native_do_page_fault(vcpu, b, c);
		rets[1] = native_ret_pf(r);
		native_task->want_park = 0;
		if (WARN_ON_ONCE(r == RET_PF_INVALID))
			return -EIO;
	}
	return native_ret_pf(r);
}

/* b: gpa, c: write.  The hva that the emulator's access reaches, -1 for MMIO. */
API_FN(emulated_hva)
{
	struct kvm_vcpu *vcpu = native_vcpus[a];
	unsigned long hva;
	bool writable;

	if (vcpu_match_mmio_gpa(vcpu, b))
		return -1;
	hva = c ? kvm_vcpu_gfn_to_hva(vcpu, b >> PAGE_SHIFT) :
		  kvm_vcpu_gfn_to_hva_prot(vcpu, b >> PAGE_SHIFT, &writable);
	return kvm_is_error_hva(hva) ? -1 : hva;
}

/* b: gfn */
API_FN(mark_dirty)
{
	kvm_vcpu_mark_page_dirty(native_vcpus[a], b);
	return 0;
}

/* b: on */
API_FN(smm)
{
	struct kvm_vcpu *vcpu = native_vcpus[a];

	if (b)
		vcpu->arch.hflags |= HF_SMM_MASK;
	else
		vcpu->arch.hflags &= ~HF_SMM_MASK;
	kvm_mmu_reset_context(vcpu);
	return 0;
}

/* b: on.  An L2 without nested paging: the same gpas under a root of another role. */
API_FN(guest_mode)
{
	struct kvm_vcpu *vcpu = native_vcpus[a];

	if (b)
		enter_guest_mode(vcpu);
	else
		leave_guest_mode(vcpu);
	kvm_init_mmu(vcpu);
	kvm_mmu_new_pgd(vcpu, vcpu->arch.cr3);
	if (kvm_x86_ops.cpu_dirty_log_size)
		static_call(kvm_x86_update_cpu_dirty_logging)(vcpu);
	return 0;
}

API_FN(reset_context)
{
	kvm_mmu_reset_context(native_vcpus[a]);
	return 0;
}

/* Memslots and dirty logs; a: address space, b: slot */

/* c: gfn, d: pages, e: hva, f: KVM_MEM_* */
API_FN(set_memory_region)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = a << 16 | b,
		.flags = f,
		.guest_phys_addr = c << PAGE_SHIFT,
		.memory_size = d << PAGE_SHIFT,
		.userspace_addr = e,
	};

	return kvm_set_memory_region(native_kvm, &region);
}

/* c: buffer for the bitmap */
API_FN(get_dirty_log)
{
	struct kvm_dirty_log log = { .slot = a << 16 | b, .dirty_bitmap = (void __user *)c };

	return native_get_dirty_log(native_kvm, &log);
}

/* c: bitmap, d: first page, e: pages */
API_FN(clear_dirty_log)
{
	struct kvm_clear_dirty_log log = {
		.slot = a << 16 | b,
		.first_page = d,
		.num_pages = e,
		.dirty_bitmap = (void __user *)c,
	};

	return native_clear_dirty_log(native_kvm, &log);
}

/* VM-wide knobs */

/* a: pages */
API_FN(set_nr_mmu_pages)
{
	if (a < MIN_REQUESTED_MMU_PAGES)
		return -EINVAL;
	mutex_lock(&native_kvm->slots_lock);
	kvm_mmu_change_mmu_pages(native_kvm, a);
	native_kvm->arch.n_requested_mmu_pages = native_kvm->arch.n_max_mmu_pages;
	mutex_unlock(&native_kvm->slots_lock);
	return 0;
}

/* a: address space, b: gfn, c: add (or remove).  1 if it was done. */
API_FN(page_track)
{
	struct kvm *kvm = native_kvm;
	int idx = srcu_read_lock(&kvm->srcu);
	struct kvm_memory_slot *slot = __gfn_to_memslot(__kvm_memslots(kvm, a), b);
	unsigned short *track;
	bool done = false;

	if (slot) {
		track = slot->arch.gfn_write_track;
		done = c || (track && track[gfn_to_index(b, slot->base_gfn, PG_LEVEL_4K)]);
	}
	if (done) {
		write_lock(&kvm->mmu_lock);
		if (c)
			__kvm_write_track_add_gfn(kvm, slot, b);
		else
			__kvm_write_track_remove_gfn(kvm, slot, b);
		write_unlock(&kvm->mmu_lock);
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return done;
}

/* a: on */
API_FN(set_nx)
{
	native_set_nx(native_kvm, a);
	return 0;
}

API_FN(recover_nx)
{
	native_recover_nx(native_kvm);
	return 0;
}

/* a: gfn, b: pages */
API_FN(zap_gfn_range)
{
	int idx = srcu_read_lock(&native_kvm->srcu);

	kvm_zap_gfn_range(native_kvm, a, a + b);
	srcu_read_unlock(&native_kvm->srcu, idx);
	return 0;
}

/* The mmu notifier; a: start, b: end */

static struct mmu_notifier *notifier(void)
{
	return &native_kvm->mmu_notifier;
}

/* c: blockable */
static long invalidate(long a, long b, long c, bool start)
{
	const struct mmu_notifier_ops *ops = native_notifier_ops();
	struct mmu_notifier_range range = {
		.mm = native_mm,
		.start = a,
		.end = b,
		.flags = c ? MMU_NOTIFIER_RANGE_BLOCKABLE : 0,
	};
	long r = 0;

	if (start)
		r = ops->invalidate_range_start(notifier(), &range);
	else
		ops->invalidate_range_end(notifier(), &range);
	return r;
}

API_FN(invalidate_range_start)
{
	return invalidate(a, b, c, true);
}

API_FN(invalidate_range_end)
{
	return invalidate(a, b, true, false);
}

/* a: hva, b: the new PTE as the CPU's.  Since 6.10 the brackets around it do all. */
API_FN(change_pte)
{
#if DIFFFUZZ_KERNEL < 6010
	native_notifier_ops()->change_pte(notifier(), native_mm, a, native_make_pte(b));
#endif
	return 0;
}

API_FN(clear_flush_young)
{
	return native_notifier_ops()->clear_flush_young(notifier(), native_mm, a, b);
}

API_FN(clear_young)
{
	return native_notifier_ops()->clear_young(notifier(), native_mm, a, b);
}

API_FN(test_young)
{
	return native_notifier_ops()->test_young(notifier(), native_mm, a);
}

API_FN(release)
{
	native_notifier_ops()->release(notifier(), native_mm);
	return 0;
}

/* Housekeeping */

static void assert_idle(const struct native_task *task)
{
	if (task->nr_held)
		native_die("lock", "operation end", "returns with a lock held");
	if (task->rcu_depth)
		native_die("rcu", "operation end", "returns inside an RCU read section");
}

/* An operation is over: who returns to user space holds nothing, and RCU callbacks may run. */
API_FN(end_operation)
{
	if (native_control->concurrent)
		assert_idle(native_task);
	else
		for (int i = 0; i < NATIVE_TASKS; i++)
			assert_idle(native_task_of(i));
	native_run_rcu();
	return 0;
}

const native_api_fn native_api[] = {
	api_init, api_create_vm, api_create_vcpu, api_destroy_vm, api_enter_guest, api_leave_guest,
	api_vcpu_srcu_lock, api_vcpu_srcu_unlock, api_page_fault, api_emulated_hva, api_mark_dirty,
	api_smm, api_guest_mode, api_reset_context, api_set_memory_region, api_get_dirty_log,
	api_clear_dirty_log, api_set_nr_mmu_pages, api_page_track, api_set_nx, api_recover_nx,
	api_zap_gfn_range, api_invalidate_range_start, api_invalidate_range_end, api_change_pte,
	api_clear_flush_young, api_clear_young, api_test_young, api_release,
	api_end_operation,
};
