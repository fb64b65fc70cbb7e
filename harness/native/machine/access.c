// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest accesses with their faults, as difffuzz/sides/guests.py has them: KVM_RUN until the access is
 * done, and faults that are parked in their handlers.
 */
#include <string.h>

#include "guest.h"
#include "interleave.h"
#include "play.h"
#include "task.h"

/* A fault that waits in its handler, or an access that needed none. */
struct parked_fault {
	bool begun, parked;
	u64 gfn;
	int access;
	struct outcome outcome;
};

static struct parked_fault *faults;

void access_init(void)
{
	faults = hm_alloc(NR_VCPU_THREADS * sizeof(*faults));
}

bool access_has_fault(int vcpu)
{
	return faults[vcpu].begun;
}

static void add_ret(struct outcome *outcome, long ret)
{
	if (ret == NOTHING_RETURNED)
		return;
	if (outcome->nr_rets == MOST_RETS && inter_on()) {
		/* A vCPU that waits for others: only the last attempts are told. */
		outcome->nr_rets = MOST_RETS / 2;
		outcome->dropped_rets += MOST_RETS / 2;
		memmove(outcome->rets, outcome->rets + MOST_RETS / 2, MOST_RETS / 2 * sizeof(long));
	}
	if (outcome->nr_rets == MOST_RETS)
		hm_give_up("too many attempts");
	outcome->rets[outcome->nr_rets++] = ret;
}

static long stat_fast(int vcpu)
{
	struct native_vcpu numbers;

	native_vcpu_numbers(vcpu, &numbers);
	return numbers.stat.pf_fast;
}

long access_enter(int vcpu)
{
	return hm_kvm(FN_ENTER_GUEST, vcpu, 0, 0, 0, 0, 0);
}

/* Leaves the guest and empties the CPU's log of dirty pages. */
void access_leave(int vcpu)
{
	struct gm_vcpu *cpu = &gm_vcpus[vcpu];

	hm_kvm(FN_LEAVE_GUEST, vcpu, 0, 0, 0, 0, 0);
	for (int i = 0; i < cpu->nr_pml; i++)
		hm_kvm(FN_MARK_DIRTY, vcpu, cpu->pml[i] >> 12, 0, 0, 0, 0);
	cpu->nr_pml = 0;
}

static long translate(int vcpu, u64 gpa, int access)
{
	struct native_vcpu numbers;

	native_vcpu_numbers(vcpu, &numbers);
	return gm_translate(vcpu, numbers.root_hpa, numbers.root_level, gpa, access);
}

/* RET_PF_* or -errno of one fault, also noted in the outcome. */
long access_page_fault(int vcpu, u64 gpa, long error_code, bool park, struct outcome *outcome)
{
	struct native_rets rets = { NOTHING_RETURNED, NOTHING_RETURNED };
	long r;

	park |= native_control->concurrent;
	r = hm_kvm(FN_PAGE_FAULT, vcpu, gpa, error_code, (long)&rets, park, 0);

	add_ret(outcome, rets.mmio);
	add_ret(outcome, rets.fault);
	return r;
}

/* The guest's instruction reads or writes the frame. */
static void touch(u64 pfn, int access, long number, struct outcome *outcome)
{
	outcome->result = RESULT_OK;
	outcome->pfn = pfn;
	if (access != GM_WRITE) {
		outcome->value = hm_data(pfn);
	} else if (hm_is_free(pfn)) {
		outcome->value = FREED_DATA;
	} else {
		hm_set_data(pfn, number);
		outcome->value = number;
	}
}

/* The emulator's access. */
static void emulate(int vcpu, u64 gpa, int access, long number, struct outcome *outcome)
{
	long hva = hm_kvm(FN_EMULATED_HVA, vcpu, gpa, access == GM_WRITE, 0, 0, 0), value;

	outcome->result = RESULT_MMIO;
	outcome->value = 0;
	if (hva < 0)
		return;
	if (access != GM_WRITE) {
		if (!hm_copy_from_user(hva, &value))
			return;
		outcome->value = value;
	} else {
		if (!hm_copy_to_user(hva, number))
			return;
		hm_kvm(FN_MARK_DIRTY, vcpu, gpa >> 12, 0, 0, 0, 0);
		outcome->value = number;
	}
	outcome->result = RESULT_OK;
}

static void end(struct outcome *outcome, enum result result, long value)
{
	outcome->result = result;
	outcome->value = value;
}

/* Is an access still tried?  Only attempts with all else at rest count. */
bool access_is_patient(struct patience *patience, const struct outcome *outcome)
{
	int tried = outcome->dropped_rets + outcome->nr_rets;

	if (inter_switches() != patience->switches) {
		patience->switches = inter_switches();
		patience->attempts = tried + patience->anew;
	}
	return tried < patience->attempts;
}

/* One round of KVM_RUN; true when the access is done. */
static bool run_once(int vcpu, u64 gfn, int access, long number, struct patience *patience,
		     struct outcome *outcome)
{
	u64 gpa = gfn << 12;
	long r = access_enter(vcpu), pfn;

	if (r) {
		end(outcome, RESULT_ERROR, r);
		return true;
	}
	pfn = translate(vcpu, gpa, access);
	if (pfn >= 0) {
		hm_point();
		if (access == GM_WRITE)
			inter_drain();
		if (inter_on())
			check_touch(map_smm[vcpu], gfn, pfn, access, number);
		touch(pfn, access, number, outcome);
		access_leave(vcpu);
		return true;
	}
	access_leave(vcpu);
	if (!access_is_patient(patience, outcome)) {
		outcome->result = RESULT_STUCK;
		return true;
	}
	r = access_page_fault(vcpu, gpa, gm_vcpus[vcpu].error_code, false, outcome);
	if (r == RET_PF_RETRY)
		inter_relax();
	if (r < 0) {
		end(outcome, RESULT_ERROR, r);
		return true;
	}
	if (gm_vcpus[vcpu].sigbus) {
		gm_vcpus[vcpu].sigbus = false;
		outcome->result = RESULT_SIGBUS;
		return true;
	}
	if (r == RET_PF_EMULATE) {
		emulate(vcpu, gpa, access, number, outcome);
		return true;
	}
	return false;
}

/* KVM_RUN until the access is done. */
void access_run(int vcpu, u64 gfn, int access, long number, int attempts, struct outcome *outcome)
{
	struct patience patience = { attempts, inter_switches(), MAX_ATTEMPTS };
	long fast = stat_fast(vcpu);

	hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
	while (!run_once(vcpu, gfn, access, number, &patience, outcome))
		;
	hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
	outcome->fast += stat_fast(vcpu) - fast;
}

/* Parked faults */

/* Enters the guest and handles the fault that follows, if one does. */
static void one_fault(int vcpu)
{
	struct parked_fault *fault = &faults[vcpu];
	bool hit;
	long fast;

	hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
	if (!access_enter(vcpu)) {
		hit = translate(vcpu, fault->gfn << 12, fault->access) >= 0;
		access_leave(vcpu);
		if (!hit) {
			fast = stat_fast(vcpu);
			fault->outcome.value = access_page_fault(vcpu, fault->gfn << 12, gm_vcpus[vcpu].error_code,
								 true, &fault->outcome);
			fault->outcome.fast = stat_fast(vcpu) - fast;
			gm_vcpus[vcpu].sigbus = false;
		}
	}
	hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
}

/* Runs the access up to where its fault has the pfn; the rest waits for the end. */
struct outcome access_begin_fault(int vcpu, u64 gfn, int access)
{
	struct parked_fault *fault = &faults[vcpu];
	struct outcome begun = outcome_of(RESULT_NOTHING, 0);

	*fault = (struct parked_fault){ .begun = true, .gfn = gfn, .access = access };
	fault->outcome = outcome_of(RESULT_NOTHING, 0);
	task_prepare(vcpu, one_fault);
	task_switch(vcpu);
	begun.fault_gfn = gfn;
	if (task_alive(vcpu)) {
		begun.parked = fault->parked = true;
	} else {
		begun.nr_rets = fault->outcome.nr_rets;
		memcpy(begun.rets, fault->outcome.rets, sizeof(begun.rets));
	}
	return begun;
}

/* Lets a parked fault go on, then the access itself. */
struct outcome access_finish_fault(int vcpu, long number)
{
	struct parked_fault *fault = &faults[vcpu];
	struct outcome done = outcome_of(RESULT_DONE, 0);

	if (!fault->begun)
		return outcome_of(RESULT_NOTHING, 0);
	fault->begun = false;
	done.fault_gfn = fault->gfn;
	done.access = fault->access;
	if (fault->parked) {
		task_switch(vcpu);
		if (task_alive(vcpu) || !fault->outcome.nr_rets)
			hm_give_up("a parked fault does not end");
		done.parked = true;
		done.nr_rets = done.parked_rets = fault->outcome.nr_rets;
		memcpy(done.rets, fault->outcome.rets, sizeof(done.rets));
		done.parked_ret = done.rets[done.nr_rets - 1];
		done.fast = fault->outcome.fast;
		if (fault->outcome.value < 0) {
			end(&done, RESULT_ERROR, fault->outcome.value);
			return done;
		}
		if (fault->outcome.value == RET_PF_EMULATE) {
			task_run_as(vcpu);
			hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
			emulate(vcpu, fault->gfn << 12, fault->access, number, &done);
			hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
			return done;
		}
	}
	task_run_as(vcpu);
	access_run(vcpu, fault->gfn, fault->access, number, MAX_ATTEMPTS + done.nr_rets, &done);
	return done;
}

void access_finish_faults(long number)
{
	for (int vcpu = 0; vcpu < NR_VCPU_THREADS; vcpu++) {
		if (faults[vcpu].begun)
			access_finish_fault(vcpu, number);
		task_run_as(MAIN_TASK);
	}
}
