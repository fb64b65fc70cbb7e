// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest: 32-bit protected mode without paging, so that an address is a guest physical one.
 * A page begins with zeros, or with "mov $tag,%al": 0xb0 and the tag that was written last, so
 * that the same two bytes are read, written and executed.
 */
#include "agent.h"
#include <signal.h>
#include <sys/time.h>

static const uint8_t code[] = {
	0x66, 0x8b, 0x03, 0xe6, 0x10, 0xf4,	/* mov (%ebx),%ax; out %al,$0x10; hlt */
	0x66, 0x89, 0x03, 0xe6, 0x10, 0xf4,	/* mov %ax,(%ebx); out %al,$0x10; hlt */
};
static uint8_t *code_page;
static long run_size;
static __thread volatile int poisoned;

static void on_sigbus(int signal)
{
	(void)signal;
	poisoned = 1;
}

static void on_alarm(int signal)
{
	(void)signal;	/* KVM_RUN returns */
}

void guest_map(void)
{
	struct sigaction bus = { .sa_handler = on_sigbus }, alarm = { .sa_handler = on_alarm };

	sigaction(SIGBUS, &bus, NULL);
	sigaction(SIGALRM, &alarm, NULL);
	code_page = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	madvise(code_page, 2 * PG, MADV_NOHUGEPAGE);
	madvise(code_page, 2 * PG, MADV_DONTFORK);	/* a slot of which no fork() tells KVM */
	memset(code_page, 0, 2 * PG);
	memcpy(code_page, code, sizeof(code));
}

int guest_slots(struct vm *vm)
{
	for (uint32_t as = 0; as <= config.smm; as++) {
		struct kvm_userspace_memory_region region = {
			.slot = CODE_SLOT | as << 16, .guest_phys_addr = config.code_gfn * PG,
			.memory_size = 2 * PG, .userspace_addr = (uint64_t)code_page,
		};

		if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
			return fail("the guest's code: %s", strerror(errno));
	}
	return 0;
}

void guest_drop(struct vm *vm)
{
	for (int v = 0; v < vm->nr_vcpus; v++)
		if (vm->runs[v])
			munmap(vm->runs[v], run_size);	/* it keeps the VM, and that the module */
	memset(vm->runs, 0, sizeof(vm->runs));
}

void guest_unmap(void)
{
	if (code_page)
		munmap(code_page, 2 * PG);
	code_page = NULL;
}

int guest_setup(struct vm *vm, int v)
{
	struct kvm_segment flat = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1,
	}, data = flat;
	struct kvm_sregs sregs;

	run_size = ioctl(kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	vm->runs[v] = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fds[v], 0);
	if (vm->runs[v] == MAP_FAILED) {
		vm->runs[v] = NULL;
		return fail("mmap of kvm_run: %s", strerror(errno));
	}
	madvise(vm->runs[v], run_size, MADV_DONTFORK);
	data.selector = 16;
	data.type = 3;
	if (ioctl(vm->vcpu_fds[v], KVM_GET_SREGS, &sregs) < 0)
		return fail("KVM_GET_SREGS: %s", strerror(errno));
	sregs.cr0 |= 1;
	sregs.cs = flat;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	if (ioctl(vm->vcpu_fds[v], KVM_SET_SREGS, &sregs) < 0)
		return fail("KVM_SET_SREGS: %s", strerror(errno));
	return 0;
}

static void step_limit(int seconds)
{
	struct itimerval timer = { .it_value = { .tv_sec = seconds } };

	setitimer(ITIMER_REAL, &timer, NULL);
}

static int outcome_of(const struct kvm_run *run, int r, int access, struct seen *seen)
{
	int reason = run->exit_reason;

	seen->told.exit = r ? 0 : reason;
	seen->told.ret = r;
	if (poisoned)
		return RESULT_SIGBUS;
	if (r == -EINTR)
		return RESULT_STUCK;
	if (r)
		return RESULT_ERROR;
	if (reason == (access == FETCH ? KVM_EXIT_DEBUG : KVM_EXIT_IO))
		return RESULT_OK;
	if (reason == (access == FETCH ? KVM_EXIT_INTERNAL_ERROR : KVM_EXIT_MMIO))
		return RESULT_MMIO;
	note(seen, "an exit that nobody expects: %d", reason);
	return RESULT_ERROR;
}

struct pages_to_fault {	/* struct kvm_pre_fault_memory */
	uint64_t gpa, size, flags, padding[5];
};

#define PREFAULT_SECONDS 3

/*
 * KVM_PRE_FAULT_MEMORY of n pages; a signal of the host ends it.  It is not traced: where it never
 * ends (20a6cff3b283) its attempts would be all that the trace has.
 */
void guest_prefault(struct vm *vm, int v, uint64_t gfn, uint64_t n, struct seen *seen)
{
	struct pages_to_fault pages = { .gpa = gfn * PG, .size = n * PG };
	int r;

	poisoned = 0;
	trace_pause(1);
	step_limit(PREFAULT_SECONDS);
	r = ioctl(vm->vcpu_fds[v], _IOWR(KVMIO, 0xd5, struct pages_to_fault), &pages) < 0 ? -errno : 0;
	step_limit(0);
	trace_pause(0);
	seen->told.ret = r;
	seen->told.result = poisoned ? RESULT_SIGBUS : r == -EINTR ? RESULT_STUCK :
			    r ? RESULT_ERROR : RESULT_DONE;
}

/* One access of the guest; its outcome, and the tag that it saw or wrote. */
void guest_access(struct vm *vm, int v, int access, uint64_t gfn, int tag, struct seen *seen)
{
	uint64_t base = config.code_gfn * PG;
	struct kvm_regs regs = { .rflags = 2, .rbx = gfn * PG, .rip = base };
	struct kvm_guest_debug debug = { 0 };
	uint16_t word;
	int r;

	if (access == STORE) {
		regs.rip += 6;
		regs.rax = tag << 8 | 0xb0;
	} else if (access == FETCH) {		/* one instruction of the page, and stop */
		regs.rip = gfn * PG;
		regs.rax = base + PG;		/* zeros are "add %al,(%eax)" */
		debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
	}
	ioctl(vm->vcpu_fds[v], KVM_SET_REGS, &regs);
	if (access == FETCH)
		ioctl(vm->vcpu_fds[v], KVM_SET_GUEST_DEBUG, &debug);
	poisoned = 0;
	step_limit(STEP_SECONDS);
	r = ioctl(vm->vcpu_fds[v], KVM_RUN, 0) < 0 ? -errno : 0;
	step_limit(0);
	seen->told.result = outcome_of(vm->runs[v], r, access, seen);
	ioctl(vm->vcpu_fds[v], KVM_GET_REGS, &regs);
	/* What is pending of this exit ends before the next registers are set. */
	vm->runs[v]->immediate_exit = 1;
	ioctl(vm->vcpu_fds[v], KVM_RUN, 0);
	vm->runs[v]->immediate_exit = 0;
	if (access == FETCH) {
		struct kvm_vcpu_events none = { 0 };

		debug.control = 0;
		ioctl(vm->vcpu_fds[v], KVM_SET_GUEST_DEBUG, &debug);
		/* An exception that is pending: the guest has no handler of any. */
		ioctl(vm->vcpu_fds[v], KVM_SET_VCPU_EVENTS, &none);
	}
	word = regs.rax;
	if (seen->told.result != RESULT_OK)
		return;
	if (access == FETCH)
		seen->told.value = word & 0xff;
	else if ((word & 0xff) == 0xb0)
		seen->told.value = word >> 8;
	else
		seen->told.value = word ? 0x10000 | word : 0;
}
