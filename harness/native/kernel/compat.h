/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What KVM calls differently from tree to tree.  The harness uses the names of the newest; features.toml
 * tells how each HAS_name is found, and about when it came.
 */
#ifndef NATIVE_COMPAT_H
#define NATIVE_COMPAT_H

#include <linux/kvm_host.h>

#if __has_include("arch/x86/kvm/regs.h")
#include "arch/x86/kvm/regs.h"
#else
#include "arch/x86/kvm/kvm_cache_regs.h"
#endif
#include "arch/x86/kvm/mmu.h"
#include "arch/x86/kvm/mmu/mmu_internal.h"
#include "native_abi.h"

#if !HAS_REGION2
#define kvm_userspace_memory_region2 kvm_userspace_memory_region
#define KVM_MAX_NR_ADDRESS_SPACES KVM_ADDRESS_SPACE_NUM
#endif

/* The size of the PML buffer, 0 without PML: the VM's, or the vendor module's. */
#if HAS_DIRTY_LOG_SIZE_OF_VM
#define DIRTY_LOG_SIZE(kvm) ((kvm)->arch.cpu_dirty_log_size)
#else
#define DIRTY_LOG_SIZE(kvm) (*({ (void)(kvm); &kvm_x86_ops.cpu_dirty_log_size; }))
#endif

#if HAS_EPT_MASKS_OF_ONE
#define native_set_ept_masks(ad) kvm_mmu_set_ept_masks(ad)
#else
#define native_set_ept_masks(ad) kvm_mmu_set_ept_masks(ad, true)
#endif

extern int native_set_memory_region(struct kvm *kvm, const struct kvm_userspace_memory_region2 *region);

/* Tracking writes for others than KVM itself, as a device model does. */
#if !HAS_GFN_WRITE_TRACK
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

/* RET_PF_* as Python numbers them, which is as 6.1 does; an -errno as it is. */
#if HAS_RET_PF_WRITE_PROTECTED
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
