// SPDX-License-Identifier: GPL-2.0-only
/*
 * Draws which stores are delayed and until when, in a walk: difffuzz/sched/strategy/delays.py in C.
 */
#include "interleave.h"

/* A walk draws no more, so that a program can hold its schedule. */
#define MOST_DRAWN (MAX_SCHEDULE / 2)

/* How often a store is delayed, in a run, and the oldest one becomes visible at a step, in 1,000. */
static const int delayed[] = { 100, 500, 1000 }, visible[] = { 0, 20, 200 };
static unsigned long often, commits;
static long drawn;

void delays_begin(void)
{
	often = delayed[strategy_draw(3)];
	commits = visible[strategy_draw(3)];
	drawn = 0;
}

/* The store buffer that is chosen; -1 if none is. */
int delays_draw(int current, const int *enabled, int nr)
{
	for (int i = 0; i < nr && drawn < MOST_DRAWN; i++) {
		int owner = enabled[i] - FIRST_BUFFER;

		if (owner < 0)
			continue;
		if (native_stores_of(owner) ? strategy_draw(1000) < commits :
					      owner == current && strategy_draw(1000) < often) {
			drawn++;
			return enabled[i];
		}
	}
	return -1;
}
