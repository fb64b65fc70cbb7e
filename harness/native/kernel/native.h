/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of kernel/ share.  There is one VM at a time. */
#ifndef NATIVE_KERNEL_H
#define NATIVE_KERNEL_H

#include <linux/kvm_host.h>

#include "../bridge.h"

extern struct kvm *native_kvm;
extern struct kvm_vcpu *native_vcpus[NATIVE_VCPUS];
extern struct mm_struct *native_mm;

/* mmu.c, tdp_mmu.c: the tree's, with a way to their static parts */
extern int native_handle_mmio_page_fault(struct kvm_vcpu *vcpu, u64 addr);
extern int native_do_page_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code);
extern int native_set_nx(bool on);
extern void native_configure_nx(bool on, unsigned int recovery_ratio);
extern void native_recover_nx(struct kvm *kvm);
extern void native_allow_tdp_mmu(bool on);

extern long native_unprotect(struct kvm_vcpu *vcpu, gva_t gva);

/* kvm_main.c */
extern const struct mmu_notifier_ops *native_notifier_ops(void);
extern long native_get_dirty_log(struct kvm *kvm, struct kvm_dirty_log *log);
extern long native_clear_dirty_log(struct kvm *kvm, struct kvm_clear_dirty_log *log);
extern void native_free_memslots(struct kvm *kvm);

extern long native_prefault(struct kvm_vcpu *vcpu, u64 gpa, u64 size);
extern void native_set_running_vcpu(struct kvm_vcpu *vcpu);

/* x86.c */
extern void native_reset_async_pf(struct kvm_vcpu *vcpu);
extern void native_add_async_pf(struct kvm_vcpu *vcpu, gfn_t gfn);
extern void native_del_async_pf(struct kvm_vcpu *vcpu, gfn_t gfn);
extern void native_create_emulator(struct kvm_vcpu *vcpu);
extern long native_emulate(struct kvm_vcpu *vcpu, gva_t gva, long access, u64 *word);
extern void native_set_efer(struct kvm_vcpu *vcpu, u64 efer);
extern void native_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0);
extern void native_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4);
extern long native_take_page_fault(struct kvm_vcpu *vcpu);

/* nested.c */
extern void native_init_nested(void);
extern void native_enter_l2(struct kvm_vcpu *vcpu, gpa_t root, bool ad);
extern void native_leave_l2(struct kvm_vcpu *vcpu);
extern void native_invept(struct kvm_vcpu *vcpu, gpa_t root);
extern long native_take_l2_fault(struct kvm_vcpu *vcpu);
extern void native_set_nested(bool is_npt);

/* host.c */
extern void native_init_host(void);
extern void native_clear_host(void);
extern void native_begin_trying(void);
extern bool native_next_page(void);
extern bool native_interrupted(void);


/* rcu.c, locks.c */
extern struct mutex native_param_lock;	/* the one of the module's parameters */
extern bool native_ready(long kind, const void *object);
extern void native_wait(enum native_wait kind, const void *object);
extern bool native_lock_ready(long kind, const void *object);
extern bool native_rcu_ready(long kind, const void *object);
extern void native_run_rcu(void);
extern long native_srcu_depth(void);
extern long native_unprotected_reads;
extern void native_might_sleep(const char *where);

/* misc.c */
extern void native_store(const volatile void *at, unsigned long bytes);

/* litmus.c */
extern long native_litmus(const struct native_instruction *code, long nr, long *seen);

/* vm.c */
extern long native_vcpu_ipis[NATIVE_VCPUS];

#endif
