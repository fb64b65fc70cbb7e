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

struct thread {
	bool live;
	bool waits;
	long kind;
	const void *object;
	long ran_at, relaxed_at;
	unsigned long starves;	/* of those, by number, that relaxing keeps from running */
};

static struct thread threads[NATIVE_TASKS];
static bool on, running;
static bool starving;	/* the last look for enabled threads left some out, or could have */
static int current = NONE;
static long limit, threshold, switches;

bool inter_on(void)
{
	return on;
}

/* Steps are counted from here: the VM is made, the program begins. */
void inter_begin(long steps)
{
	on = true;
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

/* To the next step at which the strategy wants to be asked. */
static void arm(void)
{
	long to = limit - strategy_next_step() + 1;

	set_threshold(to > 0 ? to : 0);
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

/* The threads that can go on and should, in the order of their numbers. */
static int enabled(int *found)
{
	int nr = 0;

	starving = false;
	for (int i = 0; i < NATIVE_TASKS; i++)
		if (threads[i].live && is_ready(&threads[i])) {
			found[nr++] = i;
			starving |= !!threads[i].starves;
		}
	return starving ? fair(found, nr) : nr;
}

static void go_on_with(int number)
{
	current = number;
	threads[number].ran_at = ++switches;
	if (number != task_running())
		task_switch(number);
}

/* The current thread cannot go on, or should not: another one does. */
static void forced(const int *found, int nr)
{
	int next;

	count_step();
	next = strategy_pick(current, found, nr);
	arm();
	go_on_with(next);
}

/* Runs the threads to their ends. */
void inter_run(int nr, const int *numbers, void (*body)(int number))
{
	int found[NATIVE_TASKS], left = nr;

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
		next = strategy_pick(current, found, able);
		arm();
		go_on_with(next);
		/* Whoever ran last has ended. */
		threads[current].live = false;
		left--;
	}
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

/* At the step that the strategy named, or out of steps. */
void inter_decide(const void *what, bool write)
{
	int found[NATIVE_TASKS], next = current;
	bool due = strategy_is_due();

	if (budget() < 0)
		hm_give_up("out of steps");
	if (!running)
		return;
	if (due) {
		pos_came_to(current, what, write);
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
}

/* Until the thread can go on. */
void inter_wait(long kind, const void *object)
{
	int found[NATIVE_TASKS], nr;
	struct thread *one;

	if (!running)
		hm_give_up("waits for what nobody will give");
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
	int found[NATIVE_TASKS], nr, others = 0;
	struct thread *one;

	if (!running)
		return;
	one = &threads[current];
	nr = enabled(found);
	for (int i = 0; i < nr; i++)
		if (found[i] != current)
			found[others++] = found[i];
	if (!others)
		return;
	pos_came_to(current, NULL, false);
	one->starves = 0;
	for (int i = 0; i < others; i++)
		if (threads[found[i]].ran_at < one->relaxed_at)
			one->starves |= 1UL << found[i];
	one->relaxed_at = switches;
	forced(found, others);
}
