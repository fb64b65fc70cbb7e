// SPDX-License-Identifier: GPL-2.0-only
/* Pid 1: mounts, opens the port, and answers frames until it is told to power off. */
#include "agent.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/utsname.h>

static void mounts(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/tmp", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	mount("tracefs", "/sys/kernel/tracing", "tracefs", 0, NULL);
	mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);
	mount("tmp", "/tmp", "tmpfs", 0, NULL);
	/* What it is worth depends on the kernel: huge pages where a program has them, nobody
	 * makes some by himself. */
	write_text("/sys/kernel/mm/transparent_hugepage/enabled", "always");
	write_text("/sys/kernel/mm/transparent_hugepage/defrag", "always");
	/* The models' reads of fresh memory bring a huge page of its own. */
	write_text("/sys/kernel/mm/transparent_hugepage/use_zero_page", "0");
	write_text("/sys/kernel/mm/transparent_hugepage/khugepaged/scan_sleep_millisecs",
		   "4000000000");
	/* Neither has shared memory huge pages there, nor does a fault bring its neighbours. */
	write_text("/sys/kernel/mm/transparent_hugepage/shmem_enabled", "never");
	write_text("/sys/kernel/debug/fault_around_bytes", "4096");
	write_text("/proc/sys/vm/nr_hugepages", "24");
	write_text("/proc/sys/vm/nr_overcommit_hugepages", "256");
	/* Selftests map more than they touch. */
	write_text("/proc/sys/vm/overcommit_memory", "1");
	write_text("/proc/sys/kernel/numa_balancing", "0");
	write_text("/proc/sys/vm/compaction_proactiveness", "0");
}

/* The page that an operation would wait for, because a parked fault waits for it: 0 if for none. */
static int waits(const struct operation *op)
{
	struct slot *slot;
	uint64_t n = 1;

	switch (op->kind) {
	case OP_PREFAULT:
		n = op->args[1];
		/* fallthrough */
	case OP_READ:
	case OP_WRITE:
	case OP_EXEC:
	case OP_BEGIN_FAULT:
		slot = op->thread < MAX_VCPUS ? slot_at(&vms[0], vms[0].in_smm[op->thread], op->args[0]) : NULL;
		return slot && park_holds(slot->hva + (op->args[0] - slot->gfn) * PG, n, op->thread);
	case OP_HOST_READ:
	case OP_HOST_WRITE:
	case OP_HWPOISON:
	case OP_COW_WRITE:
	case OP_MIGRATE:
		return park_holds(AREA(op->args[0], op->args[1]), 1, -1);
	case OP_FORK:
	case OP_UFFD:
	case OP_MREMAP:		/* the page is a VMA of its own, and one call moves one VMA */
		return park_holds(AREA(op->args[0], op->args[1]), op->args[2], -1);
	}
	return 0;
}

/* Of one VM. */
static void operate_on(struct vm *vm, const struct operation *op, struct seen *seen)
{
	int v = op->thread < MAX_VCPUS ? op->thread : -1, kind = op->kind;

	if (kind == OP_PREFAULT)
		guest_prefault(vm, v, op->args[0], op->args[1], seen);
	else if (kind <= OP_EXEC)
		guest_access(vm, v, kind == OP_READ ? LOAD : kind == OP_WRITE ? STORE : FETCH,
			     op->args[0], op->tag, seen);
	else
		vmm_op(vm, kind, v, op->args, seen);
}

/* Is it of the host, or of all VMs alike? */
static int is_once(const struct operation *op)
{
	return op->host || op->kind == OP_NX || op->kind == OP_NX_RECOVER;
}

/* Faults that are parked, where the operation ends or begins one.  0: the rest is to be done. */
static int operate_parked(const struct operation *op, int v, struct seen *seen)
{
	struct seen ignored[MAX_VMS] = { 0 };

	if (op->kind == OP_END_FAULT) {
		for (int vm = 0; vm < nr_vms && !parked(v); vm++)
			seen[vm].told.result = RESULT_NOTHING;
		park_end(v, seen);
		return 1;
	}
	if (op->kind == OP_BEGIN_FAULT) {
		for (int vm = 0; vm < nr_vms; vm++)
			seen[vm].told.result = RESULT_NOTHING;
		park_begin(v, op->args[0], op->args[1], op->tag, seen);
		return 1;
	}
	park_end(v, ignored);
	return 0;
}

/* `seen`: one for each VM.  The vCPU that did something, or -1. */
static int operate(const struct operation *op, struct seen *seen)
{
	int v = op->thread < MAX_VCPUS ? op->thread : -1;
	int of_vcpu = op->kind <= OP_RELOAD || op->kind == OP_PREFAULT;

	if (waits(op)) {
		for (int vm = 0; vm < nr_vms; vm++)
			note(&seen[vm], "a parked fault holds the page");
		return v;
	}
	if (of_vcpu && (v < 0 || v >= vms[0].nr_vcpus)) {
		for (int vm = 0; vm < nr_vms; vm++)
			seen[vm].told.result = RESULT_NOTHING;
		return 0;
	}
	if (of_vcpu && operate_parked(op, v, seen))
		return v;
	if (op->kind >= OP_MEMSLOT_CREATE && op->kind <= OP_MEMSLOT_FLAGS)
		park_end_all();		/* an update waits for faults in flight */
	if (op->host)
		host_op(op->kind, op->args, op->tag, &seen[0]);
	else if (is_once(op))
		operate_on(&vms[0], op, &seen[0]);
	for (int vm = 1; vm < nr_vms && is_once(op); vm++)
		seen[vm] = seen[0];
	for (int i = 0; i < nr_vms && !is_once(op); i++) {
		int vm = nr_vms > 1 ? i ^ (op->number & 1) : i;	/* each is first at times */

		trace_mark(op->number, vm);
		operate_on(&vms[vm], op, &seen[vm]);
	}
	return of_vcpu ? v : -1;
}

/* What each VM showed of an operation. */
static void tell(struct out *out, const struct operation *op, int v, struct seen *seen)
{
	for (int vm = 0; vm < nr_vms; vm++) {
		if (op->skip)
			seen[vm].told.result = RESULT_SKIPPED;
		stats_read(&vms[vm], v, seen[vm].told.stats);
		seen[vm].told.note = strlen(seen[vm].note);
		put(out, &seen[vm].told, sizeof(seen[vm].told));
		put(out, seen[vm].words, seen[vm].told.words * 16ul);
		put(out, seen[vm].note, seen[vm].told.note);
		free(seen[vm].words);
	}
}

/* Operations in, what each showed out; then the trace and the log of all of them. */
static void run_ops(const char *payload, size_t size, struct out *out)
{
	const struct operation *ops = (const void *)payload;
	size_t count = size / sizeof(*ops);

	put_u32(out, count);
	for (size_t i = 0; i < count; i++) {
		struct seen seen[MAX_VMS] = { 0 };
		int v = -1;

		trace_mark(ops[i].number, 0);
		if (!ops[i].skip)
			v = operate(&ops[i], seen);
		tell(out, &ops[i], v, seen);
	}
	trace_mark(-1, 0);
	trace_take(out);
	log_take(out);
}

static int begin(const char *payload, size_t size)
{
	if (size != sizeof(config))
		return fail("a configuration of %zu bytes", size);
	memcpy(&config, payload, sizeof(config));
	vms_end();
	if (!vms_begin())
		return 0;
	vms_end();
	return -1;
}

static int load(const char *parameters)
{
	char how = parameters[0];	/* 't': what observations need; 'f': all that an import reads */

	vms_end();
	trace_off();
	if (unload_kvm() || load_kvm(parameters + 1))
		return -1;
	return how == '-' ? 0 : trace_on(how == 'f');
}

static void answer(struct frame *frame, char *payload)
{
	struct out out = { 0 };
	int r = 0;

	switch (frame->kind) {
	case FRAME_LOAD:
		r = load(payload);
		break;
	case FRAME_BEGIN:
		r = begin(payload, frame->length);
		break;
	case FRAME_OPS:
		if (!nr_vms)
			r = fail("there is no VM");
		else
			run_ops(payload, frame->length, &out);
		break;
	case FRAME_END:
		vms_end();
		log_take(&out);
		break;
	case FRAME_EXECUTE:
		r = execute(payload, frame->length, &out);
		break;
	case FRAME_PARAM: {
		char *value = strchr(payload, '=');

		if (value)
			*value++ = 0;
		r = value ? set_param(payload, value) : fail("no value");
		break;
	}
	default:
		r = fail("a frame of an unknown kind: %u", frame->kind);
	}
	if (r)
		frame_write(FRAME_ERROR, frame->sequence, why, strlen(why));
	else
		frame_write(frame->kind, frame->sequence, out.bytes, out.size);
	free(out.bytes);
}

static void serve(void)
{
	struct frame frame;
	struct utsname name;
	char hello[256];
	char *payload;

	uname(&name);
	snprintf(hello, sizeof(hello), "%s", name.release);
	frame_write(FRAME_READY, 0, hello, strlen(hello));
	while ((payload = frame_read(&frame)) && frame.kind != FRAME_OFF)
		answer(&frame, payload);
	if (!payload)
		printf("agent: %s\n", why[0] ? why : "the port is closed");
}

int main(void)
{
	setvbuf(stdout, NULL, _IONBF, 0);
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	mounts();
	sched_setaffinity(0, sizeof(one), &one);
	log_open();
	if (load_group("virtio") || port_open())
		printf("agent: %s\n", why);
	else
		serve();
	sync();
	reboot(RB_POWER_OFF);
	return 1;
}
