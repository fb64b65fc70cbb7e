// SPDX-License-Identifier: GPL-2.0-only
//: limits
#define PG 4096ul
#define HUGE_PG (512 * PG)
#define MAX_VCPUS 4
#define MAX_SLOTS 8
#define MAX_AREAS 4
#define AREA_SIZE (0x80000 * PG)
#define AREA(area, page) ((((area) + 1ul) << 40) + (page) * PG)	/* the hva of a page */

//: points needs limits tap
/* What each step showed, in all rounds. */
static struct point {
	const char *text;
	int bad;		/* rounds in which something was wrong */
	char why[160], skipped[160];
} points[NR_POINTS + 1];
static pthread_mutex_t points_lock = PTHREAD_MUTEX_INITIALIZER;
static __thread int now;	/* this thread's step */
static int racing;		/* threads run at once: what depends on their order is not judged */
static int round_is_bad;

static void verdict(int ok, const char *format, ...)
{
	struct point *point = &points[now];
	va_list args;

	if (ok)
		return;
	pthread_mutex_lock(&points_lock);
	if (!point->bad++) {
		va_start(args, format);
		vsnprintf(point->why, sizeof(point->why), format, args);
		va_end(args);
	}
	round_is_bad = 1;
	pthread_mutex_unlock(&points_lock);
}

static void skip(const char *why)
{
	snprintf(points[now].skipped, sizeof(points[now].skipped), "%s", why);
}

static void tell_all(int rounds)
{
	char line[256];

	for (int i = 1; i <= NR_POINTS; i++) {
		struct point *point = &points[i];

		if (point->bad) {
			tap_fail(i, point->text);
			snprintf(line, sizeof(line), "%s (in %d of %d rounds)", point->why,
				 point->bad < rounds ? point->bad : rounds, rounds);
			tap_note(line);
		} else if (point->skipped[0]) {
			tap_skip(i, point->text, point->skipped);
		} else {
			tap_pass(i, point->text ? point->text : "not reached");
		}
	}
}

static void give_up(const char *what)
{
	printf("Bail out! %s: %s\n", what, strerror(errno));
	exit(1);
}

//: step needs points jitter
static void on_alarm(int signal)
{
	static const char text[] = "Bail out! a step does not end: see the last line above\n";

	(void)signal;
	if (write(STDOUT_FILENO, text, sizeof(text) - 1) < 0)
		_exit(2);
	_exit(1);
}

static int quiet;		/* many rounds: their steps are not told one by one */

static void step(int number, const char *text)
{
	now = number;
	points[number].text = text;
	jitter();
	if (racing)
		return;
	if (!quiet)
		tap_note(text);
	alarm(60);
}

/* What a call returned, against what it has to return. */
static __attribute__((unused)) void returns(int wanted, int got)
{
	verdict(wanted == got, "returned %d, not %d", got, wanted);
}

//: jitter needs points
/* A thread waits a little before each step, another time in each round. */
static __thread unsigned int jitter_state;

static void jitter(void)
{
	if (!racing)
		return;
	jitter_state = jitter_state * 1103515245 + 12345;
	for (volatile unsigned int i = (jitter_state >> 16) % 3000; i; i--)
		;
}

//: log needs points
/* The kernel's log since the start: what user space cannot see may be told there. */
static int kernel_log = -1;

static void log_begin(void)
{
	kernel_log = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kernel_log >= 0)
		lseek(kernel_log, 0, SEEK_END);
}

static void log_check(int number)
{
	static const char *const bad[] = { "WARNING:", "BUG:", "Oops", "KASAN:", "stall" };
	char record[8192];
	ssize_t size;

	now = number;
	points[number].text = "the kernel's log has no warning";
	if (kernel_log < 0) {
		skip("/dev/kmsg cannot be read");
		return;
	}
	while ((size = read(kernel_log, record, sizeof(record) - 1)) > 0 || errno == EPIPE) {
		if (size <= 0)	/* some were overwritten */
			continue;
		record[size] = 0;
		record[strcspn(record, "\n")] = 0;
		for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
			verdict(!strstr(record, bad[i]), "%.150s", record);
	}
}

//: param needs points
/* A parameter of kvm, and what it was. */
static struct param {
	char path[96], old[32];
} params[4];

static void set_param(const char *name, const char *value)
{
	struct param *param = params;
	char path[96], line[160];
	int fd;

	snprintf(path, sizeof(path), "/sys/module/kvm/parameters/%s", name);
	while (param->path[0] && strcmp(param->path, path))
		param++;
	if (!param->path[0]) {
		fd = open(path, O_RDONLY);
		if (fd >= 0 && read(fd, param->old, sizeof(param->old) - 1) > 0)
			memcpy(param->path, path, sizeof(path));
		close(fd);
	}
	fd = open(path, O_WRONLY);
	if (fd < 0 || write(fd, value, strlen(value)) < 0) {
		snprintf(line, sizeof(line), "kvm.%s was not set to %s: %s", name, value,
			 strerror(errno));
		if (now)
			skip(line);
		else
			tap_note(line);
	}
	close(fd);
}

static void restore_params(void)
{
	for (struct param *param = params; param < params + 4 && param->path[0]; param++) {
		int fd = open(param->path, O_WRONLY);

		if (fd < 0 || write(fd, param->old, strlen(param->old)) < 0)
			tap_note("a parameter of kvm was not restored");
		close(fd);
	}
}

//: memory needs limits
/* Reads and writes of the host, which fail where a load or store would be a signal. */
static int host_get(unsigned long hva, void *to, size_t size)
{
	struct iovec local = { to, size }, remote = { (void *)hva, size };

	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

static __attribute__((unused)) int host_put(unsigned long hva, void *from, size_t size)
{
	struct iovec local = { from, size }, remote = { (void *)hva, size };

	return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)size;
}

/* PROT_READ and PROT_WRITE of a mapping, 0 where nothing is. */
static int protection(unsigned long hva)
{
	FILE *maps = fopen("/proc/self/maps", "r");
	unsigned long from, to;
	char line[512], may[8];
	int prot = 0;

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx %7s", &from, &to, may) == 3 && from <= hva && hva < to)
			prot = (may[0] == 'r' ? PROT_READ : 0) | (may[1] == 'w' ? PROT_WRITE : 0);
	if (maps)
		fclose(maps);
	return prot;
}

//: area needs limits points
/* The areas of host memory: 1 TiB apart, at fixed places, so that a hole stays a hole. */
enum { NO_AREA, THP, SMALL, HUGETLB_2M, HUGETLB_1G, SHARED, ON_DISK };
static int area_kind[MAX_AREAS], area_fd[MAX_AREAS];

/* The range in whole huge pages, where nothing smaller can be named. */
static __attribute__((unused)) void whole_pages(int area, unsigned long *page, unsigned long *n)
{
	unsigned long size = 1, end = *page + *n;

	if (area_kind[area] == HUGETLB_2M)
		size = 512;
	if (area_kind[area] == HUGETLB_1G)
		size = 512 * 512;
	*page &= -size;
	*n = ((end + size - 1) & -size) - *page;
}

static void map_range(int area, unsigned long page, unsigned long n)
{
	int kind = area_kind[area], flags = MAP_FIXED | MAP_NORESERVE;
	void *at = (void *)AREA(area, page);

	flags |= area_fd[area] >= 0 ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS;
	if (kind == HUGETLB_2M)
		flags |= MAP_HUGETLB | 21 << MAP_HUGE_SHIFT;
	if (kind == HUGETLB_1G)
		flags |= MAP_HUGETLB | 30 << MAP_HUGE_SHIFT;
	if (mmap(at, n * PG, PROT_READ | PROT_WRITE, flags, area_fd[area], page * PG) == MAP_FAILED)
		give_up("mmap of an area");
	if (kind == THP)
		madvise(at, n * PG, MADV_HUGEPAGE);
	if (kind == SMALL)
		madvise(at, n * PG, MADV_NOHUGEPAGE);
}

static void make_area(int area, int kind)
{
	int fd = -1;

	if (kind == ON_DISK)
		fd = open("/var/tmp", O_RDWR | O_TMPFILE | O_CLOEXEC, 0600);
	if (kind == SHARED || (kind == ON_DISK && fd < 0))
		fd = memfd_create("area", MFD_CLOEXEC);
	if (fd >= 0 && ftruncate(fd, AREA_SIZE))
		give_up("ftruncate");
	area_kind[area] = kind;
	area_fd[area] = fd;
	map_range(area, 0, 0x80000);
}

static void drop_areas(void)
{
	for (int area = 0; area < MAX_AREAS; area++) {
		if (!area_kind[area])
			continue;
		munmap((void *)AREA(area, 0), AREA_SIZE);
		close(area_fd[area]);
		area_kind[area] = NO_AREA;
	}
}

//: slots needs vm points
/* The memslots, and what their dirty logs owe. */
static struct slot {
	int used, flags;
	unsigned int epoch;		/* odd while it is changed, or its log is read */
	unsigned long gfn, pages, hva;
	unsigned char *written;		/* pages the guest wrote since their bits were cleared */
} slots[2][MAX_SLOTS];
static pthread_mutex_t slots_lock = PTHREAD_MUTEX_INITIALIZER;

static __attribute__((unused)) void slot_turns(struct slot *slot)
{
	pthread_mutex_lock(&slots_lock);
	slot->epoch++;
	pthread_mutex_unlock(&slots_lock);
}

/* A copy of the slot of a gfn; its `used` is 0 where none is. */
static struct slot slot_of(unsigned long gfn)
{
	struct slot found = { 0 };

	pthread_mutex_lock(&slots_lock);
	for (int i = 0; i < MAX_SLOTS; i++)
		if (slots[0][i].used && gfn - slots[0][i].gfn < slots[0][i].pages)
			found = slots[0][i];
	pthread_mutex_unlock(&slots_lock);
	return found;
}

static int set_slot(int id, int as, struct slot new)
{
	struct slot *slot = &slots[as][id];
	int r, logs = new.flags & KVM_MEM_LOG_DIRTY_PAGES;

	slot_turns(slot);
	r = set_region(id | as << 16, new.flags, new.gfn * PG, new.pages * PG, new.hva);
	pthread_mutex_lock(&slots_lock);
	if (!r) {
		if (slot->written && (!new.pages || !logs)) {
			free(slot->written);
			slot->written = NULL;
		}
		if (!slot->written && logs)
			slot->written = calloc(new.pages, 1);
		new.used = new.pages != 0;
		new.epoch = slot->epoch;
		new.written = slot->written;
		*slot = new;
	}
	slot->epoch++;
	pthread_mutex_unlock(&slots_lock);
	return r;
}

static __attribute__((unused)) int memslot_create(int id, int as, unsigned long gfn,
						  unsigned long pages, int area,
						  unsigned long page, int flags)
{
	struct slot new = { .gfn = gfn, .pages = pages, .hva = AREA(area, page), .flags = flags };

	return set_slot(id, as, new);
}

static void drop_slots(void)
{
	for (int i = 0; i < MAX_SLOTS; i++) {
		free(slots[0][i].written);
		free(slots[1][i].written);
	}
	memset(slots, 0, sizeof(slots));
}

//: memslot_delete needs slots
static int memslot_delete(int id, int as)
{
	struct slot none = { 0 };

	return set_slot(id, as, none);
}

//: memslot_move needs slots
static int memslot_move(int id, int as, unsigned long gfn)
{
	struct slot new = slots[as][id];

	new.gfn = gfn;
	return new.used ? set_slot(id, as, new) : 0;
}

//: memslot_flags needs slots
static int memslot_flags(int id, int as, int flags)
{
	struct slot new = slots[as][id];

	new.flags = flags;
	return new.used ? set_slot(id, as, new) : 0;
}

//: dirty_get needs slots
/* KVM_GET_DIRTY_LOG: what the guest wrote before has to be in it. */
static int dirty_get(int id, int as)
{
	struct slot *slot = &slots[as][id];
	unsigned long pages = slot->pages;
	uint64_t *bitmap = calloc(pages / 64 + 1, 8);
	struct kvm_dirty_log log = { .slot = id | as << 16, .dirty_bitmap = bitmap };
	int r;

	slot_turns(slot);
	r = vm_call(KVM_GET_DIRTY_LOG, &log);
	for (unsigned long i = 0; !r && slot->written && i < pages; i++) {
		verdict(!slot->written[i] || bitmap[i / 64] >> (i % 64) & 1,
			"the guest wrote gfn %#lx, its bit is clear: WRITE LOST", slot->gfn + i);
		if (!MANUAL_PROTECT)
			slot->written[i] = 0;
	}
	slot_turns(slot);
	free(bitmap);
	return r;
}

//: dirty_clear needs slots
/* KVM_CLEAR_DIRTY_LOG of n pages. */
static int dirty_clear(int id, int as, unsigned long first, unsigned long n)
{
	struct slot *slot = &slots[as][id];
	uint64_t *bitmap = malloc((n / 64 + 1) * 8);
	struct kvm_clear_dirty_log clear = {
		.slot = id | as << 16, .first_page = first, .num_pages = n, .dirty_bitmap = bitmap,
	};
	int r;

	memset(bitmap, 0xff, (n / 64 + 1) * 8);
	slot_turns(slot);
	r = vm_call(KVM_CLEAR_DIRTY_LOG, &clear);
	if (!r && slot->written)
		memset(slot->written + first, 0, n);
	slot_turns(slot);
	free(bitmap);
	return r;
}

//: prefault needs vm points
/* KVM_PRE_FAULT_MEMORY of n pages, where the kernel has it (6.11). */
struct pages_to_fault {
	uint64_t gpa, size, flags, padding[5];
};

static void prefault(int v, unsigned long gfn, unsigned long n)
{
	struct pages_to_fault pages = { .gpa = gfn << 12, .size = n << 12 };
	int r = vcpu_call(v, _IOWR(KVMIO, 0xd5, struct pages_to_fault), &pages);

	if (r == -EINVAL || r == -ENOTTY || r == -EOPNOTSUPP)
		skip("this kernel has no KVM_PRE_FAULT_MEMORY");
}

//: cpuid needs vm points
/* The CPUID of a vCPU is the host's, but for its physical address bits; 0: with those. */
static void set_cpuid(int v, int bits)
{
	static union {
		struct kvm_cpuid2 head;
		char room[sizeof(struct kvm_cpuid2) + 256 * sizeof(struct kvm_cpuid_entry2)];
	} cpuid;
	int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	cpuid.head.nent = 256;
	if (kvm_fd < 0 || ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, &cpuid.head) < 0)
		give_up("KVM_GET_SUPPORTED_CPUID");
	close(kvm_fd);
	for (unsigned int i = 0; bits && i < cpuid.head.nent; i++)
		if (cpuid.head.entries[i].function == 0x80000008)
			cpuid.head.entries[i].eax = (cpuid.head.entries[i].eax & ~0xffu) | bits;
	if (vcpu_call(v, KVM_SET_CPUID2, &cpuid.head))
		give_up("KVM_SET_CPUID2");
}

//: guest needs vm slots memory points
/*
 * The guest: 32-bit protected mode without paging, an address is a guest physical one.  A page
 * begins with zeros, or with "mov $tag,%al": 0xb0 and the tag that was written last, so that the
 * same two bytes are read, written and executed.
 */
enum { LOAD, STORE, FETCH };
enum { DONE, MMIO, FAULT, POISON, ODD };
static const char *const outcomes[] = { "done", "MMIO", "-EFAULT", "SIGBUS", "an odd exit" };
static const uint8_t guest_code[] = {
	0x66, 0x8b, 0x03, 0xe6, 0x10, 0xf4,	/* mov (%ebx),%ax; out %al,$0x10; hlt */
	0x66, 0x89, 0x03, 0xe6, 0x10, 0xf4,	/* mov %ax,(%ebx); out %al,$0x10; hlt */
};
#define SCRATCH (CODE_GPA + PG)
static void *code_page;
static __thread int poisoned;

static void on_sigbus(int signal)
{
	(void)signal;
	poisoned = 1;
}

static void add_vcpu(void)
{
	struct kvm_segment code = {
		.limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1, .s = 1, .g = 1,
	}, data = code;
	struct kvm_sregs sregs;
	int v = nr_vcpus;

	if (v == MAX_VCPUS)
		return;
	make_vcpu(v);
#ifdef FOUR_LEVELS
	set_cpuid(v, FOUR_LEVELS >> v & 1 ? 48 : 0);
#endif
	data.selector = 16;
	data.type = 3;
	if (vcpu_call(v, KVM_GET_SREGS, &sregs))
		give_up("KVM_GET_SREGS");
	sregs.cr0 |= 1;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	if (vcpu_call(v, KVM_SET_SREGS, &sregs))
		give_up("KVM_SET_SREGS");
	__atomic_store_n(&nr_vcpus, v + 1, __ATOMIC_RELEASE);
}

static void make_guest(int nr)
{
	code_page = mmap(NULL, 2 * PG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (code_page == MAP_FAILED)
		give_up("mmap of the guest's code");
	memcpy(code_page, guest_code, sizeof(guest_code));
	if (set_region(100, 0, CODE_GPA, 2 * PG, (unsigned long)code_page))
		give_up("KVM_SET_USER_MEMORY_REGION");
	while (nr--)
		add_vcpu();
}

/* One access by the guest; *value: the two bytes to store, then those that it saw. */
static int run_guest(int v, int access, unsigned long gfn, uint16_t *value)
{
	struct kvm_regs regs = { .rflags = 2, .rbx = gfn * PG, .rip = CODE_GPA };
	struct kvm_guest_debug debug = { 0 };
	int r, reason;

	if (access == STORE) {
		regs.rip += 6;
		regs.rax = *value;
	} else if (access == FETCH) {	/* one instruction of the page, and stop */
		regs.rip = gfn * PG;
		regs.rax = SCRATCH;	/* zeros are "add %al,(%eax)" */
		debug.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP;
	}
	if (vcpu_call(v, KVM_SET_REGS, &regs))
		give_up("KVM_SET_REGS");
	if (access == FETCH && vcpu_call(v, KVM_SET_GUEST_DEBUG, &debug))
		give_up("KVM_SET_GUEST_DEBUG");
	poisoned = 0;
	r = enter_guest(v);
	reason = runs[v]->exit_reason;
	if (vcpu_call(v, KVM_GET_REGS, &regs))
		give_up("KVM_GET_REGS");
	runs[v]->immediate_exit = 1;	/* what is pending of this exit ends */
	enter_guest(v);
	runs[v]->immediate_exit = 0;
	if (access == FETCH) {
		debug.control = 0;
		vcpu_call(v, KVM_SET_GUEST_DEBUG, &debug);
	}
	*value = regs.rax;
	if (poisoned)
		return POISON;
	if (r == -EFAULT)
		return FAULT;
	if (!r && reason == (access == FETCH ? KVM_EXIT_DEBUG : KVM_EXIT_IO))
		return DONE;
	if (!r && reason == (access == FETCH ? KVM_EXIT_INTERNAL_ERROR : KVM_EXIT_MMIO))
		return MMIO;
	verdict(0, "gfn %#lx: KVM_RUN returned %d, exit %d", gfn, r, reason);
	return ODD;
}

/* Is that what memslots and host memory say? */
static void judge(int access, unsigned long gfn, uint16_t sent, uint16_t got, int outcome)
{
	struct slot slot = slot_of(gfn);
	unsigned long hva = slot.hva + (gfn - slot.gfn) * PG;
	int needs = access == STORE ? PROT_WRITE : PROT_READ, wanted = DONE;
	uint16_t held = 0;

	if (!slot.used || (access == STORE && slot.flags & KVM_MEM_READONLY)) {
		wanted = MMIO;
	} else if (!(protection(hva) & needs)) {
		wanted = FAULT;
	} else if (!host_get(hva, &held, sizeof(held))) {
		wanted = outcome == POISON ? POISON : FAULT;
	}
	verdict(outcome == wanted || outcome == ODD, "gfn %#lx: %s instead of %s", gfn,
		outcomes[outcome], outcomes[wanted]);
	if (outcome != DONE || wanted != DONE)
		return;
	if (access == LOAD)
		verdict(got == held, "gfn %#lx: the guest read %#x, the host has %#x", gfn, got, held);
	else if (access == STORE)
		verdict(sent == held, "gfn %#lx: the guest wrote %#x, the host has %#x", gfn, sent,
			held);
	else
		verdict((got & 0xff) == held >> 8, "gfn %#lx: the guest ran %#x, the host has %#x",
			gfn, got & 0xff, held >> 8);
}

/* The log owes a page that was written while nobody changed the slot or read its log. */
static void note_written(unsigned long gfn, struct slot before)
{
	pthread_mutex_lock(&slots_lock);
	for (int i = 0; i < MAX_SLOTS; i++) {
		struct slot *slot = &slots[0][i];

		if (slot->used && slot->written && gfn - slot->gfn < slot->pages &&
		    slot->gfn == before.gfn && slot->epoch == before.epoch && !(slot->epoch & 1))
			slot->written[gfn - slot->gfn] = 1;
	}
	pthread_mutex_unlock(&slots_lock);
}

static void guest_access(int v, int access, unsigned long gfn, int tag)
{
	uint16_t sent = tag << 8 | 0xb0, got = sent;
	struct slot before = slot_of(gfn);
	int outcome;

	if (v >= __atomic_load_n(&nr_vcpus, __ATOMIC_ACQUIRE)) {
		skip("this vCPU is not there yet");
		return;
	}
	outcome = run_guest(v, access, gfn, &got);
	if (access == STORE && outcome == DONE && before.used)
		note_written(gfn, before);
	if (!racing)
		judge(access, gfn, sent, got, outcome);
}

//: guest_read needs guest
static void guest_read(int v, unsigned long gfn)
{
	guest_access(v, LOAD, gfn, 0);
}

//: guest_write needs guest
static void guest_write(int v, unsigned long gfn, int tag)
{
	guest_access(v, STORE, gfn, tag);
}

//: guest_exec needs guest
static void guest_exec(int v, unsigned long gfn)
{
	guest_access(v, FETCH, gfn, 0);
}

//: reload needs guest
/* Another CR0.WP makes KVM load the vCPU's MMU anew. */
static void reload(int v)
{
	struct kvm_sregs sregs;

	if (v >= nr_vcpus || vcpu_call(v, KVM_GET_SREGS, &sregs))
		return;
	sregs.cr0 ^= 1ul << 16;
	returns(0, vcpu_call(v, KVM_SET_SREGS, &sregs));
}

//: audit_pages needs guest
/* All is at rest: every vCPU reads what the host has. */
static void audit_pages(int number, const unsigned long *gfns, int n)
{
	step(number, "at the end every vCPU reads what the host has");
	for (int i = 0; i < n; i++)
		for (int v = 0; v < nr_vcpus; v++)
			guest_access(v, LOAD, gfns[i], 0);
}

//: audit_logs needs dirty_get
static void audit_logs(int number)
{
	step(number, "at the end the dirty logs have what the guest wrote");
	for (int i = 0; i < MAX_SLOTS; i++)
		if (slots[0][i].used && slots[0][i].written)
			dirty_get(i, 0);
}
