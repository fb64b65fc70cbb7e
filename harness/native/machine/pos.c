// SPDX-License-Identifier: GPL-2.0-only
/*
 * Partial order sampling: difffuzz/sched/strategy/pos.py in C.  Accesses have priorities; those that
 * race with one that is made get new ones.
 */
#include "interleave.h"
#include "machine.h"

/* What a thread is about to touch; nothing that anybody else knows if `what` is NULL. */
struct access {
	const void *what;
	bool write;
	unsigned long priority;		/* 0: none yet */
};

static struct access next[NATIVE_TASKS];

void pos_begin(void)
{
	for (int i = 0; i < NATIVE_TASKS; i++)
		next[i] = (struct access){ 0 };
}

/* The thread is about to touch this, or waits for it. */
void pos_came_to(int thread, const void *what, bool write)
{
	next[thread] = (struct access){ what, write, 0 };
}

int pos_choose(const int *enabled, int nr)
{
	const struct access *made;
	int best = enabled[0];

	for (int i = 0; i < nr; i++) {
		struct access *one = &next[enabled[i]];

		if (!one->priority)
			one->priority = 1 + strategy_draw(1UL << 48);
		if (one->priority > next[best].priority)
			best = enabled[i];
	}
	made = &next[best];
	for (int i = 0; i < nr && made->what; i++) {
		struct access *one = &next[enabled[i]];

		if (one->what == made->what && (one->write || made->write))
			one->priority = 0;
	}
	next[best].priority = 0;
	return best;
}
