// SPDX-License-Identifier: GPL-2.0-only
/*
 * An L1 that runs an L2 under an EPT or NPT of its own: what their instructions do.  L2 is entered for its
 * first access and left for the next thing that L1 does.  difffuzz/sides/nested_guest.py in C.
 */
#include "guest.h"
#include "paging.h"

static void exit_l2(int vcpu)
{
	hm_kvm(FN_LEAVE_L2, vcpu, 0, 0, 0, 0, 0);
	gm_vcpus[vcpu].guest_mode = false;
}

/* L2 exits to L1, if it runs. */
static void leave_l2(int vcpu)
{
	if (!gm_vcpus[vcpu].guest_mode)
		return;
	hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
	exit_l2(vcpu);
	hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
}

static bool enter_l2(int vcpu)
{
	if (gm_vcpus[vcpu].guest_mode)
		return true;
	if (!guest_enter_once(vcpu))
		return false;
	hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
	hm_kvm(FN_ENTER_L2, vcpu, guest_registers[vcpu].root << 12, gm_has_ad(), 0, 0, 0);
	hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
	gm_vcpus[vcpu].guest_mode = true;
	return true;
}

static struct outcome in_l2(const struct op *op, long number)
{
	struct outcome outcome = outcome_of(RESULT_DONE, 0);
	struct access made;

	if (!enter_l2(op->thread))
		return outcome_of(RESULT_NOTHING, 0);
	guest_access_of(op, number, &made);
	made.user = false;
	guest_access(op->thread, &made, &outcome);
	return outcome;
}

/* One instruction of L1 or L2. */
struct outcome nested_run(const struct op *op, long number)
{
	struct outcome outcome = outcome_of(RESULT_DONE, 0);
	struct access made;
	int vcpu = op->thread;

	if (op->kind >= OP_GVA_READ && op->kind <= OP_GVA_EXEC)
		return in_l2(op, number);
	leave_l2(vcpu);
	if (guest_access_of(op, number, &made)) {
		made.gva -= GUEST_DIRECT_BASE;
		guest_access(vcpu, &made, &outcome);
		return outcome;
	}
	if (!guest_enter_once(vcpu))
		return outcome_of(RESULT_NOTHING, 0);
	if (op->kind == OP_CR3) {
		guest_registers[vcpu].root = guest_roots[op->cr3.root];
		return outcome;
	}
	hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
	/* That a VMRUN flushes L2's ASID under NPT, KVM does at each. */
	if (op->kind == OP_TOGGLE)
		guest_toggle(vcpu, op->toggle.what);
	else if (is_ept12())
		hm_kvm(FN_INVEPT, vcpu, guest_registers[vcpu].root << 12, 0, 0, 0, 0);
	hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
	return outcome;
}

struct walked nested_translate(int vcpu, const struct access *made)
{
	struct native_vcpu numbers;
	long pfn;

	native_vcpu_numbers(vcpu, &numbers);
	pfn = (gm_vcpus[vcpu].guest_mode ? gm_translate_l2 : gm_translate)(vcpu, numbers.root_hpa, numbers.root_level,
									   made->gva, made->access);
	return (struct walked){ pfn, NO_FAULT, made->gva };
}

long nested_error_code(int vcpu)
{
	return (gm_vcpus[vcpu].guest_mode ? gm_l2 : gm_vcpus)[vcpu].error_code;
}

/* The exit to L1 that L2's access ends in. */
long nested_take_fault(int vcpu)
{
	long fault = hm_kvm(FN_TAKE_L2_FAULT, vcpu, 0, 0, 0, 0, 0);

	if (fault == NO_FAULT)
		return hm_kvm(FN_TAKE_PAGE_FAULT, vcpu, 0, 0, 0, 0, 0);
	/* Inside KVM_RUN: SRCU is held. */
	if (gm_vcpus[vcpu].guest_mode)
		exit_l2(vcpu);
	return fault;
}
