// SPDX-License-Identifier: GPL-2.0-only
/* The tree's kvm_main.c, and a way to its static functions. */
#include <linux/kvm_host.h>
#include <linux/page-flags.h>
#include <linux/sched/signal.h>

/* The host is told at once, whichever page it is. */
extern void native_set_page_dirty(struct page *page);
#define SetPageDirty(page) native_set_page_dirty(page)

#include "guestmem.h"
/* Before each page of a range that is faulted in. */
extern bool native_next_page(void);
#define signal_pending(task) native_next_page()

/* A vCPU is loaded on its task all the time: what is the hardware's does not change. */
#define kvm_arch_vcpu_load(vcpu, cpu) ((void)0)
#define kvm_arch_vcpu_put(vcpu) ((void)0)

#include "virt/kvm/kvm_main.c"
#include "compat.h"
#include "native.h"

const struct mmu_notifier_ops *native_notifier_ops(void)
{
	return &kvm_mmu_notifier_ops;
}

long native_get_dirty_log(struct kvm *kvm, struct kvm_dirty_log *log)
{
	return kvm_vm_ioctl_get_dirty_log(kvm, log);
}

long native_clear_dirty_log(struct kvm *kvm, struct kvm_clear_dirty_log *log)
{
	return kvm_vm_ioctl_clear_dirty_log(kvm, log);
}

int native_set_memory_region(struct kvm *kvm, const struct kvm_userspace_memory_region2 *region)
{
#if HAS_CALLER_HOLDS_SLOTS_LOCK
	int r;

	mutex_lock(&kvm->slots_lock);
	r = kvm_set_memory_region(kvm, region);
	mutex_unlock(&kvm->slots_lock);
	return r;
#else
	return kvm_set_memory_region(kvm, region);
#endif
}

#if HAS_PRE_FAULT_MEMORY
long native_prefault(struct kvm_vcpu *vcpu, u64 gpa, u64 size)
{
	struct kvm_pre_fault_memory range = { .gpa = gpa, .size = size };

	long r;

	native_begin_trying();
	r = kvm_vcpu_pre_fault_memory(vcpu, &range);
	native_set_running_vcpu(vcpu);
	return r;
}
#endif

void native_free_memslots(struct kvm *kvm)
{
	for (int i = 0; i < KVM_MAX_NR_ADDRESS_SPACES; i++) {
		kvm_free_memslots(kvm, &kvm->__memslots[i][0]);
		kvm_free_memslots(kvm, &kvm->__memslots[i][1]);
	}
}

/* The vCPU whose thread runs now. */
void native_set_running_vcpu(struct kvm_vcpu *vcpu)
{
	__this_cpu_write(kvm_running_vcpu, vcpu);
}
