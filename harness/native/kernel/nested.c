// SPDX-License-Identifier: GPL-2.0-only
/*
 * L1 runs an L2 under an EPT of its own: what nested VMX does to the MMU when L2 is entered and left,
 * and for INVEPT.  L1 gives L2 a VPID that stays, so that entries and exits flush nothing.
 */
#include <asm/vmx.h>
#include <linux/kvm_host.h>

#include "arch/x86/kvm/mmu.h"
#include "arch/x86/kvm/x86.h"
#include "compat.h"
#include "vm.h"

#define EPTP_4_LEVELS (VMX_EPTP_MT_WB | VMX_EPTP_PWL_4)
#define EP4TA(eptp) ((eptp) & GENMASK_ULL(51, 12))

/* How L1's EPT is walked, and what the emulator walks. */
#if HAS_PAGEWALKS
#define EPT_WALK(vcpu) (&(vcpu)->arch.ngpa_walk)
#define walk_by(vcpu, name) ((void)(vcpu))
#else
#define EPT_WALK(vcpu) (&(vcpu)->arch.guest_mmu)
#define walk_by(vcpu, name) ((vcpu)->arch.walk_mmu = &(vcpu)->arch.name)
#endif

static struct {
	gpa_t eptp;
	long fault;
} l2[NATIVE_VCPUS];

static unsigned long get_eptp(struct kvm_vcpu *vcpu)
{
	return l2[vcpu->vcpu_id].eptp;
}

#if HAS_INJECT_TELLS_SOURCE
static void inject_ept_fault(struct kvm_vcpu *vcpu, struct x86_exception *fault, bool from_hardware)
#else
static void inject_ept_fault(struct kvm_vcpu *vcpu, struct x86_exception *fault)
#endif
{
	l2[vcpu->vcpu_id].fault =
		fault->error_code & PFERR_RSVD_MASK ? NATIVE_EPT_MISCONFIG : NATIVE_EPT_VIOLATION;
}

/* NATIVE_EPT_* of the exit to L1 that is due, -1 for none; it is taken. */
long native_take_ept_fault(struct kvm_vcpu *vcpu)
{
	long fault = l2[vcpu->vcpu_id].fault;

	l2[vcpu->vcpu_id].fault = 0;
	return fault ? fault : -1;
}

static int write_log_dirty(struct kvm_vcpu *vcpu, gpa_t l2_gpa)
{
	return 0;	/* L1 uses no PML */
}

#if HAS_NESTED_CALLS
int __SCT__kvm_x86_nested_write_log_dirty(struct kvm_vcpu *vcpu, gpa_t l2_gpa)
{
	return write_log_dirty(vcpu, l2_gpa);
}

gpa_t __SCT__kvm_x86_nested_translate_nested_gpa(struct kvm_vcpu *vcpu, gpa_t gpa, u64 access,
						 struct x86_exception *exception, u64 pte_access)
{
	access &= ~PFERR_USER_MASK;	/* without MBEC privilege counts for nothing */
	return EPT_WALK(vcpu)->gva_to_gpa(vcpu, EPT_WALK(vcpu), gpa, access, exception);
}

void native_init_nested(void)
{
}
#else
void native_init_nested(void)
{
	static struct kvm_x86_nested_ops ops = { .write_log_dirty = write_log_dirty };

	kvm_x86_ops.nested_ops = &ops;
}
#endif

static void switched(struct kvm_vcpu *vcpu)
{
	kvm_init_mmu(vcpu);
	if (DIRTY_LOG_SIZE(vcpu->kvm))
		static_call(kvm_x86_update_cpu_dirty_logging)(vcpu);
}

/* `root`: gpa of L1's top table; `ad`: its EPT has accessed and dirty bits. */
void native_enter_l2(struct kvm_vcpu *vcpu, gpa_t root, bool ad)
{
	gpa_t eptp = root | EPTP_4_LEVELS | (ad ? VMX_EPTP_AD_ENABLE_BIT : 0);

	l2[vcpu->vcpu_id].eptp = eptp;
	l2[vcpu->vcpu_id].fault = 0;
	enter_guest_mode(vcpu);
	vcpu->arch.mmu = &vcpu->arch.guest_mmu;
#if HAS_EPT_TELLS_MBEC
	kvm_init_shadow_ept_mmu(vcpu, true, PG_LEVEL_2M, ad, false, eptp);
#else
	kvm_init_shadow_ept_mmu(vcpu, true, PG_LEVEL_2M, ad, eptp);
#endif
	EPT_WALK(vcpu)->get_guest_pgd = get_eptp;
	EPT_WALK(vcpu)->inject_page_fault = inject_ept_fault;
	EPT_WALK(vcpu)->get_pdptr = kvm_pdptr_read;
	walk_by(vcpu, nested_mmu);
	switched(vcpu);
}

void native_leave_l2(struct kvm_vcpu *vcpu)
{
	leave_guest_mode(vcpu);
	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	walk_by(vcpu, root_mmu);
	switched(vcpu);
}

/* Of one EPTP: what KVM shadows of it is looked at anew when it is used. */
void native_invept(struct kvm_vcpu *vcpu, gpa_t root)
{
	struct kvm_mmu *mmu = &vcpu->arch.guest_mmu;
	unsigned long which = 0;

	if (VALID_PAGE(mmu->root.hpa) && EP4TA(mmu->root.pgd) == root)
		which |= KVM_MMU_ROOT_CURRENT;
	for (int i = 0; i < KVM_MMU_NUM_PREV_ROOTS; i++)
		if (VALID_PAGE(mmu->prev_roots[i].hpa) && EP4TA(mmu->prev_roots[i].pgd) == root)
			which |= KVM_MMU_ROOT_PREVIOUS(i);
	if (which)
		kvm_mmu_free_roots(vcpu->kvm, mmu, which);
}
