// SPDX-License-Identifier: GPL-2.0-only
/*
 * Store buffers, as x86 has them: stores of a task that others do not see yet.
 *
 * One task runs at a time.  While the kernel's code runs as a task, memory holds what that task has
 * stored, so that its loads see it; when it is left, what others see comes back.  Which stores wait
 * and until when, the scheduler decides (difffuzz/sched/store_buffer.py), which counts along.
 */
#include <stdlib.h>
#include <string.h>

#include "../bridge.h"
#include "user.h"

#define HOST_LOCKS 8	/* that a task may release at once */

/* A store that waits. */
struct delayed {
	void *at;
	unsigned long bytes;
	/* While its task runs: what others see; else what it stored. */
	unsigned long other;
};

struct buffer {
	long nr;
	struct delayed stores[NATIVE_STORES + HOST_LOCKS];	/* the oldest first */
};

static struct buffer *buffers;	/* by number of the task */
long native_waiting;
long native_delays;
int native_in_kernel;

/* Once, before the snapshot. */
void native_map_stores(void)
{
	buffers = calloc(NATIVE_TASKS, sizeof(*buffers));
}

/* Nothing waits. */
void native_reset_stores(void)
{
	for (int i = 0; i < NATIVE_TASKS; i++)
		buffers[i].nr = 0;
}

static void exchange(struct delayed *store)
{
	unsigned long found = 0;

	memcpy(&found, store->at, store->bytes);
	memcpy(store->at, &store->other, store->bytes);
	store->other = found;
}

/* The kernel's code goes on as the current task: it sees its own stores. */
void native_stores_in(void)
{
	struct buffer *buffer = &buffers[native_task->number];

	for (long i = 0; i < buffer->nr; i++)
		exchange(&buffer->stores[i]);
	native_waiting = buffer->nr;
}

/* The current task is left, where it has stores that wait: memory is what all see. */
void native_stores_out(void)
{
	struct buffer *buffer = &buffers[native_task->number];

	for (long i = buffer->nr; i--;)
		exchange(&buffer->stores[i]);
	native_waiting = 0;
}

/* The store that the current task is about to make waits. */
void native_delay(const volatile void *at, unsigned long bytes)
{
	struct buffer *buffer = &buffers[native_task->number];
	struct delayed *store = &buffer->stores[buffer->nr];

	store->at = (void *)at;
	store->bytes = bytes;
	store->other = 0;
	memcpy(&store->other, store->at, bytes);
	native_waiting = ++buffer->nr;
	native_delays = 1;
}

/* The same of a task that is not in the kernel's code, of a store that it has made there. */
void native_delay_behind(int number, void *at, unsigned long bytes, unsigned long value)
{
	struct buffer *buffer = &buffers[number];

	buffer->stores[buffer->nr++] = (struct delayed){ at, bytes, value };
}

/* Stores of a task that wait. */
long native_stores_of(int number)
{
	return buffers[number].nr;
}

/* Does a store of some task to that object wait? */
int native_waits_in(const void *object, unsigned long bytes)
{
	for (int task = 0; task < NATIVE_TASKS; task++)
		for (long i = 0; i < buffers[task].nr; i++)
			if ((unsigned long)buffers[task].stores[i].at - (unsigned long)object < bytes)
				return 1;
	return 0;
}

/* May a store to it wait?  Not on a stack, where another task may be by then. */
long native_may_wait(const void *at)
{
	unsigned long page = ((unsigned long)at - native_pages) >> 12;

	return page < NATIVE_PAGES || native_is_in_heap(at) || native_is_struct_page(at);
}

/* The oldest store of a task that is not in the kernel's code becomes visible. */
void native_commit(long number)
{
	struct buffer *buffer = &buffers[number];
	struct delayed *oldest = buffer->stores;
	unsigned long page = ((unsigned long)oldest->at - native_pages) >> 12;

	/* The call that made it was left early. */
	if (!buffer->nr)
		return;
	if (page < NATIVE_PAGES) {
		if (native_pages_poisoned[page / 64] >> page % 64 & 1)
			native_die("uaf", "page_table", "a store that waited goes to a freed page table");
		native_pages_to_look_at[page / 64] |= 1UL << page % 64;
	}
	exchange(oldest);
	memmove(oldest, oldest + 1, --buffer->nr * sizeof(*oldest));
}

/* A call was left early: what its task stored is there. */
void native_forget_stores(const struct native_task *task)
{
	buffers[task->number].nr = native_waiting = native_in_kernel = 0;
}

/* A barrier, or a locked instruction: others see what the task stored, and may run before. */
void native_fence(void)
{
	if (native_waiting)
		native_host(HOST_FENCE, 1, 0, 0);
}

/* The same where no other task may come in. */
void native_drain(void)
{
	if (native_waiting)
		native_host(HOST_FENCE, 0, 0, 0);
}

/* A plain store by which a lock is released: behind those that wait. */
void native_release(const volatile void *at, unsigned long bytes)
{
	if (native_waiting && native_host(HOST_RELEASE, (unsigned long)at, 0, 0))
		native_delay(at, bytes);
}

/*
 * What a locked instruction of the kernel calls where stores wait (shim/asm/alternative.h): it keeps
 * every register, and takes any stack.
 */
asm(".text\n"
    ".globl native_locked\n"
    ".hidden native_locked\n"
    ".type native_locked, @function\n"
    "native_locked:\n"
    "	push %rbp\n"
    "	mov %rsp, %rbp\n"
    "	push %rax\n"
    "	push %rcx\n"
    "	push %rdx\n"
    "	push %rsi\n"
    "	push %rdi\n"
    "	push %r8\n"
    "	push %r9\n"
    "	push %r10\n"
    "	push %r11\n"
    "	and $-16, %rsp\n"
    "	call native_fence\n"
    "	lea -72(%rbp), %rsp\n"
    "	pop %r11\n"
    "	pop %r10\n"
    "	pop %r9\n"
    "	pop %r8\n"
    "	pop %rdi\n"
    "	pop %rsi\n"
    "	pop %rdx\n"
    "	pop %rcx\n"
    "	pop %rax\n"
    "	pop %rbp\n"
    "	ret\n"
    ".size native_locked, .-native_locked\n");
