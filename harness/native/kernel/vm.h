/* SPDX-License-Identifier: GPL-2.0-only */
/* A VM and its vCPUs, for api.c; struct native_params is how one is set up. */
#ifndef NATIVE_VM_H
#define NATIVE_VM_H

#include "native.h"

/* A request of our own: drop what the CPU cached of the ranges that were queued for it. */
#define NATIVE_REQ_FLUSH_RANGES KVM_ARCH_REQ_FLAGS(50, KVM_REQUEST_WAIT | KVM_REQUEST_NO_WAKEUP)

extern void native_flush_ranges(bool on);
extern void native_set_vendor(bool is_ept, bool async_pf);
extern void native_set_cpl(int vcpu, int level);
extern long native_create_vm(const struct native_params *params);
extern long native_create_vcpu(void);
extern void native_destroy_vm(void);
extern long native_enter_guest(struct kvm_vcpu *vcpu, int *srcu_idx);
extern void native_leave_guest(struct kvm_vcpu *vcpu, int *srcu_idx);
extern void native_init_module(void);

#endif
