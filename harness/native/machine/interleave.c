// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the threads of a program at once: each on a stack of its own, a strategy decides who goes on.
 *
 * Points and forced changes are numbered as difffuzz/sched/interleave.py numbers them, so that a
 * schedule found here is one for the engine that judges.
 */
#include "interleave.h"
#include "machine.h"
#include "task.h"

#define NONE (-1)
#define ALWAYS (1L << 62)	/* a threshold that every budget is below */

struct thread {
	bool live;
	bool waits;
	long kind;
	const void *object;
	long ran_at, relaxed_at;
	unsigned long starves;	/* of those, by number, that relaxing keeps from running */
	bool storing;		/* it stands before a store that may be delayed ... */
	bool takes;		/* ... and will be */
};

static struct thread threads[NATIVE_TASKS];
static bool on, running;
static bool delays;	/* stores may wait, as on x86 */
static bool starving;	/* the last look for enabled threads left some out, or could have */
static int current = NONE;
static long limit, threshold, switches;

bool inter_on(void)
{
	return on;
}

/* Steps are counted from here: the VM is made, the program begins. */
void inter_begin(long steps, bool delay)
{
	on = true;
	delays = delay;
	limit = steps;
	threshold = 0;
	native_control->budget = limit;
	for (int i = 0; i < NATIVE_TASKS; i++)
		threads[i] = (struct thread){ .ran_at = -1, .relaxed_at = -1 };
}

static long budget(void)
{
	return native_control->budget + threshold;
}

long inter_steps(void)
{
	return limit - budget();
}

long inter_switches(void)
{
	return switches;
}

static void set_threshold(long to)
{
	long left = budget();

	threshold = to;
	native_control->budget = left - threshold;
}

static bool any_waits(void)
{
	for (int i = 0; delays && i < NR_THREADS; i++)
		if (native_stores_of(i))
			return true;
	return false;
}

/*
 * To the next step at which the strategy wants to be asked.  While a store waits, each point may be
 * a locked instruction, and is looked at.
 */
static void arm(void)
{
	long to = limit - strategy_next_step() + 1;

	set_threshold(any_waits() ? ALWAYS : to > 0 ? to : 0);
}

static void count_step(void)
{
	native_control->budget--;
	if (budget() < 0)
		hm_give_up("out of steps");
}

static bool is_ready(const struct thread *one)
{
	const struct hm_lock *lock = one->object;

	if (!one->waits)
		return true;
	if (one->kind == WAIT_HOST_READ)
		return !lock->writer;
	if (one->kind == WAIT_HOST_WRITE)
		return !lock->writer && !lock->readers;
	return native_ready_now(one->kind, one->object);
}

/* Without those that relax again and again and keep others from running by that. */
static int fair(int *found, int nr)
{
	int kept = 0, all[NATIVE_TASKS];

	for (int i = 0; i < nr; i++) {
		struct thread *one = &threads[found[i]];
		unsigned long starves = 0;

		for (int j = 0; j < nr; j++)
			if (one->starves >> found[j] & 1 && threads[found[j]].ran_at < one->relaxed_at)
				starves |= 1UL << found[j];
		one->starves = starves;
		if (!starves)
			all[kept++] = found[i];
	}
	if (!kept)
		return nr;
	for (int i = 0; i < kept; i++)
		found[i] = all[i];
	return kept;
}

/* The threads that can go on and should, in the order of their numbers; then store buffers. */
static int enabled(int *found)
{
	int nr = 0;

	starving = false;
	for (int i = 0; i < NATIVE_TASKS; i++)
		if (threads[i].live && is_ready(&threads[i])) {
			found[nr++] = i;
			starving |= !!threads[i].starves;
		}
	if (starving)
		nr = fair(found, nr);
	for (int i = 0; delays && i < NR_THREADS; i++)
		if (native_stores_of(i) || threads[i].storing)
			found[nr++] = FIRST_BUFFER + i;
	return nr;
}

static void go_on_with(int number)
{
	current = number;
	threads[number].ran_at = ++switches;
	if (number != task_running())
		task_switch(number);
}

/* A store buffer is chosen: who goes on if it takes a store, NONE if it commits one. */
static int choose_buffer(int owner)
{
	if (!native_stores_of(owner)) {
		threads[owner].takes = true;
		return owner;
	}
	native_commit(owner);
	count_step();
	return NONE;
}

/* Who goes on now that the current thread cannot. */
static int pick(int *found, int nr)
{
	for (;;) {
		int next = strategy_pick(current, found, nr);

		if (next >= FIRST_BUFFER)
			next = choose_buffer(next - FIRST_BUFFER);
		if (next != NONE)
			return next;
		nr = enabled(found);
	}
}

/* What the current thread stored is visible. */
void inter_drain(void)
{
	while (running && native_stores_of(current))
		native_commit(current);
}

/* A barrier, or a locked instruction: if a store waits, others may run before. */
void inter_fence(void)
{
	if (!running || !native_stores_of(current))
		return;
	native_point(NULL, POINT_LOCKED);
	inter_drain();
}

/* A lock of the kernel's is released by a plain store.  1: behind those that wait. */
long inter_releases(void)
{
	if (native_stores_of(current) >= NATIVE_STORES)
		inter_drain();
	return native_stores_of(current) > 0;
}

/* A plain store of the host's waits behind those that wait; false if none does. */
bool inter_store_waits(void *at, unsigned long bytes, unsigned long value)
{
	if (!running || !native_stores_of(current))
		return false;
	native_delay_behind(current, at, bytes, value);
	return true;
}

/* The current thread cannot go on, or should not: another one does. */
static void forced(int *found, int nr)
{
	int next;

	count_step();
	next = pick(found, nr);
	arm();
	go_on_with(next);
}

/* Runs the threads to their ends. */
void inter_run(int nr, const int *numbers, void (*body)(int number))
{
	int found[MOST_ENABLED], left = nr;

	for (int i = 0; i < nr; i++) {
		task_prepare(numbers[i], body);
		pos_came_to(numbers[i], NULL, false);
		threads[numbers[i]].live = true;
	}
	running = true;
	while (left) {
		int able, next;

		native_control->budget--;
		able = enabled(found);
		if (!able)
			hm_give_up("deadlock");
		next = pick(found, able);
		arm();
		go_on_with(next);
		/* Whoever ran last has ended. */
		threads[current].live = false;
		left--;
	}
	for (int i = 0; i < nr; i++)
		while (native_stores_of(numbers[i]))
			native_commit(numbers[i]);
	running = false;
	current = NONE;
	set_threshold(0);
}

/* The current thread, if it is one of several, begins an operation. */
void inter_new_operation(void)
{
	if (running)
		threads[current].relaxed_at = -1;
}

/* The threads that can go on, whether they should or not: looking changes nothing. */
static unsigned long able(void)
{
	unsigned long found = 0;

	for (int i = 0; i < NATIVE_TASKS; i++)
		if (threads[i].live && is_ready(&threads[i]))
			found |= 1UL << i;
	return found;
}

/*
 * Who goes on, and which stores are delayed or become visible before.  1: the store behind the point
 * is to wait.
 */
static long decide_among_buffers(const void *what, enum native_point_kind kind)
{
	int found[MOST_ENABLED], me = current;
	struct thread *one = &threads[me];
	bool takes;

	if (kind == POINT_STORE && native_stores_of(me) >= NATIVE_STORES)
		inter_drain();
	one->storing = kind == POINT_STORE && native_may_wait(what);
	while (strategy_is_due()) {
		int next, chosen;

		pos_came_to(me, what, kind != POINT_LOAD);
		chosen = next = strategy_preempt(me, found, enabled(found));
		if (chosen >= FIRST_BUFFER)
			next = choose_buffer(chosen - FIRST_BUFFER);
		if (next == NONE)
			continue;
		if (next != me) {
			arm();
			go_on_with(next);
		} else if (starving && chosen == me) {
			strategy_record(me);
		}
		break;
	}
	if (kind == POINT_LOCKED && what)
		inter_drain();
	arm();
	takes = one->storing && (one->takes || native_stores_of(me));
	one->storing = one->takes = false;
	if (takes)
		set_threshold(ALWAYS);
	return takes;
}

/* At the step that the strategy named, or out of steps. */
long inter_decide(const void *what, enum native_point_kind kind)
{
	int found[MOST_ENABLED], next = current;
	bool due = strategy_is_due();

	if (budget() < 0)
		hm_give_up("out of steps");
	if (!running)
		return 0;
	if (delays)
		return decide_among_buffers(what, kind);
	if (due) {
		pos_came_to(current, what, kind != POINT_LOAD);
		next = strategy_preempt(current, found, enabled(found));
	}
	if (strategy_surveys())
		strategy_note(next, able());
	arm();
	if (next != current)
		go_on_with(next);
	else if (due && starving)
		/* Looking has changed who starves whom: who follows the schedule must look, too. */
		strategy_record(current);
	return 0;
}

/* Until the thread can go on. */
void inter_wait(long kind, const void *object)
{
	int found[MOST_ENABLED], nr;
	struct thread *one;

	if (!running)
		hm_give_up("waits for what nobody will give");
	inter_drain();
	one = &threads[current];
	one->kind = kind;
	one->object = object;
	for (;;) {
		one->waits = true;
		if (is_ready(one))
			break;
		pos_came_to(current, object, true);
		nr = enabled(found);
		if (!nr)
			hm_give_up("deadlock");
		forced(found, nr);
	}
	one->waits = false;
}

/* Lets another thread run; who could have run since this one relaxed before comes first. */
void inter_relax(void)
{
	int found[MOST_ENABLED], nr, others = 0;
	struct thread *one;

	if (!running)
		return;
	inter_drain();
	one = &threads[current];
	nr = enabled(found);
	for (int i = 0; i < nr; i++)
		if (found[i] != current)
			found[others++] = found[i];
	if (!others)
		return;
	pos_came_to(current, NULL, false);
	one->starves = 0;
	for (int i = 0; i < others && found[i] < FIRST_BUFFER; i++)
		if (threads[found[i]].ran_at < one->relaxed_at)
			one->starves |= 1UL << found[i];
	one->relaxed_at = switches;
	forced(found, others);
}
