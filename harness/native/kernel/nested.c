// SPDX-License-Identifier: GPL-2.0-only
/*
 * L1 runs an L2 under an EPT or NPT of its own: what nested VMX and nested SVM do to the MMU when L2
 * is entered and left, and for INVEPT.  Under VMX L1 gives L2 a VPID that stays, so that entries and
 * exits flush nothing; nested SVM syncs and flushes at each.
 */
#include <asm/vmx.h>
#include <linux/kvm_host.h>

#include "arch/x86/kvm/mmu.h"
#include "arch/x86/kvm/x86.h"
#include "compat.h"
#include "vm.h"

#define EPTP_4_LEVELS (VMX_EPTP_MT_WB | VMX_EPTP_PWL_4)
#define EP4TA(eptp) ((eptp) & GENMASK_ULL(51, 12))

/* How L1's tables are walked, and what the emulator walks. */
#if HAS_PAGEWALKS
#define L1_WALK(vcpu) (&(vcpu)->arch.ngpa_walk)
#define walk_by(vcpu, name) ((void)(vcpu))
#else
#define L1_WALK(vcpu) (&(vcpu)->arch.guest_mmu)
#define walk_by(vcpu, name) ((vcpu)->arch.walk_mmu = &(vcpu)->arch.name)
#endif

static bool npt;

static struct {
	gpa_t pgd;	/* EPTP or nCR3 */
	bool faults;
	u32 error_code;
} l2[NATIVE_VCPUS];

void native_set_nested(bool is_npt)
{
	npt = is_npt;
}

static unsigned long get_pgd(struct kvm_vcpu *vcpu)
{
	return l2[vcpu->vcpu_id].pgd;
}

#if HAS_INJECT_TELLS_SOURCE
static void inject_fault(struct kvm_vcpu *vcpu, struct x86_exception *fault, bool from_hardware)
#else
static void inject_fault(struct kvm_vcpu *vcpu, struct x86_exception *fault)
#endif
{
	l2[vcpu->vcpu_id].faults = true;
	l2[vcpu->vcpu_id].error_code = fault->error_code;
}

/*
 * The exit to L1 that is due, -1 for none; it is taken.  Of a nested page fault the error code, of
 * an EPT violation 0, of a misconfiguration PFERR_RSVD_MASK.
 */
long native_take_l2_fault(struct kvm_vcpu *vcpu)
{
	u32 tells = npt ? ~0 : PFERR_RSVD_MASK;

	if (!l2[vcpu->vcpu_id].faults)
		return -1;
	l2[vcpu->vcpu_id].faults = false;
	return l2[vcpu->vcpu_id].error_code & tells;
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
	/* Without MBEC privilege counts for nothing; without GMET walks of NPT are the user's. */
	access = npt ? access | PFERR_USER_MASK : access & ~PFERR_USER_MASK;
	return L1_WALK(vcpu)->gva_to_gpa(vcpu, L1_WALK(vcpu), gpa, access, exception);
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

static void sync_and_flush(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_MMU_SYNC, vcpu);
	kvm_make_request(KVM_REQ_TLB_FLUSH_CURRENT, vcpu);
}

static void switched(struct kvm_vcpu *vcpu)
{
	kvm_init_mmu(vcpu);
	if (DIRTY_LOG_SIZE(vcpu->kvm))
		static_call(kvm_x86_update_cpu_dirty_logging)(vcpu);
}

static void init_ept(struct kvm_vcpu *vcpu, gpa_t eptp, bool ad)
{
#if HAS_EPT_TELLS_MBEC
	kvm_init_shadow_ept_mmu(vcpu, true, PG_LEVEL_2M, ad, false, eptp);
#else
	kvm_init_shadow_ept_mmu(vcpu, true, PG_LEVEL_2M, ad, eptp);
#endif
}

/* Walked by what L1 has in CR4 and EFER. */
static void init_npt(struct kvm_vcpu *vcpu, gpa_t ncr3)
{
#if HAS_NPT_TELLS_CONTROL
	kvm_init_shadow_npt_mmu(vcpu, vcpu->arch.cr4, vcpu->arch.efer, ncr3, 0);
#else
	kvm_init_shadow_npt_mmu(vcpu, X86_CR0_PG, vcpu->arch.cr4, vcpu->arch.efer, ncr3);
#endif
}

/* `root`: gpa of L1's top table; `ad`: its EPT has accessed and dirty bits. */
void native_enter_l2(struct kvm_vcpu *vcpu, gpa_t root, bool ad)
{
	gpa_t pgd = npt ? root : root | EPTP_4_LEVELS | (ad ? VMX_EPTP_AD_ENABLE_BIT : 0);

	l2[vcpu->vcpu_id].pgd = pgd;
	l2[vcpu->vcpu_id].faults = false;
	if (npt)
		sync_and_flush(vcpu);
	enter_guest_mode(vcpu);
	vcpu->arch.mmu = &vcpu->arch.guest_mmu;
	if (npt)
		init_npt(vcpu, pgd);
	else
		init_ept(vcpu, pgd, ad);
	L1_WALK(vcpu)->get_guest_pgd = get_pgd;
	L1_WALK(vcpu)->inject_page_fault = inject_fault;
	L1_WALK(vcpu)->get_pdptr = kvm_pdptr_read;
	walk_by(vcpu, nested_mmu);
	switched(vcpu);
}

void native_leave_l2(struct kvm_vcpu *vcpu)
{
	leave_guest_mode(vcpu);
	if (npt)
		sync_and_flush(vcpu);
	vcpu->arch.mmu = &vcpu->arch.root_mmu;
	walk_by(vcpu, root_mmu);
	switched(vcpu);
	kvm_mmu_new_pgd(vcpu, vcpu->arch.cr3);
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
