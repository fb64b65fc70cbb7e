// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ways to decide who goes on: a schedule, as a program has one, a random walk, or partial order
 * sampling (pos.c), with delays of stores or without (delays.c); and the schedule that it amounts to, as difffuzz/sched/strategy/record.py would
 * write it down.
 * A survey notes besides who else could have gone on, at each step from one on.
 */
#include "interleave.h"
#include "machine.h"

#define MOST_SWITCHES 4096
#define MOST_CHOICES (1L << 16)

static const struct decision *schedule;
static long nr_schedule, at, next_step;
static unsigned long state;		/* of the random walk; 0: follow the schedule */
static long gap;
static bool draws_delays;
static struct decision *switches;
static long nr_switches;
static long survey;			/* from this step on; 0: none */
static struct native_choice *choices;
static long nr_choices;

unsigned long strategy_draw(unsigned long below)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 11) % below;
}

/* Steps until the walk preempts again; sampling is asked at each. */
static long after(void)
{
	return gap ? strategy_draw(2 * gap) : 0;
}

/* Any of them, or by its access. */
static int drawn(const int *enabled, int nr)
{
	return gap ? enabled[strategy_draw(nr)] : pos_choose(enabled, nr);
}

/* `seed` 0: the schedule; else a walk that preempts about every `gap` steps, or with 0 sampling. */
void strategy_begin(const struct decision *of_program, const struct config *config)
{
	long nr = config->nr_schedule, seed = config->seed;

	schedule = of_program;
	nr_schedule = nr;
	survey = config->survey;
	choices = survey ? hm_alloc_list(MOST_CHOICES * sizeof(*choices)) : NULL;
	nr_choices = 0;
	switches = hm_alloc_list(MOST_SWITCHES * sizeof(*switches));
	nr_switches = at = 0;
	gap = config->gap;
	state = seed ? ((unsigned long)seed * 0x9e3779b97f4a7c15UL) | 1 : 0;
	pos_begin();
	draws_delays = seed && config->delays;
	if (draws_delays)
		delays_begin();
	if (config->delays && survey)
		hm_give_up("a survey where stores may be delayed");
	if (seed)
		next_step = 1 + after();
	else
		next_step = nr ? schedule[0].step : NO_STEP;
}

/* When it is to be asked next. */
long strategy_next_step(void)
{
	long next = inter_steps() + 1;

	if (draws_delays)
		return next;
	if (!survey)
		return next_step;
	if (next < survey)
		next = survey;
	return next < next_step ? next : next_step;
}

/* Has the schedule or the walk something to say? */
bool strategy_is_due(void)
{
	return draws_delays || inter_steps() >= next_step;
}

bool strategy_surveys(void)
{
	return survey && inter_steps() >= survey;
}

/* `able`: who could go on, a bit each. */
void strategy_note(int chosen, unsigned long able)
{
	if (!(able & ~(1UL << chosen)))
		return;
	if (nr_choices == MOST_CHOICES)
		hm_give_up("too many choices");
	choices[nr_choices++] = (struct native_choice){ inter_steps(), chosen, able };
}

void strategy_record(int number)
{
	if (nr_switches == MOST_SWITCHES)
		hm_give_up("too many switches");
	switches[nr_switches++] = (struct decision){ inter_steps(), number };
}

static int run_to_block(int current, const int *enabled, int nr)
{
	for (int i = 0; i < nr && enabled[i] < FIRST_BUFFER; i++)
		if (enabled[i] > current)
			return enabled[i];
	return enabled[0];
}

/* Without store buffers, which are behind the threads. */
static int only_threads(const int *enabled, int nr)
{
	while (nr && enabled[nr - 1] >= FIRST_BUFFER)
		nr--;
	return nr;
}

/* A walk's choice at this point; -1: no other than the current one. */
static int walked(int current, const int *enabled, int nr)
{
	int buffer = draws_delays ? delays_draw(current, enabled, nr) : -1;

	if (buffer >= 0 || inter_steps() < next_step)
		return buffer;
	nr = only_threads(enabled, nr);
	next_step = inter_steps() + 1 + after();
	return nr ? drawn(enabled, nr) : -1;
}

/* The same where the current one cannot go on. */
static int walked_on(int current, const int *enabled, int nr)
{
	int buffer = draws_delays ? delays_draw(current, enabled, nr) : -1, threads = only_threads(enabled, nr);

	if (buffer >= 0)
		return buffer;
	return threads ? drawn(enabled, threads) : enabled[0];
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

	next = state ? walked(current, enabled, nr) : named(enabled, nr);
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
		next = walked_on(current, enabled, nr);
	else if (strategy_is_due())
		next = named(enabled, nr);
	if (next < 0)
		next = otherwise;
	if (next != otherwise)
		strategy_record(next);
	if (strategy_surveys()) {
		unsigned long able = 0;

		for (int i = 0; i < nr; i++)
			able |= 1UL << enabled[i];
		strategy_note(next, able);
	}
	return next;
}

long strategy_switches(const struct decision **out)
{
	*out = switches;
	return nr_switches;
}

long strategy_choices(const struct native_choice **out)
{
	*out = choices;
	return nr_choices;
}
