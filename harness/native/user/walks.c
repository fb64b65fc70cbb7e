// SPDX-License-Identifier: GPL-2.0-only
/* Plays the threads of a program under its schedule and many walks, until one is suspicious. */
#include "../bridge.h"
#include "../machine/play.h"
#include "user.h"

/* Nothing was reached. */
static void forget_features(struct native_walks *asked)
{
	while (asked->nr_features)
		((unsigned char *)asked->reached)[((long *)asked->features)[--asked->nr_features]] = 0;
}

/* Which features were reached; each is told once. */
static void note_features(struct native_walks *asked)
{
	unsigned char *reached = (unsigned char *)asked->reached;
	struct native_played played;

	native_played(&played);
	asked->steps += played.steps;
	for (long i = 0; i < played.nr_features; i++) {
		long one = played.features[i];

		if (!reached[one])
			((long *)asked->features)[asked->nr_features++] = one;
		reached[one] = 1;
	}
}

/* The walk that comes next. */
static void choose(const struct native_walks *asked, struct config *program)
{
	bool follows = asked->scheduled && !asked->next;

	program->seed = follows ? 0 : asked->seed + asked->next;
	program->gap = asked->gaps[asked->next % NATIVE_GAPS];
	program->delays = follows ? asked->named : asked->delays && asked->next / NATIVE_GAPS % 2;
}

/* 1: walk number `next` is suspicious, and was played last. */
long native_walks(struct native_walks *asked)
{
	struct config *program = (struct config *)asked->program;

	if (!asked->next) {
		forget_features(asked);
		asked->named = program->delays;
	}
	for (; asked->next < asked->count && asked->steps < asked->most_steps; asked->next++) {
		long left_early;

		choose(asked, program);
		left_early = native_play(program);
		note_features(asked);
		if (!left_early)
			continue;
		if (!native_not_seen_through())
			return 1;
		/* The others are as long, or beyond the same limit. */
		asked->steps += program->steps;
	}
	return 0;
}
