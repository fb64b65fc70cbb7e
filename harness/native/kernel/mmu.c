// SPDX-License-Identifier: GPL-2.0-only
/* The tree's mmu.c, and a way to its static functions. */
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched/signal.h>

/* KVM asks whether the host still has the page that it is about to unmap: the host knows. */
extern int native_page_count(struct page *page);
#define page_count(page) native_page_count(page)

#include "guestmem.h"
#include "tables.h"
/* Whoever tries a fault again and again asks between two attempts. */
extern bool native_interrupted(void);
#define signal_pending(task) native_interrupted()

#include "arch/x86/kvm/mmu/mmu.c"
#include "native.h"

int native_handle_mmio_page_fault(struct kvm_vcpu *vcpu, u64 addr)
{
	return handle_mmio_page_fault(vcpu, addr, vcpu->arch.mmu->root_role.direct);
}

/* One fault, with the statistics, which newer kernels leave to the caller. */
int native_do_page_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code)
{
#if !HAS_FAULT_TELLS_LEVEL
	return kvm_mmu_do_page_fault(vcpu, gpa, error_code, false, NULL);
#else
	int r;

	vcpu->stat.pf_taken++;
	r = kvm_mmu_do_page_fault(vcpu, gpa, error_code, false, NULL, NULL);
#if HAS_RET_PF_WRITE_PROTECTED
	/* What a direct MMU makes of it, unless the guest's page tables are written by its walker. */
	if (r == RET_PF_WRITE_PROTECTED)
		r = RET_PF_EMULATE;
#endif
	if (r == RET_PF_FIXED)
		vcpu->stat.pf_fixed++;
	else if (r == RET_PF_EMULATE)
		vcpu->stat.pf_emulate++;
	else if (r == RET_PF_SPURIOUS)
		vcpu->stat.pf_spurious++;
	return r;
#endif
}

/*
 * An instruction that writes no page tables, as far as the emulator can tell, met a page that is
 * write-protected as one: 1 if it is none any more, and the CPU may try again.
 */
long native_unprotect(struct kvm_vcpu *vcpu, gva_t gva)
{
#if HAS_UNPROTECT_AND_RETRY
	return kvm_mmu_unprotect_gfn_and_retry(vcpu, gva);
#else
	gpa_t gpa = kvm_mmu_gva_to_gpa_write(vcpu, gva, NULL);

	return gpa != INVALID_GPA && kvm_mmu_unprotect_page(vcpu->kvm, gpa_to_gfn(gpa));
#endif
}

/* Of every VM, of which there is one. */
int native_set_nx(bool on)
{
	return set_nx_huge_pages(on ? "force" : "off", NULL);
}

void native_configure_nx(bool on, unsigned int recovery_ratio)
{
	nx_huge_pages = on;
	nx_huge_pages_recovery_ratio = recovery_ratio;
}

#if HAS_TDP_MMU_ALLOWED
void native_allow_tdp_mmu(bool on)
{
	tdp_mmu_allowed = on;
}
#endif

void native_recover_nx(struct kvm *kvm)
{
#if HAS_RECOVER_NX_LPAGES
	kvm_recover_nx_lpages(kvm);
#elif HAS_NX_LISTS_BY_TYPE
	for (int type = 0; type < KVM_NR_MMU_TYPES; type++)
		kvm_recover_nx_huge_pages(kvm, type);
#else
	kvm_recover_nx_huge_pages(kvm);
#endif
}
