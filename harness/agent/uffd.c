// SPDX-License-Identifier: GPL-2.0-only
/*
 * A userfaultfd of the program's own, with a monitor that answers at once: a page of zeros where
 * one is missing, what the page cache has, or leave to write.
 */
#include "agent.h"
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <linux/userfaultfd.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

enum { OFF, MISSING, MINOR, WP, COPY, ZERO, CONTINUE, PROTECT, UNPROTECT };
#define MOST_FILLED 4096ul

static int uffd = -1, stop = -1;
static pthread_t monitor;

static int copy(uint64_t to, void *from, uint64_t size)
{
	struct uffdio_copy copy = { .dst = to, .src = (uint64_t)from, .len = size };

	return ioctl(uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}

static int protect(struct uffdio_range range, int on)
{
	struct uffdio_writeprotect wp = {
		.range = range, .mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(uffd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

static int go_on(struct uffdio_range range)
{
	struct uffdio_continue one = { .range = range };

	return ioctl(uffd, UFFDIO_CONTINUE, &one) ? -errno : 0;
}

static void answer(const struct uffd_msg *message)
{
	static uint8_t zeros[4096] __attribute__((aligned(4096)));
	struct uffdio_range page = { message->arg.pagefault.address & -PG, PG };
	uint64_t flags = message->arg.pagefault.flags;
	int r;

	if (flags & UFFD_PAGEFAULT_FLAG_WP)
		r = protect(page, 0);
	else if (flags & UFFD_PAGEFAULT_FLAG_MINOR)
		r = go_on(page);
	else
		r = copy(page.start, zeros, PG);
	if (r)		/* somebody was quicker, or it is gone: the fault looks again */
		ioctl(uffd, UFFDIO_WAKE, &page);
}

static void *watch(void *unused)
{
	struct pollfd events[] = {
		{ .fd = uffd, .events = POLLIN }, { .fd = stop, .events = POLLIN },
	};
	struct uffd_msg message;
	cpu_set_t other;

	CPU_ZERO(&other);
	CPU_SET(1, &other);
	sched_setaffinity(0, sizeof(other), &other);
	while (poll(events, 2, -1) >= 0 && !events[1].revents)
		while (read(uffd, &message, sizeof(message)) == sizeof(message))
			if (message.event == UFFD_EVENT_PAGEFAULT)
				answer(&message);
	return unused;
}

static int begin(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};

	if (uffd >= 0)
		return 0;
	uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api))
		return fail("userfaultfd: %s", strerror(errno));
	stop = eventfd(0, EFD_CLOEXEC);
	return pthread_create(&monitor, NULL, watch, NULL);
}

void uffd_end(void)
{
	uint64_t one = 1;

	if (stop >= 0 && write(stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(monitor, NULL);
	if (stop >= 0)
		close(stop);
	if (uffd >= 0)
		close(uffd);
	uffd = stop = -1;
}

static int registered(struct uffdio_range range, int what)
{
	static const uint64_t modes[] = {
		[MISSING] = UFFDIO_REGISTER_MODE_MISSING, [MINOR] = UFFDIO_REGISTER_MODE_MINOR,
		[WP] = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_register wanted = { .range = range, .mode = modes[what] };

	if (what == OFF)
		return ioctl(uffd, UFFDIO_UNREGISTER, &range) ? -errno : 0;
	return ioctl(uffd, UFFDIO_REGISTER, &wanted) ? -errno : 0;
}

/* Pages that begin with the tag.  What has filled a part is asked again for why it stopped. */
static int copied(struct uffdio_range range, int tag)
{
	uint16_t word = tag << 8 | 0xb0;
	char *from = mmap(NULL, range.len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_copy one = { .dst = range.start, .src = (uint64_t)from, .len = range.len };
	int r;

	if (from == MAP_FAILED)
		return -ENOMEM;
	for (uint64_t at = 0; at < range.len; at += PG)
		memcpy(from + at, &word, sizeof(word));
	while ((r = ioctl(uffd, UFFDIO_COPY, &one)) && errno == EAGAIN && one.copy > 0) {
		one.dst += one.copy;
		one.src += one.copy;
		one.len -= one.copy;
		one.copy = 0;
	}
	r = r ? -errno : 0;
	munmap(from, range.len);
	return r;
}

static int zeroed(struct uffdio_range range)
{
	struct uffdio_zeropage one = { .range = range };
	int r;

	while ((r = ioctl(uffd, UFFDIO_ZEROPAGE, &one)) && errno == EAGAIN && one.zeropage > 0) {
		one.range.start += one.zeropage;
		one.range.len -= one.zeropage;
		one.zeropage = 0;
	}
	return r ? -errno : 0;
}

static int continued(struct uffdio_range range)
{
	struct uffdio_continue one = { .range = range };
	int r;

	while ((r = ioctl(uffd, UFFDIO_CONTINUE, &one)) && errno == EAGAIN && one.mapped > 0) {
		one.range.start += one.mapped;
		one.range.len -= one.mapped;
		one.mapped = 0;
	}
	return r ? -errno : 0;
}

void uffd_op(uint64_t hva, uint64_t pages, int what, int tag, struct seen *seen)
{
	struct uffdio_range range = { hva, pages * PG };
	int area = (hva >> 40) - 1;

	if (config.areas[area] == AREA_HUGETLB2M)
		note(seen, "the models do not register hugetlb memory");
	else if (what == WP && config.areas[area] == AREA_SHARED)
		note(seen, "the models do not protect shared memory");
	else if (what >= COPY && what <= CONTINUE && pages > MOST_FILLED)
		note(seen, "the machine has not so much memory");
	else if (begin())
		note(seen, "%s", why);
	else if (what <= WP)
		seen->told.ret = registered(range, what);
	else if (what == COPY)
		seen->told.ret = copied(range, tag);
	else if (what == ZERO)
		seen->told.ret = zeroed(range);
	else if (what == CONTINUE)
		seen->told.ret = continued(range);
	else
		seen->told.ret = protect(range, what == PROTECT);
}
