// SPDX-License-Identifier: GPL-2.0-only
/*
 * A fault that waits while it asks for its page, by userfaultfd.  Only a 4K page that is not there
 * can be waited for: the first access of a page of an area without huge pages.
 */
#include "agent.h"
#include <poll.h>
#include <sched.h>
#include <pthread.h>
#include <linux/userfaultfd.h>
#include <sys/syscall.h>

static struct parked {
	pthread_t thread;
	int pending, uffd, vcpu, access, tag;
	uint64_t gfn;
	struct uffdio_range range;
	struct seen seen;
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
	struct parked *fault = arg;
	cpu_set_t other;

	CPU_ZERO(&other);
	CPU_SET(1, &other);
	sched_setaffinity(0, sizeof(other), &other);
	guest_access(fault->vcpu, fault->access, fault->gfn, fault->tag, &fault->seen);
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

void park_begin(int v, uint64_t gfn, int access, int tag, struct seen *seen)
{
	struct parked *fault = &faults[v];
	struct slot *slot = slot_at(in_smm[v], gfn);
	struct pollfd event;

	if (fault->pending)	/* a vCPU holds one */
		return;
	memset(fault, 0, sizeof(*fault));
	fault->pending = 1;
	fault->vcpu = v;
	fault->access = access;
	fault->gfn = gfn;
	fault->tag = tag;
	fault->uffd = -1;
	if (!slot || (access == STORE && slot->flags & KVM_MEM_READONLY) || !park(fault, slot)) {
		if (fault->uffd >= 0)
			close(fault->uffd);
		fault->pending = 0;
		note(seen, "not parked: its page is there, or not one of 4K");
		return;
	}
	pthread_create(&fault->thread, NULL, access_of, fault);
	event = (struct pollfd){ .fd = fault->uffd, .events = POLLIN };
	if (poll(&event, 1, 3000) != 1)
		note(seen, "no fault came to be parked");
	else
		seen->told.parked = 1;
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
	pthread_join(fault->thread, NULL);
	*seen = fault->seen;
	seen->told.parked = 1;
}

void park_end_all(void)
{
	for (int v = 0; v < MAX_VCPUS; v++) {
		struct seen ignored = { 0 };

		park_end(v, &ignored);
	}
}
