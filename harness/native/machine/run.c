// SPDX-License-Identifier: GPL-2.0-only
/*
 * One operation of a program, as difffuzz/sides/model.py has it: guest accesses with their faults,
 * parked faults, what the host does.  ioctls are in ioctls.c.
 */
#include <string.h>

#include "functions.h"
#include "guest.h"
#include "interleave.h"
#include "play.h"
#include "task.h"

#define NOTHING_RETURNED (-(1L << 40))

/* A fault that waits in its handler, or an access that needed none. */
struct parked_fault {
	bool begun, parked;
	u64 gfn;
	int access;
	struct outcome outcome;
};

static struct parked_fault *faults;
static bool wants_park[NATIVE_TASKS];	/* concurrent: lets the others run where it would be parked */

void run_init(void)
{
	faults = hm_alloc(NR_VCPU_THREADS * sizeof(*faults));
}

bool run_has_fault(int vcpu)
{
	return faults[vcpu].begun;
}

static struct outcome outcome_of(enum result result, long value)
{
	return (struct outcome){ .result = result, .value = value, .pfn = -1, .parked_ret = -1, .fault_gfn = -1 };
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
	long numbers[NR_VCPU_NUMBERS];

	native_vcpu_numbers(vcpu, numbers);
	return numbers[VCPU_FAST];
}

static long enter(int vcpu)
{
	return hm_kvm(FN_ENTER_GUEST, vcpu, 0, 0, 0, 0, 0);
}

/* Leaves the guest and empties the CPU's log of dirty pages. */
static void leave(int vcpu)
{
	struct gm_vcpu *cpu = &gm_vcpus[vcpu];

	hm_kvm(FN_LEAVE_GUEST, vcpu, 0, 0, 0, 0, 0);
	for (int i = 0; i < cpu->nr_pml; i++)
		hm_kvm(FN_MARK_DIRTY, vcpu, cpu->pml[i] >> 12, 0, 0, 0, 0);
	cpu->nr_pml = 0;
}

static long translate(int vcpu, u64 gpa, int access)
{
	long numbers[NR_VCPU_NUMBERS];

	native_vcpu_numbers(vcpu, numbers);
	return gm_translate(vcpu, numbers[VCPU_ROOT], numbers[VCPU_ROOT_LEVEL], gpa, access);
}

/* RET_PF_* or -errno of one fault, also noted in the outcome. */
static long page_fault(int vcpu, u64 gpa, bool park, struct outcome *outcome)
{
	long rets[2] = { NOTHING_RETURNED, NOTHING_RETURNED };
	long r;

	park |= native_control->concurrent;
	r = hm_kvm(FN_PAGE_FAULT, vcpu, gpa, gm_vcpus[vcpu].error_code, (long)rets, park, 0);

	add_ret(outcome, rets[0]);
	add_ret(outcome, rets[1]);
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

/* How often an access may fault, and when others ran last. */
struct patience {
	int attempts;
	long switches;
};

/* One round of KVM_RUN; true when the access is done. */
static bool run_once(int vcpu, u64 gfn, int access, long number, struct patience *patience,
		     struct outcome *outcome)
{
	u64 gpa = gfn << 12;
	long r = enter(vcpu), pfn;

	if (r) {
		end(outcome, RESULT_ERROR, r);
		return true;
	}
	pfn = translate(vcpu, gpa, access);
	if (pfn >= 0) {
		hm_point();
		if (inter_on())
			check_touch(map_smm[vcpu], gfn, pfn, access);
		touch(pfn, access, number, outcome);
		leave(vcpu);
		return true;
	}
	leave(vcpu);
	if (inter_switches() != patience->switches) {
		/* Others ran: only attempts with all else at rest count. */
		patience->switches = inter_switches();
		patience->attempts = outcome->dropped_rets + outcome->nr_rets + MAX_ATTEMPTS;
	}
	if (outcome->dropped_rets + outcome->nr_rets >= patience->attempts) {
		outcome->result = RESULT_STUCK;
		return true;
	}
	r = page_fault(vcpu, gpa, false, outcome);
	if (r == RET_RETRY)
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
	if (r == RET_EMULATE) {
		emulate(vcpu, gpa, access, number, outcome);
		return true;
	}
	return false;
}

/* KVM_RUN until the access is done. */
static void run_access(int vcpu, u64 gfn, int access, long number, int attempts, struct outcome *outcome)
{
	struct patience patience = { attempts, inter_switches() };
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
	if (!enter(vcpu)) {
		hit = translate(vcpu, fault->gfn << 12, fault->access) >= 0;
		leave(vcpu);
		if (!hit) {
			fast = stat_fast(vcpu);
			fault->outcome.value = page_fault(vcpu, fault->gfn << 12, true, &fault->outcome);
			fault->outcome.fast = stat_fast(vcpu) - fast;
			gm_vcpus[vcpu].sigbus = false;
		}
	}
	hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
}

/* Runs the access up to where its fault has the pfn; the rest waits for the end. */
static struct outcome begin_fault(int vcpu, u64 gfn, int access)
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
static struct outcome finish_fault(int vcpu, long number)
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
		if (fault->outcome.value == RET_EMULATE) {
			hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
			task_run_as(vcpu);
			emulate(vcpu, fault->gfn << 12, fault->access, number, &done);
			hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
			return done;
		}
	}
	task_run_as(vcpu);
	run_access(vcpu, fault->gfn, fault->access, number, MAX_ATTEMPTS + done.nr_rets, &done);
	return done;
}

void run_finish_faults(long number)
{
	for (int vcpu = 0; vcpu < NR_VCPU_THREADS; vcpu++) {
		if (faults[vcpu].begun)
			finish_fault(vcpu, number);
		task_run_as(MAIN_TASK);
	}
}

/* vCPU events */

static void set_mode(const struct op *op)
{
	struct gm_vcpu *cpu = &gm_vcpus[op->thread];
	bool *mode = op->kind == OP_SMM ? &cpu->smm : &cpu->guest_mode;

	if (*mode == !!op->args[0])
		return;
	*mode = op->args[0];
	hm_kvm(op->kind == OP_SMM ? FN_SMM : FN_GUEST_MODE, op->thread, op->args[0], 0, 0, 0, 0);
	if (op->kind == OP_GUEST_MODE)
		gm_flush_tlb(op->thread);
}

static struct outcome run_vcpu_op(const struct op *op, long number)
{
	struct outcome outcome = outcome_of(RESULT_DONE, 0);
	int vcpu = op->thread;

	if (vcpu >= gm_nr_vcpus)
		return outcome_of(RESULT_NOTHING, 0);
	if (op->kind == OP_END_FAULT)
		return finish_fault(vcpu, number);
	if (op->kind == OP_BEGIN_FAULT)
		return run_has_fault(vcpu) ? outcome_of(RESULT_NOTHING, 0) :
					     begin_fault(vcpu, op->args[0], op->args[1]);
	task_run_as(vcpu);
	if (op->kind <= OP_EXEC)
		run_access(vcpu, op->args[0], op->kind, number, MAX_ATTEMPTS, &outcome);
	else if (op->kind == OP_RELOAD)
		hm_kvm(FN_RESET_CONTEXT, vcpu, 0, 0, 0, 0, 0);
	else
		set_mode(op);
	return outcome;
}

/* The host */

static struct outcome run_host_op(const struct op *op, long number)
{
	const long *args = op->args;
	u64 base = HM_AREA_BASE(args[0]), start = base + (args[1] << 12), end = start + (args[2] << 12);
	long value;

	switch (op->kind) {
	case OP_MUNMAP:
		hm_munmap(start, end);
		break;
	case OP_MMAP:
		hm_mmap(start, end);
		break;
	case OP_DONTNEED:
		hm_dontneed(start, end);
		break;
	case OP_MPROTECT:
		hm_mprotect(start, end, args[3]);
		break;
	case OP_FORK:
		hm_fork(start, end);
		break;
	case OP_COW_WRITE:
		hm_cow_write(start, number);
		break;
	case OP_MIGRATE:
		hm_migrate(start, start + PAGE_BYTES);
		break;
	case OP_THP_COLLAPSE:
		hm_thp_collapse(start);
		break;
	case OP_THP_SPLIT:
		hm_thp_split(start);
		break;
	case OP_THP_ADVICE:
		hm_thp_advice(start, end, args[3]);
		break;
	case OP_SWAP_OUT:
		hm_swap_out(start, end);
		break;
	case OP_HWPOISON:
		hm_hwpoison(start, start + PAGE_BYTES);
		break;
	case OP_KSM_MERGE:
		hm_ksm_merge(start, base + (args[2] << 12));
		break;
	case OP_HOST_READ:
		return outcome_of(RESULT_DONE, hm_copy_from_user(start, &value) ? value : -1);
	case OP_HOST_WRITE:
		hm_copy_to_user(start, number);
		break;
	case OP_AGE:
		hm_age(start, end, args[3]);
		break;
	case OP_TEST_AGE:
		hm_test_age(start);
		break;
	}
	return outcome_of(RESULT_DONE, 0);
}

struct outcome run_op(const struct op *op, long number)
{
	struct outcome outcome;

	if (op->kind <= OP_RELOAD) {
		outcome = run_vcpu_op(op, number);
	} else {
		task_run_as(op->thread);
		outcome = op->kind <= OP_TEST_AGE ? run_host_op(op, number) : run_ioctl(op);
	}
	task_run_as(MAIN_TASK);
	hm_kvm(FN_END_OPERATION, 0, 0, 0, 0, 0, 0);
	return outcome;
}

/* Concurrent runs */

/* A fault has its pfn: one that a program wants parked lets the others run. */
void run_parks(void)
{
	bool *wants = &wants_park[native_task->number];

	if (!*wants)
		return;
	*wants = false;
	inter_relax();
}

/* An operation of the current thread, while others do theirs. */
struct outcome run_op_among_others(const struct op *op, long number)
{
	struct op access = { .kind = op->args[1], .thread = op->thread, .args = { op->args[0] } };
	struct outcome outcome;

	if (op->kind == OP_END_FAULT)
		return outcome_of(RESULT_NOTHING, 0);
	wants_park[op->thread] = op->kind == OP_BEGIN_FAULT;
	if (op->kind == OP_BEGIN_FAULT)
		op = &access;
	if (op->kind <= OP_RELOAD)
		outcome = run_vcpu_op(op, number);
	else
		outcome = op->kind <= OP_TEST_AGE ? run_host_op(op, number) : run_ioctl(op);
	wants_park[op->thread] = false;
	hm_kvm(FN_END_OPERATION, 0, 0, 0, 0, 0, 0);
	return outcome;
}
