// SPDX-License-Identifier: GPL-2.0-only
/* The tree's mmu.c, and a way to its static functions. */
#include <linux/kvm_host.h>
#include <linux/mm.h>

/* KVM asks whether the host still has the page that it is about to unmap: the host knows. */
extern int native_page_count(struct page *page);
#define page_count(page) native_page_count(page)

#include "arch/x86/kvm/mmu/mmu.c"
#include "native.h"

int native_handle_mmio_page_fault(struct kvm_vcpu *vcpu, u64 addr)
{
	return handle_mmio_page_fault(vcpu, addr, true);
}

void native_set_nx(struct kvm *kvm, bool on)
{
	nx_huge_pages = on;
	mutex_lock(&kvm->slots_lock);
	kvm_mmu_zap_all_fast(kvm);
	mutex_unlock(&kvm->slots_lock);
}

void native_configure_nx(bool on)
{
	nx_huge_pages = on;
	nx_huge_pages_recovery_ratio = 1;
}

#if DIFFFUZZ_KERNEL >= 6003
void native_allow_tdp_mmu(bool on)
{
	tdp_mmu_allowed = on;
}
#endif

void native_recover_nx(struct kvm *kvm)
{
#if DIFFFUZZ_KERNEL < 6002
	kvm_recover_nx_lpages(kvm);
#else
	kvm_recover_nx_huge_pages(kvm);
#endif
}
