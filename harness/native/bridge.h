/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the two worlds of the library share: files that see the kernel's headers (kernel/), and
 * files that see the C library's (user/, machine/).  Plain types only.  What they share with Python
 * is in native_abi.h, which `native build` writes from difffuzz/native/abi.
 *
 * Python calls native_run() (user/entry.c), which calls one of the functions of kernel/api.c.  The
 * kernel's code asks Python for the host and for the scheduler through native_host().
 */
#ifndef NATIVE_BRIDGE_H
#define NATIVE_BRIDGE_H

#include "native_abi.h"

#define NATIVE_HELD 16

struct native_held {
	const void *lock;
	char mode;		/* r, w, or s for a spinlock, m for a mutex */
};

/* One thread of the modelled machine. */
struct native_task {
	int number;
	int rcu_depth;
	int srcu_depth;
	int preempt_count;
	int nr_held;
	int want_park;		/* stop at mmu_lock ... */
	int got_pfn;		/* ... once the page is faulted in */
	long irq_flags;
	struct native_held held[NATIVE_HELD];
	void *task_struct;
};

extern struct native_control *native_control;
extern struct native_task *native_task;

/* user/ to kernel/ and back */
extern long native_host(enum native_request what, unsigned long a, unsigned long b, unsigned long c);
extern void native_die(const char *oracle, const char *where, const char *text)
	__attribute__((noreturn));
extern void native_warn(const char *where, const char *text);
extern const char *native_place(const char *file, int line);
extern long native_point(const volatile void *at, enum native_point_kind kind);
extern unsigned long *native_pages_poisoned;	/* a bit each: a table that was freed while a program is played */

/* store buffers (user/stores.c) */
extern long native_waiting;	/* stores of the task whose code runs that others do not see yet */
extern long native_delays;	/* some store has waited since the last reset */
extern int native_in_kernel;	/* memory is what the current task sees, not what all see */
extern void native_delay(const volatile void *at, unsigned long bytes);
extern void native_release(const volatile void *at, unsigned long bytes);
extern void native_fence(void);
extern void native_drain(void);
extern void native_stores_in(void);
extern void native_stores_out(void);
extern long native_stores_of(int number);
extern int native_waits_in(const void *object, unsigned long bytes);
extern void native_delay_behind(int number, void *at, unsigned long bytes, unsigned long value);

static inline void native_enter_kernel(void)
{
	native_in_kernel = 1;
	if (native_delays)
		native_stores_in();
}

static inline void native_leave_kernel(void)
{
	if (native_waiting)
		native_stores_out();
	native_in_kernel = 0;
}

/* memory (user/memory.c): what a reset gives back */
extern unsigned long native_pages;	/* address of the first page */
extern unsigned long native_vmemmap;	/* address of the struct page of pfn 0 */
extern void *native_alloc(unsigned long bytes);
extern void *native_alloc_for_good(unsigned long bytes);
extern void native_free(const void *at);
extern int native_is_object(const void *at);
extern unsigned long native_page_alloc(int spare, int zeroed);
extern void native_becomes_table(unsigned long page);
extern unsigned long native_pages_for_good(unsigned long n);
extern int native_page_free(unsigned long page);
extern int native_is_table(unsigned long number);
extern unsigned long native_seen(unsigned long entry);
extern const unsigned long native_nonpresent;	/* the bit of a new table's entries, or 0 */
extern void native_settle_frames(void);
extern void native_touch_frame(unsigned long pfn, unsigned long bytes);
extern void native_current_is(struct native_task *task);
extern void native_leave_task(struct native_task *task);
extern struct native_task *native_task_of(int number);

extern const native_api_fn native_api[];

/* native_point() of a load.  Most points pass, and there are thousands in a program: these make no call. */
static inline void native_quick_point(const volatile void *at)
{
	unsigned long page = ((unsigned long)at - native_pages) >> 12;
	int whole = page >= NATIVE_PAGES || !(native_pages_poisoned[page / 64] >> page % 64 & 1);

	if (__builtin_expect(whole && native_control->budget > 0, 1))
		native_control->budget--;
	else
		native_point(at, POINT_LOAD);
}

#endif
