/* SPDX-License-Identifier: GPL-2.0-only */
/* How a VM is set up: what program.Config says, as api.c hands it over. */
#ifndef NATIVE_VM_H
#define NATIVE_VM_H

#include "native.h"

/* The members are longs, in the order of difffuzz/native/kvm.py. */
struct native_params {
	long tdp;
	long tdp_mmu;
	long ept;
	long ad;
	long root_level;
	long max_level;
	long nx_huge_pages;
	long mmio_caching;
	long eager_page_split;
	long pml;
	long manual_dirty_log_protect;
	long dirty_log_init_set;
	long async_pf;
	long range_flush;
	long mmu_invalidate_seq;
	long generation0;
	long generation1;
};

/* A request of our own: drop what the CPU cached of the ranges that were queued for it. */
#define NATIVE_REQ_FLUSH_RANGES KVM_ARCH_REQ_FLAGS(50, KVM_REQUEST_WAIT | KVM_REQUEST_NO_WAKEUP)

extern void native_flush_ranges(bool on);
extern void native_set_vendor(bool is_ept, bool async_pf);
extern long native_create_vm(const struct native_params *params);
extern long native_create_vcpu(void);
extern void native_destroy_vm(void);
extern long native_enter_guest(struct kvm_vcpu *vcpu, int *srcu_idx);
extern void native_leave_guest(struct kvm_vcpu *vcpu, int *srcu_idx);
extern void native_init_module(void);

#endif
