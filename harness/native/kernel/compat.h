/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What KVM calls differently from series to series.  The harness uses the names of the newest; the
 * numbers of DIFFFUZZ_KERNEL say which release changed a thing (6012 is Linux 6.12).
 */
#ifndef NATIVE_COMPAT_H
#define NATIVE_COMPAT_H

#include <linux/kvm_host.h>

#include "arch/x86/kvm/mmu.h"
#include "arch/x86/kvm/mmu/mmu_internal.h"
#include "native_abi.h"

#if DIFFFUZZ_KERNEL < 6008
#define kvm_userspace_memory_region2 kvm_userspace_memory_region
#define KVM_MAX_NR_ADDRESS_SPACES KVM_ADDRESS_SPACE_NUM
#endif

/* Tracking writes for others than KVM itself, as a device model does. */
#if DIFFFUZZ_KERNEL < 6006
#define gfn_write_track gfn_track[KVM_PAGE_TRACK_WRITE]
#define __kvm_write_track_add_gfn(kvm, slot, gfn) \
	kvm_slot_page_track_add_page(kvm, slot, gfn, KVM_PAGE_TRACK_WRITE)
#define __kvm_write_track_remove_gfn(kvm, slot, gfn) \
	kvm_slot_page_track_remove_page(kvm, slot, gfn, KVM_PAGE_TRACK_WRITE)
#define native_allow_write_tracking(kvm) ((void)(kvm))
#else
#include "arch/x86/kvm/mmu/page_track.h"
#define native_allow_write_tracking(kvm) ((kvm)->arch.external_write_tracking_enabled = true)
#endif

/* One fault, with the statistics; since 6.11 the caller of kvm_mmu_do_page_fault() keeps them. */
#if DIFFFUZZ_KERNEL < 6011
static inline int native_do_page_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code)
{
	return kvm_mmu_do_page_fault(vcpu, gpa, error_code, false, NULL);
}
#else
static inline int native_do_page_fault(struct kvm_vcpu *vcpu, gpa_t gpa, u64 error_code)
{
	int r;

	vcpu->stat.pf_taken++;
	r = kvm_mmu_do_page_fault(vcpu, gpa, error_code, false, NULL, NULL);
#if DIFFFUZZ_KERNEL >= 6012
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
}
#endif

/* RET_PF_* as Python numbers them, which is as 6.1 does; an -errno as it is. */
#if DIFFFUZZ_KERNEL >= 6012
#define NATIVE_RET_PF(r) ((r) > RET_PF_WRITE_PROTECTED ? (r) - 1 : (r))
#else
#define NATIVE_RET_PF(r) (r)
#endif
#define NATIVE_IS_RET_PF(name) _Static_assert(NATIVE_RET_PF(RET_PF_##name) == NATIVE_RET_PF_##name, #name)

NATIVE_IS_RET_PF(CONTINUE);
NATIVE_IS_RET_PF(RETRY);
NATIVE_IS_RET_PF(EMULATE);
NATIVE_IS_RET_PF(INVALID);
NATIVE_IS_RET_PF(FIXED);
NATIVE_IS_RET_PF(SPURIOUS);

static inline long native_ret_pf(int r)
{
	return NATIVE_RET_PF(r);
}

#endif
