// SPDX-License-Identifier: GPL-2.0-only
/*
 * The threads of a program that is played: who runs, and coroutines for those that can be left in
 * the middle: parked faults, and all threads of a concurrent run.
 *
 * A coroutine that is given up (its program ended early) is forgotten; its stack is used again.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "../bridge.h"
#include "task.h"

#define STACK_BYTES (256UL << 10)
#define GUARD_BYTES 4096UL

struct coroutine {
	void *stack_pointer;
	void (*body)(int number);
	bool alive;
};

static char *stacks;
/* By number of the task; the stack that all began on is MAIN_TASK's. */
static struct coroutine coroutines[NATIVE_TASKS];
static int running = MAIN_TASK;

/* Saves what a call must keep, and goes on where `to` left off. */
void native_switch(void **from, void *to);

asm(".text\n"
    ".globl native_switch\n"
    ".hidden native_switch\n"
    ".type native_switch, @function\n"
    "native_switch:\n"
    "	push %rbp\n"
    "	push %rbx\n"
    "	push %r12\n"
    "	push %r13\n"
    "	push %r14\n"
    "	push %r15\n"
    "	mov %rsp, (%rdi)\n"
    "	mov %rsi, %rsp\n"
    "	pop %r15\n"
    "	pop %r14\n"
    "	pop %r13\n"
    "	pop %r12\n"
    "	pop %rbx\n"
    "	pop %rbp\n"
    "	ret\n"
    ".size native_switch, .-native_switch\n");

/* Once, before the snapshot. */
void task_map_stacks(void)
{
	stacks = mmap(NULL, NATIVE_TASKS * STACK_BYTES, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (stacks == MAP_FAILED) {
		perror("difffuzz native: mmap");
		abort();
	}
	for (int i = 0; i < NATIVE_TASKS; i++)
		mprotect(stacks + i * STACK_BYTES, GUARD_BYTES, PROT_NONE);
}

static void make_current(int number)
{
	native_task = native_task_of(number);
	native_current_is(native_task);
}

/* From now on the task of that number is the current one, on the same stack. */
void task_run_as(int number)
{
	if (native_task->number == number)
		return;
	native_leave_task(native_task);
	make_current(number);
}

/* Goes on with another stack, until something switches back. */
void task_switch(int number)
{
	int me = running, as = native_task->number;

	native_leave_task(native_task);
	running = number;
	native_switch(&coroutines[me].stack_pointer, coroutines[number].stack_pointer);
	running = me;
	make_current(as);
}

static void first(void)
{
	int number = running;

	make_current(number);
	coroutines[number].body(number);
	coroutines[number].alive = false;
	task_switch(MAIN_TASK);
	native_die("crash", "task", "a coroutine that ended was resumed");
}

/* Gives the task a stack of its own, on which `body` will run. */
void task_prepare(int number, void (*body)(int number))
{
	void **top = (void **)(stacks + (number + 1) * STACK_BYTES);

	/* `first` finds the stack as after a call; below are the registers that a switch restores. */
	*--top = NULL;
	*--top = first;
	for (int i = 0; i < 6; i++)
		*--top = NULL;
	coroutines[number].stack_pointer = top;
	coroutines[number].body = body;
	coroutines[number].alive = true;
}

/* Has its body not ended? */
bool task_alive(int number)
{
	return coroutines[number].alive;
}

/* Whose stack this is. */
int task_running(void)
{
	return running;
}
