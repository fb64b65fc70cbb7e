// SPDX-License-Identifier: GPL-2.0-only
/*
 * What Python can have done: the functions of native_run(), which difffuzz/native/abi/calls.py lists
 * with their arguments.  Each returns a long; a buffer is an address that the caller owns.
 */
#include <linux/kvm_host.h>
#include <linux/mmu_notifier.h>

#include "arch/x86/kvm/mmu.h"
#include "arch/x86/kvm/mmu/mmu_internal.h"
#include "arch/x86/kvm/mmu/spte.h"
#include "arch/x86/kvm/mmu/tdp_mmu.h"
#include "arch/x86/kvm/x86.h"
#include "compat.h"
#include "vm.h"

#define API_FN(name) static long api_##name(NATIVE_ARGS_##name)

static int srcu_idx[NATIVE_VCPUS];

API_FN(init)
{
	native_init_host();
	native_init_module();
	return 0;
}

API_FN(create_vm)
{
	return native_create_vm((const struct native_params *)params);
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

/* Guest entry and faults */

API_FN(enter_guest)
{
	return native_enter_guest(native_vcpus[vcpu], &srcu_idx[vcpu]);
}

API_FN(leave_guest)
{
	native_leave_guest(native_vcpus[vcpu], &srcu_idx[vcpu]);
	return 0;
}

API_FN(vcpu_srcu_lock)
{
	srcu_idx[vcpu] = srcu_read_lock(&native_kvm->srcu);
	return 0;
}

API_FN(vcpu_srcu_unlock)
{
	srcu_read_unlock(&native_kvm->srcu, srcu_idx[vcpu]);
	return 0;
}

/* `error_code`: PFERR_* bits, `rets`: struct native_rets, `park`: park it when it has its pfn. */
API_FN(page_fault)
{
	struct kvm_vcpu *v = native_vcpus[vcpu];
	struct native_rets *told = (struct native_rets *)rets;
	int r = RET_PF_INVALID;

	if (WARN_ON(!VALID_PAGE(v->arch.mmu->root.hpa)))
		return RET_PF_RETRY;
	if (unlikely(error_code & PFERR_RSVD_MASK)) {
		r = native_handle_mmio_page_fault(v, gpa);
		told->mmio = native_ret_pf(r);
		if (r == RET_PF_EMULATE)
			return r;
	}
	if (r == RET_PF_INVALID) {
		native_task->got_pfn = 0;
		native_task->want_park = park;
		r = native_do_page_fault(v, gpa, error_code);
		told->fault = native_ret_pf(r);
		native_task->want_park = 0;
		if (WARN_ON_ONCE(r == RET_PF_INVALID))
			return -EIO;
	}
	return native_ret_pf(r);
}

/* The hva that the emulator's access reaches, -1 for MMIO. */
API_FN(emulated_hva)
{
	struct kvm_vcpu *v = native_vcpus[vcpu];
	unsigned long hva;
	bool writable;

	if (vcpu_match_mmio_gpa(v, gpa))
		return -1;
	hva = write ? kvm_vcpu_gfn_to_hva(v, gpa >> PAGE_SHIFT) :
		      kvm_vcpu_gfn_to_hva_prot(v, gpa >> PAGE_SHIFT, &writable);
	return kvm_is_error_hva(hva) ? -1 : hva;
}

/* Guests with page tables of their own */

/* MOV to a control register, WRMSR of EFER: `which` is NATIVE_CR0, ... */
API_FN(set_cr)
{
	struct kvm_vcpu *v = native_vcpus[vcpu];

	switch (which) {
	case NATIVE_CR0:
		native_set_cr0(v, value);
		return 0;
	case NATIVE_CR3:
		/* With nested paging KVM does not see it. */
		if (!tdp_enabled)
			return kvm_set_cr3(v, value);
		v->arch.cr3 = value;
		return 0;
	case NATIVE_CR4:
		native_set_cr4(v, value);
		return 0;
	case NATIVE_EFER:
		native_set_efer(v, value);
		return 0;
	}
	return -EINVAL;
}

API_FN(invlpg)
{
	kvm_mmu_invlpg(native_vcpus[vcpu], gva);
	return 0;
}

API_FN(set_cpl)
{
	native_set_cpl(vcpu, cpl);
	return 0;
}

/* `word`: what a write writes, and what the others return. */
API_FN(emulate)
{
	return native_emulate(native_vcpus[vcpu], gva, access, (u64 *)word);
}

API_FN(unprotect)
{
	return native_unprotect(native_vcpus[vcpu], gva);
}

API_FN(take_page_fault)
{
	return native_take_page_fault(native_vcpus[vcpu]);
}

API_FN(enter_l2)
{
	native_enter_l2(native_vcpus[vcpu], root, ad);
	return 0;
}

API_FN(leave_l2)
{
	native_leave_l2(native_vcpus[vcpu]);
	return 0;
}

API_FN(invept)
{
	native_invept(native_vcpus[vcpu], root);
	return 0;
}

API_FN(take_l2_fault)
{
	return native_take_l2_fault(native_vcpus[vcpu]);
}

API_FN(mark_dirty)
{
	kvm_vcpu_mark_page_dirty(native_vcpus[vcpu], gfn);
	return 0;
}

API_FN(prefault)
{
#if HAS_PRE_FAULT_MEMORY
	return native_prefault(native_vcpus[vcpu], gfn << PAGE_SHIFT, npages << PAGE_SHIFT);
#else
	return -EINVAL;
#endif
}

API_FN(smm)
{
	struct kvm_vcpu *v = native_vcpus[vcpu];

	if (on)
		v->arch.hflags |= HF_SMM_MASK;
	else
		v->arch.hflags &= ~HF_SMM_MASK;
	kvm_mmu_reset_context(v);
	return 0;
}

/* An L2 without nested paging: the same gpas under a root of another role. */
API_FN(guest_mode)
{
	struct kvm_vcpu *v = native_vcpus[vcpu];

	if (on)
		enter_guest_mode(v);
	else
		leave_guest_mode(v);
	kvm_init_mmu(v);
	kvm_mmu_new_pgd(v, v->arch.cr3);
	if (DIRTY_LOG_SIZE(native_kvm))
		static_call(kvm_x86_update_cpu_dirty_logging)(v);
	return 0;
}

API_FN(reset_context)
{
	kvm_mmu_reset_context(native_vcpus[vcpu]);
	return 0;
}

/* Memslots and dirty logs; `flags` are KVM_MEM_* */

API_FN(set_memory_region)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = as_id << 16 | slot,
		.flags = flags,
		.guest_phys_addr = gfn << PAGE_SHIFT,
		.memory_size = npages << PAGE_SHIFT,
		.userspace_addr = hva,
	};

	return native_set_memory_region(native_kvm, &region);
}

API_FN(get_dirty_log)
{
	struct kvm_dirty_log log = { .slot = as_id << 16 | slot, .dirty_bitmap = (void __user *)bitmap };

	return native_get_dirty_log(native_kvm, &log);
}

API_FN(clear_dirty_log)
{
	struct kvm_clear_dirty_log log = {
		.slot = as_id << 16 | slot,
		.first_page = first,
		.num_pages = npages,
		.dirty_bitmap = (void __user *)bitmap,
	};

	return native_clear_dirty_log(native_kvm, &log);
}

/* VM-wide knobs */

API_FN(set_nr_mmu_pages)
{
	if (pages < MIN_MMU_PAGES)
		return -EINVAL;
	mutex_lock(&native_kvm->slots_lock);
	kvm_mmu_change_mmu_pages(native_kvm, pages);
	native_kvm->arch.n_requested_mmu_pages = native_kvm->arch.n_max_mmu_pages;
	mutex_unlock(&native_kvm->slots_lock);
	return 0;
}

/* 1 if it was done. */
API_FN(page_track)
{
	struct kvm *kvm = native_kvm;
	int idx = srcu_read_lock(&kvm->srcu);
	struct kvm_memory_slot *slot = __gfn_to_memslot(__kvm_memslots(kvm, as_id), gfn);
	unsigned short *track;
	bool done = false;

	if (slot) {
		write_lock(&kvm->mmu_lock);
		/* Who tracks keeps its own table, under mmu_lock, and removes only what it added. */
		track = slot->arch.gfn_write_track;
		done = add || (track && track[gfn_to_index(gfn, slot->base_gfn, PG_LEVEL_4K)]);
		if (add)
			__kvm_write_track_add_gfn(kvm, slot, gfn);
		else if (done)
			__kvm_write_track_remove_gfn(kvm, slot, gfn);
		write_unlock(&kvm->mmu_lock);
	}
	srcu_read_unlock(&kvm->srcu, idx);
	return done;
}

/* A write to the parameter's file: those of a module exclude each other (kernel/params.c). */
API_FN(set_nx)
{
	long r;

	mutex_lock(&native_param_lock);
	r = native_set_nx(on);
	mutex_unlock(&native_param_lock);
	return r;
}

API_FN(recover_nx)
{
	native_recover_nx(native_kvm);
	return 0;
}

/* Who assigns a device holds nothing; before that was a caller, vCPUs were the only ones. */
API_FN(zap_gfn_range)
{
#if HAS_ZAP_FOR_DEVICES
	kvm_zap_gfn_range(native_kvm, gfn, gfn + npages);
#else
	int idx = srcu_read_lock(&native_kvm->srcu);

	kvm_zap_gfn_range(native_kvm, gfn, gfn + npages);
	srcu_read_unlock(&native_kvm->srcu, idx);
#endif
	return 0;
}

/* The mmu notifier */

static struct mmu_notifier *notifier(void)
{
	return &native_kvm->mmu_notifier;
}

static long invalidate(unsigned long start, unsigned long end, bool blockable, bool begins)
{
	const struct mmu_notifier_ops *ops = native_notifier_ops();
	struct mmu_notifier_range range = {
		.mm = native_mm,
		.start = start,
		.end = end,
		.flags = blockable ? MMU_NOTIFIER_RANGE_BLOCKABLE : 0,
	};
	long r = 0;

	if (begins)
		r = ops->invalidate_range_start(notifier(), &range);
	else
		ops->invalidate_range_end(notifier(), &range);
	return r;
}

API_FN(invalidate_range_start)
{
	return invalidate(start, end, blockable, true);
}

API_FN(invalidate_range_end)
{
	return invalidate(start, end, true, false);
}

/* `pte` as the CPU has it.  Since 6.10 the brackets around it do all. */
API_FN(change_pte)
{
#if HAS_CHANGE_PTE
	native_notifier_ops()->change_pte(notifier(), native_mm, hva, native_make_pte(pte));
#endif
	return 0;
}

API_FN(clear_flush_young)
{
	return native_notifier_ops()->clear_flush_young(notifier(), native_mm, start, end);
}

API_FN(clear_young)
{
	return native_notifier_ops()->clear_young(notifier(), native_mm, start, end);
}

API_FN(test_young)
{
	return native_notifier_ops()->test_young(notifier(), native_mm, hva);
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

/* `code`: of struct native_instruction, `seen`: room for a long each. */
API_FN(litmus)
{
	return native_litmus((const struct native_instruction *)code, nr, (long *)seen);
}

#define ENTRY(number, name) [number] = api_##name,

const native_api_fn native_api[] = { NATIVE_FUNCTIONS(ENTRY) };
