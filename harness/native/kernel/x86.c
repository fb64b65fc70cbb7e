// SPDX-License-Identifier: GPL-2.0-only
/* The tree's x86.c, and a way to its static functions. */
#include "arch/x86/kvm/x86.c"
#include "native.h"

void native_reset_async_pf(struct kvm_vcpu *vcpu)
{
	kvm_async_pf_hash_reset(vcpu);
}

void native_add_async_pf(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	kvm_add_async_pf_gfn(vcpu, gfn);
}

void native_del_async_pf(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	kvm_del_async_pf_gfn(vcpu, gfn);
}
