// SPDX-License-Identifier: GPL-2.0-only
/*
 * The two ways to decide who goes on: a schedule, as a program has one, or a random walk; and the
 * schedule that either amounts to, as difffuzz/sched/strategy/record.py would write it down.
 */
#include "interleave.h"
#include "machine.h"

#define MOST_SWITCHES 4096

static const struct decision *schedule;
static long nr_schedule, at, next_step;
static unsigned long state;		/* of the random walk; 0: follow the schedule */
static long gap;
static struct decision *switches;
static long nr_switches;

static unsigned long draw(unsigned long below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

/* `seed` 0: the schedule; else a walk that preempts about every `walk_gap` steps. */
void strategy_begin(const struct decision *of_program, long nr, long seed, long walk_gap)
{
	schedule = of_program;
	nr_schedule = nr;
	switches = hm_alloc(MOST_SWITCHES * sizeof(*switches));
	nr_switches = at = 0;
	gap = walk_gap;
	state = seed ? ((unsigned long)seed * 0x9e3779b97f4a7c15UL) | 1 : 0;
	if (seed)
		next_step = 1 + draw(2 * gap);
	else
		next_step = nr ? schedule[0].step : NO_STEP;
}

long strategy_next_step(void)
{
	return next_step;
}

void strategy_record(int number)
{
	if (nr_switches == MOST_SWITCHES)
		hm_give_up("too many switches");
	switches[nr_switches++] = (struct decision){ inter_steps(), number };
}

static int run_to_block(int current, const int *enabled, int nr)
{
	for (int i = 0; i < nr; i++)
		if (enabled[i] > current)
			return enabled[i];
	return enabled[0];
}

/* The thread of the last switch that is due, if it can run; else -1. */
static int named(const int *enabled, int nr)
{
	long number = -1;

	while (at < nr_schedule && schedule[at].step <= inter_steps())
		number = schedule[at++].number;
	next_step = at < nr_schedule ? schedule[at].step : NO_STEP;
	for (int i = 0; i < nr; i++)
		if (enabled[i] == number)
			return number;
	return -1;
}

/* Who goes on at this point; `current` if it is not preempted. */
int strategy_preempt(int current, const int *enabled, int nr)
{
	int next;

	if (!state) {
		next = named(enabled, nr);
	} else {
		next_step = inter_steps() + 1 + draw(2 * gap);
		next = nr ? enabled[draw(nr)] : -1;
	}
	if (next < 0)
		next = current;
	if (next != current)
		strategy_record(next);
	return next;
}

/* Who goes on now that the current one blocks, ends or relaxes. */
int strategy_pick(int current, const int *enabled, int nr)
{
	int otherwise = run_to_block(current, enabled, nr), next = -1;

	if (state)
		next = enabled[draw(nr)];
	else if (inter_steps() >= next_step)
		next = named(enabled, nr);
	if (next < 0)
		next = otherwise;
	if (next != otherwise)
		strategy_record(next);
	return next;
}

long strategy_switches(const struct decision **out)
{
	*out = switches;
	return nr_switches;
}
