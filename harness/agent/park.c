// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault that waits while it asks for its page, by userfaultfd.  Only a 4K page that is not there
 * can be waited for: the first access of a page of an area without huge pages.  All VMs of the
 * program wait for it at once, each in a thread of its own.
 */
#include "agent.h"
#include <poll.h>
#include <sched.h>
#include <pthread.h>
#include <linux/userfaultfd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

static struct parked {
	int pending, uffd, vcpu, access, tag;
	uint64_t gfn;
	struct uffdio_range range;
	struct waiter {
		pthread_t thread;
		int begun, vm;
		struct parked *fault;
		struct seen seen;
	} waiters[MAX_VMS];
} faults[MAX_VCPUS];

int parked(int v)
{
	return v < MAX_VCPUS && faults[v].pending;
}

/* Does a parked fault, but that of `but`, wait for one of these pages? */
int park_holds(uint64_t hva, uint64_t pages, int but)
{
	for (int v = 0; v < MAX_VCPUS; v++)
		if (v != but && faults[v].pending &&
		    faults[v].range.start - hva < pages * PG)
			return 1;
	return 0;
}

static void *access_of(void *arg)
{
	struct waiter *waiter = arg;
	struct parked *fault = waiter->fault;
	char name[16];
	cpu_set_t other;

	CPU_ZERO(&other);
	CPU_SET(1, &other);
	sched_setaffinity(0, sizeof(other), &other);
	snprintf(name, sizeof(name), "vm%d", waiter->vm);	/* for the trace */
	prctl(PR_SET_NAME, name);
	guest_access(&vms[waiter->vm], fault->vcpu, fault->access, fault->gfn, fault->tag,
		     &waiter->seen);
	return NULL;
}

static int park(struct parked *fault, struct slot *slot)
{
	uint64_t hva = slot->hva + (fault->gfn - slot->gfn) * PG;
	int kind = config.areas[(hva >> 40) - 1];
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { hva, PG }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (kind != AREA_4K || page_present(hva))
		return 0;
	fault->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fault->uffd < 0 || ioctl(fault->uffd, UFFDIO_API, &api) ||
	    ioctl(fault->uffd, UFFDIO_REGISTER, &reg))
		return 0;
	fault->range = reg.range;
	return 1;
}

/* The fault of one VM; it waits when this returns. */
static void wait_with(struct parked *fault, int vm, struct seen *seen)
{
	struct waiter *waiter = &fault->waiters[vm];
	struct pollfd event = { .fd = fault->uffd, .events = POLLIN };
	struct uffd_msg message;

	waiter->vm = vm;
	waiter->fault = fault;
	waiter->begun = !pthread_create(&waiter->thread, NULL, access_of, waiter);
	if (poll(&event, 1, 3000) == 1 &&
	    read(fault->uffd, &message, sizeof(message)) == sizeof(message))
		seen->told.parked = 1;
	else
		note(seen, "no fault came to be parked");
}

void park_begin(int v, uint64_t gfn, int access, int tag, struct seen *seen)
{
	struct parked *fault = &faults[v];
	struct slot *slot = slot_at(&vms[0], vms[0].in_smm[v], gfn);

	if (fault->pending)	/* a vCPU holds one */
		return;
	*fault = (struct parked){
		.pending = 1, .vcpu = v, .access = access, .gfn = gfn, .tag = tag, .uffd = -1,
	};
	if (!slot || (access == STORE && slot->flags & KVM_MEM_READONLY) || !park(fault, slot)) {
		if (fault->uffd >= 0)
			close(fault->uffd);
		fault->pending = 0;
		for (int vm = 0; vm < nr_vms; vm++)
			note(&seen[vm], "not parked: its page is there, or not one of 4K");
		return;
	}
	for (int vm = 0; vm < nr_vms; vm++)
		wait_with(fault, vm, &seen[vm]);
}

void park_end(int v, struct seen *seen)
{
	static uint8_t zeros[4096] __attribute__((aligned(4096)));
	struct parked *fault = &faults[v];
	struct uffdio_copy copy = {
		.dst = fault->range.start, .src = (uint64_t)zeros, .len = PG,
	};

	struct uffdio_zeropage zero = { .range = fault->range };

	if (!fault->pending)
		return;
	fault->pending = 0;

	/* A read gets the zero page.  Where it fails the page is another one by now. */
	if (fault->access == STORE ? ioctl(fault->uffd, UFFDIO_COPY, &copy)
				   : ioctl(fault->uffd, UFFDIO_ZEROPAGE, &zero))
		ioctl(fault->uffd, UFFDIO_WAKE, &fault->range);
	ioctl(fault->uffd, UFFDIO_UNREGISTER, &fault->range);
	close(fault->uffd);
	for (int vm = 0; vm < nr_vms; vm++) {
		if (fault->waiters[vm].begun)
			pthread_join(fault->waiters[vm].thread, NULL);
		seen[vm] = fault->waiters[vm].seen;
		seen[vm].told.parked = 1;
	}
}

void park_end_all(void)
{
	for (int v = 0; v < MAX_VCPUS; v++) {
		struct seen ignored[MAX_VMS] = { 0 };

		park_end(v, ignored);
	}
}
