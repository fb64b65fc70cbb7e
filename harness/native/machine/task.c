// SPDX-License-Identifier: GPL-2.0-only
/*
 * The threads of a program that is played: who runs, and coroutines for the faults that are parked.
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
static struct coroutine coroutines[NATIVE_TASKS];
static void *main_stack_pointer;
static int main_task;
static int running = -1;	/* the coroutine, -1: none */

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

/* From now on the task of that number is the current one. */
void task_run_as(int number)
{
	if (native_task->number == number)
		return;
	native_leave_task(native_task);
	native_task = native_task_of(number);
	native_current_is(native_task);
}

static void first(void)
{
	int number = running;

	coroutines[number].body(number);
	coroutines[number].alive = false;
	running = -1;
	native_leave_task(native_task);
	native_switch(&coroutines[number].stack_pointer, main_stack_pointer);
	native_die("crash", "task", "a coroutine that ended was resumed");
}

/* Goes on with a coroutine until it ends or leaves. */
void task_resume(int number)
{
	main_task = native_task->number;
	task_run_as(number);
	running = number;
	native_switch(&main_stack_pointer, coroutines[number].stack_pointer);
	native_task = native_task_of(main_task);
	native_current_is(native_task);
}

/* Gives the task a stack of its own on which `body` runs until it ends or leaves. */
void task_spawn(int number, void (*body)(int number))
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
	task_resume(number);
}

/* The current coroutine waits until it is resumed. */
void task_leave(void)
{
	int number = running;

	if (number < 0)
		native_die("deadlock", "task", "waits for what nobody will give");
	running = -1;
	native_leave_task(native_task);
	native_switch(&coroutines[number].stack_pointer, main_stack_pointer);
}

/* Has it left, and not ended? */
bool task_parked(int number)
{
	return coroutines[number].alive;
}
