/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two worlds of the library share: files that see the kernel's headers (kernel/), and
 * files that see the C library's (user/).  Plain types only.
 *
 * Python calls native_run() (user/entry.c), which calls one of the functions of kernel/api.c.  The
 * kernel's code asks Python for the host and for the scheduler through host().
 */
#ifndef NATIVE_BRIDGE_H
#define NATIVE_BRIDGE_H

#define NATIVE_TASKS 16
#define NATIVE_HELD 16
#define NATIVE_VCPUS 8

/* What host() asks for; the numbers are also in difffuzz/native/host.py. */
enum native_request {
	HOST_POINT,		/* (address, store): a preemption point that the strategy waits for */
	HOST_WAIT,		/* (kind, object): until native_ready(kind, object) */
	HOST_PARK,		/* (): a fault that is to be parked has its pfn */
	HOST_GUP_FAST,		/* (hva, write): pfn or -1 */
	HOST_GUP,		/* (hva, write, nowait): pfn or -errno */
	HOST_FOLLOW_PTE,	/* (hva): x86 PTE or 0 */
	HOST_FIXUP_FAULT,	/* (hva, write): 0 or -errno; 1: mmap_lock was dropped */
	HOST_VMA,		/* (hva): VM_* flags as the kernel's or -1; answers: start, end */
	HOST_MMAP_LOCK,		/* (release): of the host's mmap_lock for read */
	HOST_POISONED,		/* (hva): 1 if the page there is poisoned */
	HOST_PUT_PAGE,		/* (pfn): the last reference of this side goes */
	HOST_DIRTY_PAGE,	/* (pfn): SetPageDirty() */
	HOST_PAGE_COUNT,	/* (pfn): 0 if the host has taken the page back */
	HOST_ACCESSED_PAGE,	/* (pfn): mark_page_accessed() */
	HOST_SIGBUS,		/* (hva): the vCPU thread gets a memory failure signal */
	HOST_LOCKED,		/* (event): mmu_lock was taken or released, see enum native_lock_event */
	HOST_FLUSH,		/* (vcpu): the CPU drops what its TLB caches */
	HOST_QUEUE_FLUSH,	/* (gfn, pages): every CPU is to drop what it caches of them */
	HOST_FLUSH_RANGES,	/* (vcpu): now */
	HOST_DIRTY_LOGGING,	/* (vcpu, on): the CPU's log of dirty pages */
	HOST_YIELD,		/* (): cpu_relax() of a task that waits for another */
};

enum native_lock_event { LOCKED_READ, LOCKED_WRITE, UNLOCKED_READ, UNLOCKED_WRITE };

/* What a task can wait for. */
enum native_wait { WAIT_READ, WAIT_WRITE, WAIT_SPIN, WAIT_MUTEX, WAIT_SRCU, WAIT_RCU, WAIT_IPI, WAIT_WAKE };

struct native_held {
	const void *lock;
	char mode;		/* r, w, or s for a spinlock, m for a mutex */
};

/* One thread of the modelled machine. */
struct native_task {
	int number;
	int rcu_depth;
	int preempt_count;
	int nr_held;
	int want_park;		/* stop at mmu_lock ... */
	int got_pfn;		/* ... once the page is faulted in */
	long irq_flags;
	struct native_held held[NATIVE_HELD];
	void *task_struct;
};

/* What survives a reset; read and written by Python through native_control(). */
struct native_control {
	long budget;		/* preemption points left before HOST_POINT is asked */
	long concurrent;	/* tasks run at once: HOST_LOCKED is told */
	long frees_early;	/* RCU callbacks run as soon as they may */
	long answer[4];		/* what a host() call answers besides its value */
	long failed;		/* Python raised in a callback */
	long nr_splats;		/* WARN()s since Python looked */
	char *splats;		/* their places, one a line */
	char *died;		/* oracle, place and text of what ended a call, one a line */
};

extern struct native_control *native_control;
extern struct native_task *native_task;

typedef long (*native_host_fn)(long what, unsigned long a, unsigned long b, unsigned long c);
typedef long (*native_api_fn)(long a, long b, long c, long d, long e, long f);

/* user/ to kernel/ and back */
extern long native_host(long what, unsigned long a, unsigned long b, unsigned long c);
extern void native_die(const char *oracle, const char *where, const char *text)
	__attribute__((noreturn));
extern void native_warn(const char *where, const char *text);
extern const char *native_place(const char *file, int line);
extern void native_point(const volatile void *at, int store);

/* memory (user/memory.c): what a reset gives back */
#define NATIVE_PAGES (1UL << 16)	/* pages for page tables */
#define NATIVE_PAGES_PA (1UL << 44)	/* physical address of the first */
#define NATIVE_FRAMES (3UL << 30)	/* pfns of the host's memory that have a struct page */

extern unsigned long native_pages;	/* address of the first page */
extern unsigned long native_vmemmap;	/* address of the struct page of pfn 0 */
extern void *native_alloc(unsigned long bytes);
extern void *native_alloc_for_good(unsigned long bytes);
extern void native_free(const void *at);
extern unsigned long native_page_alloc(void);
extern unsigned long native_pages_for_good(unsigned long n);
extern int native_page_free(unsigned long page);
extern int native_is_table(unsigned long number);
extern unsigned long native_seen(unsigned long entry);
extern void native_settle_frames(void);
extern void native_touch_frame(unsigned long pfn, unsigned long bytes);
extern void native_current_is(struct native_task *task);
extern void native_leave_task(struct native_task *task);
extern struct native_task *native_task_of(int number);

extern const native_api_fn native_api[];

#endif
