// SPDX-License-Identifier: GPL-2.0-only
/* Operations of the host: system calls on the areas that back the guest's memory. */
#include "agent.h"
#include <signal.h>
#include <stdarg.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <linux/kernel-page-flags.h>

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif

static int area_fd[MAX_AREAS], areas_made;
static pid_t child;

void note(struct seen *seen, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(seen->note, sizeof(seen->note), format, args);
	va_end(args);
}

static unsigned long unit(int area)
{
	return config.areas[area] == AREA_HUGETLB2M ? 512 : 1;
}

/* A hugetlb area is changed in whole huge pages only. */
int area_whole(int area)
{
	return unit(area) > 1;
}

static int map_range(int area, unsigned long page, unsigned long n)
{
	int flags = MAP_FIXED | MAP_NORESERVE, kind = config.areas[area];
	void *at = (void *)AREA(area, page);

	flags |= area_fd[area] >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	if (kind == AREA_HUGETLB2M)
		flags |= MAP_HUGETLB | 21 << 26;
	if (mmap(at, n * PG, PROT_READ | PROT_WRITE, flags, area_fd[area], page * PG) == MAP_FAILED)
		return fail("mmap of area %d: %s", area, strerror(errno));
	if (kind == AREA_4K)
		madvise(at, n * PG, MADV_NOHUGEPAGE);
	return 0;
}

int areas_make(void)
{
	areas_made = 1;
	for (int area = 0; area < MAX_AREAS; area++)
		area_fd[area] = -1;
	for (int area = 0; area < MAX_AREAS; area++) {
		if (config.areas[area] == AREA_SHARED) {
			area_fd[area] = syscall(SYS_memfd_create, "area", MFD_CLOEXEC);
			if (area_fd[area] < 0 || ftruncate(area_fd[area], AREA_SIZE))
				return fail("memfd: %s", strerror(errno));
		}
		if (map_range(area, 0, AREA_PAGES))
			return -1;
	}
	return 0;
}

static void drop_child(void)
{
	if (child <= 0)
		return;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = 0;
}

void areas_drop(void)
{
	drop_child();
	uffd_end();
	for (int area = 0; areas_made && area < MAX_AREAS; area++) {
		munmap((void *)AREA(area, 0), AREA_SIZE);
		if (area_fd[area] >= 0)
			close(area_fd[area]);
	}
	areas_made = 0;
}

/* Reads and writes of the host, which fail where a load or store would be a signal. */
int host_get(uint64_t hva, void *to, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)hva, size };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static int host_put(uint64_t hva, void *from, size_t size)
{
	struct iovec local = { from, size }, remote = { (void *)hva, size };

	return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* A host write to a page that is there and shared, which gives the host a page of its own: 1. */
static void cow_write(int area, unsigned long page, int tag, struct seen *seen)
{
	uint16_t word = tag << 8 | 0xb0;
	uint64_t entry = pagemap(AREA(area, page));

	if (entry >> 63 && entry >> 56 & 1)
		note(seen, "nobody shares the page: user space cannot tell whether it is read-only");
	else if (entry >> 63)
		seen->told.value = host_put(AREA(area, page), &word, sizeof(word));
}

static void host_fork(int area, unsigned long page, unsigned long n, struct seen *seen)
{
	if (madvise((void *)AREA(area, page), n * PG, MADV_DOFORK) && errno == EINVAL) {
		note(seen, "MADV_DOFORK is refused here");	/* of hugetlb, by newer kernels */
		return;
	}
	drop_child();
	for (int i = 0; i < MAX_AREAS; i++)
		madvise((void *)AREA(i, 0), AREA_SIZE, MADV_DONTFORK);
	madvise((void *)AREA(area, page), n * PG, MADV_DOFORK);
	child = fork();
	if (!child) {
		syscall(SYS_close_range, 0, ~0u, 0);	/* no VM lives on by it */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (1)
			pause();
	}
	for (int i = 0; i < MAX_AREAS; i++)
		madvise((void *)AREA(i, 0), AREA_SIZE, MADV_DOFORK);
	if (child < 0)
		note(seen, "fork: %s", strerror(errno));
}

static void migrate(int area, unsigned long page, struct seen *seen)
{
	void *at = (void *)AREA(area, page);
	int status = -1, node;

	if (!page_present(AREA(area, page)))
		return;
	if (in_thp(AREA(area, page)) && in_mapped_thp(AREA(area, page)) != 1) {
		note(seen, "a THP that is mapped by its pages moves whole");
		return;
	}
	syscall(SYS_move_pages, 0, 1ul, &at, NULL, &status, 0);
	node = status == 0 ? 1 : 0;
	if (syscall(SYS_move_pages, 0, 1ul, &at, &node, &status, 1 << 1) || status != node)
		note(seen, "the page did not move: %d", status);
}

/* The entry alone is split where an end of a VMA comes to lie in it; then the VMAs merge again. */
static void thp_split(int area, unsigned long page, struct seen *seen)
{
	void *at = (void *)AREA(area, page & 511 ? page : page + 1);
	int mapped = in_mapped_thp((uint64_t)at);

	if (mapped < 0)
		note(seen, "user space cannot tell whether this THP is mapped whole");
	if (mapped <= 0)
		return;

	madvise(at, PG, MADV_DONTFORK);
	madvise(at, PG, MADV_DOFORK);
}

/* Page idle tracking of the pages that are there: `mark` ages them, else they are asked. */
static void page_idle(int area, unsigned long page, unsigned long n, int mark, struct seen *seen)
{
	int map = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	int idle = open("/sys/kernel/mm/page_idle/bitmap", O_RDWR | O_CLOEXEC);
	uint64_t entries[512], last = 0;

	if (idle < 0)
		note(seen, "the kernel has no page_idle");
	while (idle >= 0 && n) {
		unsigned long now = n < 512 ? n : 512;
		ssize_t got = pread(map, entries, now * 8, AREA(area, page) / PG * 8);

		for (ssize_t i = 0; i < got / 8; i++) {
			uint64_t pfn = entries[i] & ((1ull << 55) - 1), word;

			if (!(entries[i] >> 63) || !pfn)
				continue;
			if (number_at("/proc/kpageflags", pfn) >> KPF_COMPOUND_TAIL & 1)
				pfn &= ~511ull;
			if (pfn == last)
				continue;
			last = pfn;
			word = 1ull << pfn % 64;
			if (mark && pwrite(idle, &word, 8, pfn / 64 * 8) != 8)
				note(seen, "page_idle: %s", strerror(errno));
			if (!mark && pread(idle, &word, 8, pfn / 64 * 8) == 8)
				seen->told.value = !(word >> pfn % 64 & 1);
		}
		page += now;
		n -= now;
	}
	close(map);
	if (idle >= 0)
		close(idle);
}

static void move(int area, unsigned long page, unsigned long n, unsigned long to, int keep,
		 struct seen *seen)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);

	if (area_whole(area))
		note(seen, "hugetlb memory is not moved here");
	else if (area_fd[area] >= 0)	/* they leave out what a second mapping of its pages is */
		note(seen, "the models do not move shared memory");
	else if (mremap((void *)AREA(area, page), n * PG, n * PG, flags,
			(void *)AREA(area, to)) == MAP_FAILED)
		seen->told.ret = -errno;
}

static void advise(int area, unsigned long page, unsigned long n, int advice, struct seen *seen)
{
	if (madvise((void *)AREA(area, page), n * PG, advice))
		seen->told.ret = -errno;
}

/* Arguments are those of the program language. */
void host_op(int kind, const uint64_t *args, int tag, struct seen *seen)
{
	static const int prots[] = { PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE };
	int area = args[0];
	unsigned long page = args[1], n = args[2], out = unit(area);
	unsigned long first = page & -out, pages = ((page + n + out - 1) & -out) - first;
	uint16_t word = tag << 8 | 0xb0;

	switch (kind) {
	case OP_MUNMAP:
		munmap((void *)AREA(area, first), pages * PG);
		break;
	case OP_MMAP:
		if (map_range(area, first, pages))
			note(seen, "%s", why);
		break;
	case OP_DONTNEED:
		advise(area, first, pages, MADV_DONTNEED, seen);
		break;
	case OP_LAZY_FREE:
		advise(area, page, n, MADV_FREE, seen);
		break;
	case OP_MPROTECT:
		mprotect((void *)AREA(area, first), pages * PG, prots[args[3]]);
		break;
	case OP_FORK:
		host_fork(area, first, pages, seen);
		break;
	case OP_COW_WRITE:
		cow_write(area, page, tag, seen);
		break;
	case OP_MIGRATE:
		migrate(area, page, seen);
		break;
	case OP_THP_COLLAPSE:	/* by khugepaged, which leaves such shared memory alone */
		if (area_fd[area] < 0)
			advise(area, page & ~511ul, 512, MADV_COLLAPSE, seen);
		break;
	case OP_COLLAPSE:
		advise(area, page, n, MADV_COLLAPSE, seen);
		break;
	case OP_COLD:
		advise(area, page, n, MADV_COLD, seen);
		break;
	case OP_PUNCH_HOLE:
		if (out > 1) {	/* no file is behind it: its whole pages go as they would from one */
			first = (page + out - 1) & -out;
			if (((page + n) & -out) > first)
				advise(area, first, ((page + n) & -out) - first, MADV_DONTNEED, seen);
		} else if (area_fd[area] >= 0 && fallocate(area_fd[area], FALLOC_FL_PUNCH_HOLE |
						    FALLOC_FL_KEEP_SIZE, page * PG, n * PG))
			note(seen, "fallocate: %s", strerror(errno));
		break;
	case OP_MREMAP:
		move(area, page, n, args[3], args[4], seen);
		break;
	case OP_THP_SPLIT:
		thp_split(area, page, seen);
		break;
	case OP_THP_ADVICE:
		advise(area, page, n, args[3] ? MADV_HUGEPAGE : MADV_NOHUGEPAGE, seen);
		break;
	case OP_UFFD:
		uffd_op(AREA(area, page), n, args[3], tag, seen);
		break;
	case OP_HWPOISON:
		if (!page_present(AREA(area, page)))
			break;
		if (page_flag(AREA(area, page), KPF_ZERO_PAGE)) {
			note(seen, "the zero page is everybody's");
			break;
		}
		advise(area, page, 1, MADV_HWPOISON, seen);
		if (seen->told.ret)
			note(seen, "MADV_HWPOISON: %s", strerror(-seen->told.ret));
		break;
	case OP_HOST_READ:
		seen->told.ret = host_get(AREA(area, page), &word, sizeof(word)) ? 0 : -EFAULT;
		seen->told.value = seen->told.ret ? 0 : word >> 8;
		break;
	case OP_HOST_WRITE:
		seen->told.ret = host_put(AREA(area, page), &word, sizeof(word)) ? 0 : -EFAULT;
		break;
	case OP_AGE:
		page_idle(area, page, n, 1, seen);
		break;
	case OP_TEST_AGE:
		page_idle(area, page, 1, 0, seen);
		break;
	default:
		note(seen, "the agent does not know it");
	}
}
