// SPDX-License-Identifier: GPL-2.0-only
/*
 * One operation of a program, as difffuzz/sides/kvm_side.py has it.  Guest accesses are in access.c,
 * ioctls in ioctls.c.
 */
#include <errno.h>

#include "guest.h"
#include "interleave.h"
#include "paging.h"
#include "task.h"

static bool wants_park[NATIVE_TASKS];	/* concurrent: lets the others run where it would be parked */

/* vCPU events */

static void set_mode(const struct op *op)
{
	struct gm_vcpu *cpu = &gm_vcpus[op->thread];
	bool *mode = op->kind == OP_SMM ? &cpu->smm : &cpu->guest_mode;

	if (*mode == !!op->mode.on)
		return;
	*mode = op->mode.on;
	hm_kvm(op->kind == OP_SMM ? FN_SMM : FN_GUEST_MODE, op->thread, op->mode.on, 0, 0, 0, 0);
	if (op->kind == OP_GUEST_MODE)
		gm_flush_tlb(op->thread);
}

/* An access that the guest's CPU cannot make never reaches KVM: difffuzz/sides/reach.py. */
static bool is_reachable(u64 gfn)
{
	return gfn >> (play_config->tdp ? play_config->maxphyaddr - 12 : 20) == 0;
}

static struct outcome unreachable(long access)
{
	static const long errors[] = { 0, PFERR_WRITE_MASK, PFERR_FETCH_MASK };

	if (!play_config->tdp)
		return outcome_of(RESULT_NOTHING, 0);
	return outcome_of(RESULT_FAULT, PFERR_PRESENT_MASK | PFERR_RSVD_MASK | errors[access]);
}

/* A signal ends it: SIGBUS, or one of a user who waits no longer. */
static struct outcome prefault(int vcpu, const struct op *op)
{
	long r = hm_kvm(FN_PREFAULT, vcpu, op->prefault.gfn, op->prefault.n, 0, 0, 0);

	if (gm_vcpus[vcpu].sigbus) {
		gm_vcpus[vcpu].sigbus = false;
		return outcome_of(RESULT_SIGBUS, r);
	}
	if (!r)
		return outcome_of(RESULT_DONE, r);
	return outcome_of(r == -EINTR ? RESULT_STUCK : RESULT_ERROR, r);
}

static bool is_vcpu_op(const struct op *op)
{
	return op->kind <= OP_RELOAD || op->kind == OP_PREFAULT;
}

static struct outcome run_vcpu_op(const struct op *op, long number)
{
	struct outcome outcome = outcome_of(RESULT_DONE, 0);
	int vcpu = op->thread;

	if (vcpu >= gm_nr_vcpus)
		return outcome_of(RESULT_NOTHING, 0);
	if (op->kind == OP_END_FAULT)
		return access_finish_fault(vcpu, number);
	if (op->kind == OP_BEGIN_FAULT && access_has_fault(vcpu))
		return outcome_of(RESULT_NOTHING, 0);
	if (op->kind <= OP_BEGIN_FAULT && !is_reachable(op->guest.gfn))
		return unreachable(op->kind == OP_BEGIN_FAULT ? op->begin_fault.access : op->kind);
	if (op->kind == OP_BEGIN_FAULT)
		return access_begin_fault(vcpu, op->begin_fault.gfn, op->begin_fault.access);
	task_run_as(vcpu);
	if (op->kind <= OP_EXEC)
		access_run(vcpu, op->guest.gfn, op->kind, number, MAX_ATTEMPTS, &outcome);
	else if (op->kind == OP_PREFAULT)
		outcome = prefault(vcpu, op);
	else if (op->kind == OP_RELOAD)
		hm_kvm(FN_RESET_CONTEXT, vcpu, 0, 0, 0, 0, 0);
	else
		set_mode(op);
	return outcome;
}

/* The host */

/* Does the operation name a range?  Of others `n` may be anything. */
static bool has_range(long kind)
{
	switch (kind) {
	case OP_COW_WRITE:
	case OP_MIGRATE:
	case OP_THP_COLLAPSE:
	case OP_THP_SPLIT:
	case OP_HWPOISON:
	case OP_KSM_MERGE:
	case OP_HOST_READ:
	case OP_HOST_WRITE:
	case OP_TEST_AGE:
		return false;
	}
	return true;
}

/* A host that errs has a range of no page: it brackets that, or asks of its age. */
static void run_on_nothing(const struct op *op, u64 addr)
{
	if (op->kind == OP_AGE)
		hm_age_nothing(addr, op->age.flush);
	else
		hm_invalidate(addr, addr, op->kind == OP_INVALIDATE ? op->invalidate.part : 0);
}

static struct outcome run_host_op(const struct op *op, long number)
{
	u64 base = HM_AREA_BASE(op->host.area), start = base + (op->host.page << 12);
	/* Of those that have a range. */
	u64 end = start + (op->range.n << 12);
	long value;

	if (has_range(op->kind) && end == start) {
		run_on_nothing(op, start);
		return outcome_of(RESULT_DONE, 0);
	}
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
		hm_mprotect(start, end, op->mprotect.prot);
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
		hm_collapse(start);
		break;
	case OP_THP_SPLIT:
		hm_thp_split(start);
		break;
	case OP_THP_ADVICE:
		hm_thp_advice(start, end, op->thp_advice.on);
		break;
	case OP_SWAP_OUT:
		return outcome_of(RESULT_DONE, hm_swap_out(start, end));
	case OP_HWPOISON:
		hm_hwpoison(start, start + PAGE_BYTES);
		break;
	case OP_KSM_MERGE:
		hm_ksm_merge(start, base + (op->ksm_merge.other << 12));
		break;
	case OP_HOST_READ:
		return outcome_of(RESULT_DONE, hm_copy_from_user(start, &value) ? value : -1);
	case OP_HOST_WRITE:
		hm_copy_to_user(start, number);
		break;
	case OP_AGE:
		return outcome_of(RESULT_DONE, hm_age(start, end, op->age.flush));
	case OP_TEST_AGE:
		return outcome_of(RESULT_DONE, hm_test_age(start));
	case OP_LAZY_FREE:
		hm_madvise_free(start, end);
		break;
	case OP_WRITEBACK:
		hm_writeback(start, end);
		break;
	case OP_COLD:
		hm_cold(start, end);
		break;
	case OP_PAGEOUT:
		return outcome_of(RESULT_DONE, hm_pageout(start, end));
	case OP_COLLAPSE:
		return outcome_of(RESULT_DONE, hm_madvise_collapse(start, end));
	case OP_PUNCH_HOLE:
		return outcome_of(RESULT_DONE, hm_punch_hole(start, end));
	case OP_UFFD:
		return outcome_of(RESULT_DONE, hm_uffd(start, end, op->uffd.what, number));
	case OP_INVALIDATE:
		hm_invalidate(start, end, op->invalidate.part);
		break;
	case OP_MREMAP:
		return outcome_of(RESULT_DONE, hm_mremap(start, end, base + (op->mremap.to << 12), op->mremap.keep));
	}
	return outcome_of(RESULT_DONE, 0);
}

static bool is_host_op(const struct op *op)
{
	return op->thread >= FIRST_HOST_THREAD && op->thread <= LAST_HOST_THREAD;
}

/* Of a program whose guest has no page tables. */
struct outcome run_plain_op(const struct op *op, long number)
{
	if (is_vcpu_op(op))
		return run_vcpu_op(op, number);
	task_run_as(op->thread);
	return is_host_op(op) ? run_host_op(op, number) : run_ioctl(op);
}

struct outcome run_op(const struct op *op, long number)
{
	struct outcome outcome = play_config->guest ? guest_op(op, number) : run_plain_op(op, number);

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
	struct op access = { .kind = op->begin_fault.access, .thread = op->thread };
	struct outcome outcome;

	if (play_config->guest) {
		outcome = guest_op(op, number);
		hm_kvm(FN_END_OPERATION, 0, 0, 0, 0, 0, 0);
		return outcome;
	}
	if (op->kind == OP_END_FAULT)
		return outcome_of(RESULT_NOTHING, 0);
	access.guest.gfn = op->begin_fault.gfn;
	wants_park[op->thread] = op->kind == OP_BEGIN_FAULT;
	if (op->kind == OP_BEGIN_FAULT)
		op = &access;
	if (is_vcpu_op(op))
		outcome = run_vcpu_op(op, number);
	else
		outcome = is_host_op(op) ? run_host_op(op, number) : run_ioctl(op);
	wants_park[op->thread] = false;
	hm_kvm(FN_END_OPERATION, 0, 0, 0, 0, 0, 0);
	return outcome;
}
