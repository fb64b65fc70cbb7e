// SPDX-License-Identifier: GPL-2.0-only
//: huge_pages needs tap
static void need_huge_pages(int kilobytes)
{
	char path[96], line[160];
	int n = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/sys/kernel/mm/hugepages/hugepages-%dkB/free_hugepages",
		 kilobytes);
	file = fopen(path, "r");
	if (file && fscanf(file, "%d", &n) == 1 && n > 0) {
		fclose(file);
		return;
	}
	snprintf(line, sizeof(line), "no free huge page of %d kB: write a number into nr_hugepages",
		 kilobytes);
	tap_skip_all(line);
}

//: host_munmap needs area
static void host_munmap(int area, unsigned long page, unsigned long n)
{
	whole_pages(area, &page, &n);
	if (munmap((void *)AREA(area, page), n * PG))
		skip(strerror(errno));
}

//: host_mmap needs area
/* Fresh memory over whatever is there. */
static void host_mmap(int area, unsigned long page, unsigned long n)
{
	whole_pages(area, &page, &n);
	map_range(area, page, n);
}

//: host_madvise needs area
static void host_madvise(int area, unsigned long page, unsigned long n, int advice)
{
	char line[96];

	whole_pages(area, &page, &n);
	if (!madvise((void *)AREA(area, page), n * PG, advice))
		return;
	snprintf(line, sizeof(line), "madvise(%d): %s", advice, strerror(errno));
	skip(line);
}

//: host_dontneed needs host_madvise
static void host_dontneed(int area, unsigned long page, unsigned long n)
{
	host_madvise(area, page, n, MADV_DONTNEED);
}

//: host_lazy_free needs host_madvise
static void host_lazy_free(int area, unsigned long page, unsigned long n)
{
	host_madvise(area, page, n, MADV_FREE);
}

//: host_thp_advice needs host_madvise
static void host_thp_advice(int area, unsigned long page, unsigned long n, int on)
{
	host_madvise(area, page, n, on ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
}

//: host_thp_collapse needs host_madvise
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
static void host_thp_collapse(int area, unsigned long page)
{
	host_madvise(area, page & ~511ul, 512, MADV_COLLAPSE);
}

//: host_swap_out needs host_madvise
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT 21
#endif
static void host_swap_out(int area, unsigned long page, unsigned long n)
{
	host_madvise(area, page, n, MADV_PAGEOUT);
}

//: host_cold needs host_madvise
#ifndef MADV_COLD
#define MADV_COLD 20
#endif
static void host_cold(int area, unsigned long page, unsigned long n)
{
	host_madvise(area, page, n, MADV_COLD);
}

//: host_pageout needs host_swap_out
static void host_pageout(int area, unsigned long page, unsigned long n)
{
	host_swap_out(area, page, n);
}

//: host_collapse needs host_madvise
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif
static void host_collapse(int area, unsigned long page, unsigned long n)
{
	host_madvise(area, page, n, MADV_COLLAPSE);
}

//: host_punch_hole needs area
/* Hugetlb memory has no file here: whole pages of it go as they would from one. */
static void host_punch_hole(int area, unsigned long page, unsigned long n)
{
	unsigned long in = 1, end = page + n;
	int r;

	if (area_kind[area] == HUGETLB_2M)
		in = HUGE_PG / PG;
	if (area_kind[area] == HUGETLB_1G)
		in = 512 * HUGE_PG / PG;
	page = (page + in - 1) & -in;
	end &= -in;
	if (page >= end)
		return;
	if (in > 1)
		r = madvise((void *)AREA(area, page), (end - page) * PG, MADV_DONTNEED);
	else
		r = fallocate(area_fd[area], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page * PG,
			      (end - page) * PG);
	if (r)
		skip(strerror(errno));
}

//: host_mremap needs area
#ifndef MREMAP_DONTUNMAP
#define MREMAP_DONTUNMAP 4
#endif
static void host_mremap(int area, unsigned long page, unsigned long n, unsigned long to, int keep)
{
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);

	if (mremap((void *)AREA(area, page), n * PG, n * PG, flags, (void *)AREA(area, to)) == MAP_FAILED)
		skip(strerror(errno));
}

//: host_hwpoison needs host_madvise
#ifndef MADV_HWPOISON
#define MADV_HWPOISON 100
#endif
static void host_hwpoison(int area, unsigned long page)
{
	host_madvise(area, page, 1, MADV_HWPOISON);
}

//: host_mprotect needs area
static void host_mprotect(int area, unsigned long page, unsigned long n, int prot)
{
	whole_pages(area, &page, &n);
	if (mprotect((void *)AREA(area, page), n * PG, prot))
		skip(strerror(errno));
}

//: host_writeback needs area
static void host_writeback(int area, unsigned long page, unsigned long n)
{
	if (msync((void *)AREA(area, page), n * PG, MS_SYNC))
		skip(strerror(errno));
}

//: host_read needs memory points
static void host_read(int area, unsigned long page)
{
	uint16_t held;

	host_get(AREA(area, page), &held, sizeof(held));
}

//: host_write needs memory points
static void host_write(int area, unsigned long page, int tag)
{
	uint16_t value = tag << 8 | 0xb0;

	host_put(AREA(area, page), &value, sizeof(value));
}

//: host_cow_write needs host_write
/* Of a page that is shared since a fork: the write gives the host a page of its own. */
static void host_cow_write(int area, unsigned long page, int tag)
{
	host_write(area, page, tag);
}

//: drop_child
static pid_t child;

static void drop_child(void)
{
	if (child <= 0)
		return;
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	child = 0;
}

//: host_fork needs drop_child area
/* A child shares the private pages of the range, until the next fork or the end. */
static void host_fork(int area, unsigned long page, unsigned long n)
{
	drop_child();
	whole_pages(area, &page, &n);
	for (int i = 0; i < MAX_AREAS; i++)
		if (area_kind[i])
			madvise((void *)AREA(i, 0), AREA_SIZE, MADV_DONTFORK);
	madvise((void *)AREA(area, page), n * PG, MADV_DOFORK);
	child = fork();
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		while (1)
			pause();
	}
	for (int i = 0; i < MAX_AREAS; i++)
		if (area_kind[i])
			madvise((void *)AREA(i, 0), AREA_SIZE, MADV_DOFORK);
	if (child < 0)
		skip(strerror(errno));
}

//: host_migrate needs area
/* To another node of memory, if there is one. */
static void host_migrate(int area, unsigned long page)
{
	void *at = (void *)AREA(area, page);
	int status = -1, node;

	if (access("/sys/devices/system/node/node1", F_OK)) {
		skip("there is one node of memory only");
		return;
	}
	syscall(SYS_move_pages, 0, 1ul, &at, NULL, &status, 0);
	node = status == 0 ? 1 : 0;
	if (syscall(SYS_move_pages, 0, 1ul, &at, &node, &status, 1 << 1) || status != node)
		skip("the page did not move");
}

//: host_thp_split needs area
static void host_thp_split(int area, unsigned long page)
{
	int fd = open("/sys/kernel/debug/split_huge_pages", O_WRONLY);
	unsigned long from = AREA(area, page & ~511ul);
	char line[96];

	snprintf(line, sizeof(line), "%d,%#lx,%#lx", getpid(), from, from + HUGE_PG);
	if (fd < 0 || write(fd, line, strlen(line)) < 0)
		skip("debugfs has no split_huge_pages that can be written");
	close(fd);
}

//: page_idle needs area
/* Marks the page idle, which asks KVM too; or tells whether it still is: -1 cannot tell. */
static int page_idle(int area, unsigned long page, int mark)
{
	int map = open("/proc/self/pagemap", O_RDONLY), r = -1;
	int idle = open("/sys/kernel/mm/page_idle/bitmap", O_RDWR);
	uint64_t entry = 0, word = 0, pfn;

	if (pread(map, &entry, 8, AREA(area, page) / PG * 8) == 8 && entry >> 63) {
		pfn = entry & ((1ull << 55) - 1);
		word = 1ull << pfn % 64;
		if (mark && pwrite(idle, &word, 8, pfn / 64 * 8) == 8)
			r = 1;
		if (!mark && pread(idle, &word, 8, pfn / 64 * 8) == 8)
			r = word >> pfn % 64 & 1;
	}
	close(map);
	close(idle);
	return r;
}

//: host_age needs page_idle
static void host_age(int area, unsigned long page, unsigned long n)
{
	int marked = 0;

	for (unsigned long i = 0; i < n; i++)
		marked += page_idle(area, page + i, 1) == 1;
	if (!marked)
		skip("no page was there to be marked idle, or page_idle is not there");
}

//: host_test_age needs page_idle
static void host_test_age(int area, unsigned long page)
{
	if (page_idle(area, page, 0) < 0)
		skip("the page is not there, or page_idle is not");
}

//: set_mmu_pages needs vm
static int set_mmu_pages(unsigned long n)
{
	return vm_call(KVM_SET_NR_MMU_PAGES, (void *)n);
}

//: set_nx needs param
static void set_nx(int on)
{
	set_param("nx_huge_pages", on ? "force" : "off");
}

//: nx_recover needs param
/* The worker has its turn: all pages, at once; then it sleeps again. */
static void nx_recover(void)
{
	set_param("nx_huge_pages_recovery_period_ms", "1");
	set_param("nx_huge_pages_recovery_ratio", "1");
	usleep(200000);
	set_param("nx_huge_pages_recovery_ratio", "0");
}

//: park needs guest area memory
/*
 * A fault that waits while it asks for its page, by userfaultfd: the page is taken away first, and
 * comes back when the fault is to go on.
 */
static struct parked {
	pthread_t thread;
	int pending, begun, uffd, v, access, tag, outcome;
	unsigned long gfn;
	struct slot before;
	uint16_t value;
	struct uffdio_range range;
	uint8_t content[4096];
} parked[MAX_VCPUS];

static void *parked_access(void *arg)
{
	struct parked *fault = arg;

	fault->outcome = run_guest(fault->v, fault->access, fault->gfn, &fault->value);
	return NULL;
}

static int park(struct parked *fault, unsigned long hva)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { hva, PG }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int kind = area_kind[(hva >> 40) - 1];

	fault->uffd = -1;
	if ((kind != THP && kind != SMALL && kind != SHARED) || !host_get(hva, fault->content, PG))
		return 0;
	fault->uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fault->uffd < 0 || ioctl(fault->uffd, UFFDIO_API, &api) ||
	    ioctl(fault->uffd, UFFDIO_REGISTER, &reg))
		return 0;
	fault->range = reg.range;
	return !madvise((void *)hva, PG, kind == SHARED ? MADV_REMOVE : MADV_DONTNEED);
}

static void begin_fault(int v, unsigned long gfn, int access, int tag)
{
	struct parked *fault = &parked[v];
	struct slot slot = slot_of(gfn);
	struct pollfd event;

	if (fault->pending)	/* a vCPU holds one */
		return;
	memset(fault, 0, sizeof(*fault));
	fault->pending = 1;
	fault->v = v;
	fault->access = access;
	fault->gfn = gfn;
	fault->tag = tag;
	fault->value = tag << 8 | 0xb0;
	fault->uffd = -1;
	if (v >= nr_vcpus || !slot.used || !park(fault, slot.hva + (gfn - slot.gfn) * PG)) {
		skip("this fault cannot be parked: the access comes at its end");
		close(fault->uffd);
		return;
	}
	fault->begun = 1;
	fault->before = slot;
	pthread_create(&fault->thread, NULL, parked_access, fault);
	event = (struct pollfd){ .fd = fault->uffd, .events = POLLIN };
	if (poll(&event, 1, 5000) != 1)
		skip("no fault came to be parked");
}

static void end_fault(int v)
{
	struct parked *fault = &parked[v];
	struct uffdio_copy copy = {
		.dst = fault->range.start, .src = (unsigned long)fault->content, .len = PG,
	};

	if (!fault->pending)
		return;
	fault->pending = 0;
	if (!fault->begun) {
		guest_access(v, fault->access, fault->gfn, fault->tag);
		return;
	}
	if (ioctl(fault->uffd, UFFDIO_COPY, &copy))	/* the page is another one by now */
		ioctl(fault->uffd, UFFDIO_WAKE, &fault->range);
	ioctl(fault->uffd, UFFDIO_UNREGISTER, &fault->range);
	close(fault->uffd);
	pthread_join(fault->thread, NULL);
	if (fault->access == STORE && fault->outcome == DONE)
		note_written(fault->gfn, fault->before);
	judge(fault->access, fault->gfn, fault->tag << 8 | 0xb0, fault->value, fault->outcome);
}

//: threads needs pin
static pthread_barrier_t meeting;

static void meet(void)
{
	pthread_barrier_wait(&meeting);
}

//: pin
static void pin(unsigned int cpu)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &one);
	sched_setaffinity(0, sizeof(one), &one);
}
