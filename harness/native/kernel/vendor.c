// SPDX-License-Identifier: GPL-2.0-only
/* What kvm_intel and kvm_amd would do for the MMU: the targets of its static calls. */
#include <asm/vmx.h>
#include <linux/kvm_host.h>

#if __has_include("arch/x86/kvm/smm.h")
#include "arch/x86/kvm/smm.h"
#endif

#include "compat.h"
#include "vm.h"

#if !HAS_DIRTY_LOGGING_SLOTS
#define DIRTY_LOGGING_SLOTS(kvm) ((kvm)->arch.cpu_dirty_logging_count)
#else
#define DIRTY_LOGGING_SLOTS(kvm) atomic_read(&(kvm)->nr_memslots_dirty_logging)
#endif

static bool ept, interrupts;

int __SCT__kvm_x86_interrupt_allowed(struct kvm_vcpu *vcpu, bool for_injection)
{
	return interrupts && !is_guest_mode(vcpu) && !is_smm(vcpu);
}

static int cpl[NATIVE_VCPUS];

/* The privilege level that the guest of that vCPU runs at. */
void native_set_cpl(int vcpu, int level)
{
	cpl[vcpu] = level;
}

int __SCT__kvm_x86_get_cpl(struct kvm_vcpu *vcpu)
{
	return cpl[vcpu->vcpu_id];
}

unsigned long __SCT__kvm_x86_get_rflags(struct kvm_vcpu *vcpu)
{
	return X86_EFLAGS_FIXED;
}

/* Ordinary memory is write-back, whatever the guest's own page tables say. */
u8 __SCT__kvm_x86_get_mt_mask(struct kvm_vcpu *vcpu, gfn_t gfn, bool is_mmio)
{
	return ept ? MTRR_TYPE_WRBACK << VMX_EPT_MT_EPTE_SHIFT | VMX_EPT_IPAT_BIT : 0;
}

/* `async_pf`: the guest can take an interrupt, and so be told of an absent page. */
void native_set_vendor(bool is_ept, bool async_pf)
{
	ept = is_ept;
	interrupts = async_pf;
	/* Some kernels ask whether it is there. */
	kvm_x86_ops.get_mt_mask = __SCT__kvm_x86_get_mt_mask;
}

void __SCT__kvm_x86_load_mmu_pgd(struct kvm_vcpu *vcpu, hpa_t root, int level)
{
}

/* `current_only`: of L1 alone, or of L2 if that runs. */
static void flush(struct kvm_vcpu *vcpu, bool current_only)
{
	native_host(HOST_FLUSH, vcpu->vcpu_id, current_only, 0);
}

void __SCT__kvm_x86_flush_tlb_all(struct kvm_vcpu *vcpu)
{
	flush(vcpu, false);
}

void __SCT__kvm_x86_flush_tlb_current(struct kvm_vcpu *vcpu)
{
	flush(vcpu, true);
}

void __SCT__kvm_x86_flush_tlb_guest(struct kvm_vcpu *vcpu)
{
	flush(vcpu, true);
}

#if HAS_FLUSH_GVA_TELLS_FULL
void __SCT__kvm_x86_flush_tlb_gva(struct kvm_vcpu *vcpu, gva_t addr, bool *full)
#else
void __SCT__kvm_x86_flush_tlb_gva(struct kvm_vcpu *vcpu, gva_t addr)
#endif
{
	native_host(HOST_FLUSH_GVA, vcpu->vcpu_id, addr, 0);
}

#if !HAS_FLUSH_REMOTE_TLBS_RANGE
/* Under a hypervisor that flushes ranges each CPU is told of them before it enters the guest. */
int __SCT__kvm_x86_tlb_remote_flush_with_range(struct kvm *kvm, struct kvm_tlb_range *range)
{
	native_host(HOST_QUEUE_FLUSH, range->start_gfn, range->pages, 0);
	kvm_make_all_cpus_request(kvm, NATIVE_REQ_FLUSH_RANGES);
	return 0;
}

void native_flush_ranges(bool on)
{
	kvm_x86_ops.tlb_remote_flush_with_range =
		on ? __SCT__kvm_x86_tlb_remote_flush_with_range : NULL;
}
#else
int __SCT__kvm_x86_flush_remote_tlbs_range(struct kvm *kvm, gfn_t gfn, gfn_t nr_pages)
{
	native_host(HOST_QUEUE_FLUSH, gfn, nr_pages, 0);
	kvm_make_all_cpus_request(kvm, NATIVE_REQ_FLUSH_RANGES);
	return 0;
}

void native_flush_ranges(bool on)
{
	kvm_x86_ops.flush_remote_tlbs_range = on ? __SCT__kvm_x86_flush_remote_tlbs_range : NULL;
}
#endif

void __SCT__kvm_x86_update_cpu_dirty_logging(struct kvm_vcpu *vcpu)
{
	bool on = DIRTY_LOGGING_SLOTS(vcpu->kvm) && !is_guest_mode(vcpu);

	native_host(HOST_DIRTY_LOGGING, vcpu->vcpu_id, on, 0);
}
