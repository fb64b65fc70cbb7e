// SPDX-License-Identifier: GPL-2.0-only
/*
 * Into the library and out of it: calls from Python, calls of Python, and what ends a call early.
 *
 * A call that cannot go on (BUG, a bad access, a broken lock rule, an exception in Python, a loop
 * that a timer ends) is left by a jump to where Python entered.  Python's frames never lie between:
 * each call from Python has its own entry, and a call of Python returns before its caller jumps.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#include "../bridge.h"
#include "../machine/arena.h"
#include "../machine/play.h"
#include "../machine/task.h"
#include "user.h"

#define EMERGENCY_BYTES (64UL << 10)
#define AGAIN_USEC 10000

/* What a bad access, or one that is none, sends. */
static const int bad_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
#define NR_BAD (sizeof(bad_signals) / sizeof(bad_signals[0]))

struct entry {
	void *jump[5];
	struct entry *outer;
};

/* What must survive a reset is on the heap; the pointers are set once. */
struct state {
	struct entry *entry;
	native_host_fn host;
	struct native_task *task;
	int inside;	/* C of this library runs, and Python is not called from it */
	struct sigaction before[NR_BAD];
	struct sigaction timer_before;
	char *emergency;	/* end of the stack on which a call is left */
	char died[512];
	char splats[4096];
};

struct native_control *native_control;
struct native_task *native_task;
static struct state *state;
static struct native_task *tasks;
static int playing;	/* machine/ is the host, not Python */

void native_die(const char *oracle, const char *where, const char *text)
{
	snprintf(state->died, sizeof(state->died), "%s\n%s\n%s", oracle, where, text);
	if (!state->entry) {
		fprintf(stderr, "difffuzz native: %s outside of a call\n", state->died);
		abort();
	}
	__builtin_longjmp(state->entry->jump, 1);
}

void native_warn(const char *where, const char *text)
{
	size_t used = strlen(state->splats);

	native_control->nr_splats++;
	if (used + strlen(where) + strlen(text) + 3 < sizeof(state->splats))
		sprintf(state->splats + used, "%s\t%s\n", where, text);
}

/* "tdp_mmu.c:123" */
const char *native_place(const char *file, int line)
{
	static char place[64];
	const char *slash = strrchr(file, '/');

	snprintf(place, sizeof(place), "%s:%d", slash ? slash + 1 : file, line);
	return place;
}

long native_host(enum native_request what, unsigned long a, unsigned long b, unsigned long c)
{
	struct entry *entry = state->entry;
	struct native_task *task = native_task;
	int in_kernel = native_in_kernel;
	long r;

	native_leave_kernel();
	if (playing) {
		r = native_answer(what, a, b, c);
		if (in_kernel)
			native_enter_kernel();
		return r;
	}
	native_leave_task(task);
	state->inside = 0;
	r = state->host(what, a, b, c);

	/* Other tasks may have run: what is current is this one again. */
	state->entry = entry;
	state->inside = 1;
	native_task = task;
	native_current_is(task);
	if (native_control->failed) {
		native_control->failed = 0;
		native_die("python", "callback", "raised");
	}
	native_enter_kernel();
	return r;
}

int native_is_playing(void)
{
	return playing;
}

static int is_poisoned(unsigned long page)
{
	return native_pages_poisoned[page / 64] >> page % 64 & 1;
}

/* Others may run before the access. */
static __attribute__((noinline)) long ask(const volatile void *at, enum native_point_kind kind)
{
	unsigned long page = ((unsigned long)at - native_pages) >> 12;
	long r = native_host(HOST_POINT, (unsigned long)at, kind, 0);

	if (page < NATIVE_PAGES && is_poisoned(page))
		native_die("uaf", "page_table", "access to a page table that others have freed");
	return r;
}

/*
 * Where others may come in.  A freed table that is not poisoned is inaccessible.  1: the store that
 * follows is to wait.
 */
long native_point(const volatile void *at, enum native_point_kind kind)
{
	unsigned long page = ((unsigned long)at - native_pages) >> 12;

	if (page < NATIVE_PAGES) {
		if (is_poisoned(page))
			native_die("uaf", "page_table", "access to a freed page table");
		if (kind)
			native_pages_to_look_at[page / 64] |= 1UL << page % 64;
	}
	return --native_control->budget < 0 ? ask(at, kind) : 0;
}

static long native_call(long fn, long a, long b, long c, long d, long e, long f)
{
	long r;

	native_enter_kernel();
	r = native_api[fn](a, b, c, d, e, f);
	native_settle_frames();
	native_leave_kernel();
	return r;
}

/* Calls function `fn` as `task`; *died becomes 1 if it could not be seen through. */
long native_run(long task, long fn, long *died, long a, long b, long c, long d, long e, long f)
{
	struct entry entry;
	struct native_task *before = native_task;
	volatile long r = 0;
	volatile long left_early = 0;
	volatile int want_park;

	entry.outer = state->entry;
	state->entry = &entry;
	native_task = &tasks[task];
	native_current_is(native_task);
	/* A fault that is to be parked may call the host, and the host call here. */
	want_park = native_task->want_park;
	native_task->want_park = 0;
	if (!__builtin_setjmp(entry.jump)) {
		state->inside = 1;	/* not before there is a place to jump to */
		r = native_call(fn, a, b, c, d, e, f);
	} else {
		left_early = 1;
		native_forget_stores(native_task);
	}
	state->inside = 0;
	*died = left_early;
	native_task->want_park = want_park;
	state->entry = entry.outer;
	native_task = before;
	native_current_is(before);
	return r;
}

/* Looks at the kernel's state for Python.  *died becomes 1 if it is too broken to be looked at. */
long native_look(native_look_fn look, long *died, long a, long b, long c)
{
	struct entry entry;
	volatile long r = 0;
	volatile long left_early = 0;

	entry.outer = state->entry;
	state->entry = &entry;
	if (!__builtin_setjmp(entry.jump)) {
		state->inside = 1;
		r = look(a, b, c);
	} else {
		left_early = 1;
	}
	state->inside = 0;
	*died = left_early;
	state->entry = entry.outer;
	return r;
}

/* Plays a program with machine/ as its host.  1: it was left early, native_control->died says why. */
long native_play(const struct config *program)
{
	struct entry entry;
	volatile long left_early = 0;

	native_reset();
	entry.outer = NULL;
	state->entry = &entry;
	native_task = &tasks[MAIN_TASK];
	native_current_is(native_task);
	native_control->frees_early = native_control->concurrent = 0;
	playing = 1;
	if (!__builtin_setjmp(entry.jump)) {
		state->inside = 1;
		play(program);
	} else {
		left_early = 1;
	}
	state->inside = 0;
	playing = 0;
	state->entry = NULL;
	native_task = &tasks[0];
	native_current_is(native_task);
	return left_early;
}

/* Was what was left early too long, or beyond a limit of the player's? */
int native_not_seen_through(void)
{
	return !strncmp(native_control->died, "fast\n", 5);
}

static void after_signal(void)
{
	native_die(native_bad_oracle, native_bad_where, native_bad_text);
}

/* When the handler returns, the call is left; on a stack of its own, for the other may be full. */
static void leave(ucontext_t *uc)
{
	uc->uc_mcontext.gregs[REG_RSP] = (greg_t)(state->emergency - 8);
	uc->uc_mcontext.gregs[REG_RIP] = (greg_t)after_signal;
}

/* What was there before gets a signal that is not ours. */
static void pass_on(const struct sigaction *before, int signal, siginfo_t *info, void *context)
{
	if (before->sa_flags & SA_SIGINFO) {
		before->sa_sigaction(signal, info, context);
	} else if (before->sa_handler == SIG_DFL) {
		sigaction(signal, before, NULL);
		/* A bad access comes again by itself. */
		if (info->si_code <= 0)
			raise(signal);
	} else if (before->sa_handler != SIG_IGN) {
		before->sa_handler(signal);
	}
}

/* Where the library was: it may have called the C library, whose memcpy() and the like have no frame. */
static void *our_place(const ucontext_t *uc)
{
	void *at = (void *)uc->uc_mcontext.gregs[REG_RIP];
	void **stack = (void **)uc->uc_mcontext.gregs[REG_RSP];

	return native_is_ours(at) || !at ? at : *stack;
}

/* A bad access inside a call ends the call; any other is not ours. */
static void bad_access(int signal, siginfo_t *info, void *context)
{
	ucontext_t *uc = context;

	if (!state->inside || info->si_code <= 0) {
		for (unsigned long i = 0; i < NR_BAD; i++)
			if (bad_signals[i] == signal)
				pass_on(&state->before[i], signal, info, context);
		return;
	}
	native_explain((unsigned long)info->si_addr, our_place(uc));
	leave(uc);
}

/*
 * The watchdog's timer ends a loop that passes no preemption point.  What Python runs is Python's to
 * end, and a function of the C library is seen through: it may hold a lock.
 */
static void timer(int signal, siginfo_t *info, void *context)
{
	struct itimerval again;
	ucontext_t *uc = context;
	void *at = (void *)uc->uc_mcontext.gregs[REG_RIP];

	if (!state->inside) {
		pass_on(&state->timer_before, signal, info, context);
	} else if (!native_is_ours(at)) {
		getitimer(ITIMER_VIRTUAL, &again);
		again.it_value = (struct timeval){ .tv_usec = AGAIN_USEC };
		setitimer(ITIMER_VIRTUAL, &again, NULL);
	} else {
		native_explain_loop(playing ? "harness" : "progress", at);
		leave(uc);
	}
}

/* The timer's signal comes here first, from now until Python sets a handler of its own again. */
void native_watch(void)
{
	struct sigaction action = { .sa_sigaction = timer, .sa_flags = SA_SIGINFO | SA_ONSTACK };

	sigaction(SIGVTALRM, &action, &state->timer_before);
}

/* A stack for handlers, unless there is one: that of a call may be full. */
static void have_signal_stack(void)
{
	stack_t now, own = { .ss_size = EMERGENCY_BYTES };

	if (sigaltstack(NULL, &now) || !(now.ss_flags & SS_DISABLE))
		return;
	own.ss_sp = calloc(1, EMERGENCY_BYTES);
	sigaltstack(&own, NULL);
}

struct native_control *native_start(native_host_fn host)
{
	struct sigaction action = {
		.sa_sigaction = bad_access, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK,
	};

	state = calloc(1, sizeof(*state));
	state->emergency = (char *)calloc(1, EMERGENCY_BYTES) + EMERGENCY_BYTES;
	native_control = calloc(1, sizeof(*native_control));
	tasks = calloc(NATIVE_TASKS, sizeof(*tasks));
	for (int i = 0; i < NATIVE_TASKS; i++) {
		tasks[i].number = i;
		tasks[i].irq_flags = 0x200;
	}
	state->host = host;
	native_task = &tasks[0];
	native_control->died = state->died;
	native_control->splats = state->splats;
	native_control->budget = 1L << 40;
	native_coverage_start();
	have_signal_stack();
	for (unsigned long i = 0; i < NR_BAD; i++)
		sigaction(bad_signals[i], &action, &state->before[i]);
	return native_control;
}

/* Every task is as it was at the start: what they held is gone. */
void native_reset_tasks(void)
{
	for (int i = 0; i < NATIVE_TASKS; i++) {
		void *task_struct = tasks[i].task_struct;

		memset(&tasks[i], 0, sizeof(tasks[i]));
		tasks[i].number = i;
		tasks[i].irq_flags = 0x200;
		tasks[i].task_struct = task_struct;
	}
}

struct native_task *native_task_of(int number)
{
	return &tasks[number];
}
