// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays programs that are almost the given one, on both sides, and keeps those that are worth a look:
 * what reaches something that none did before, and what is suspicious.
 */
#include <stdlib.h>
#include <string.h>

#include "../bridge.h"
#include "../machine/play.h"
#include "user.h"

/* The only suspicion that a side may be known for: difffuzz/engine/fast_lockstep.py. */
#define UNPROTECTED "suspect\nmemslots were read without SRCU\n"

/* Outlives a reset, unlike the library's variables. */
static struct {
	unsigned long chance;
	struct config *program;
	struct op *ops;
	long *compared;			/* of the left side */
	long room_for_compared;
} *now;

/* Once, before the snapshot. */
void variants_map(void)
{
	now = calloc(1, sizeof(*now));
}

enum seen { CLEAN, NOT_SEEN_THROUGH, SUSPICIOUS };

static enum seen play_side(struct native_variants *asked, int side, struct native_played *played)
{
	now->program->side = side;
	now->program->tdp_mmu = asked->tdp_mmu[side] && now->program->tdp;
	if (native_play(now->program)) {
		if (native_not_seen_through()) {
			asked->steps += now->program->steps;
			return NOT_SEEN_THROUGH;
		}
		if (!asked->unprotected[side] || strcmp(native_control->died, UNPROTECTED))
			return SUSPICIOUS;
	}
	native_played(played);
	asked->steps += played->steps;
	return CLEAN;
}

/* Of what was played last: did it reach something new? */
static int is_new(const struct native_played *played, unsigned char *features)
{
	int found = 0;

	for (long i = 0; i < played->nr_features; i++) {
		found |= !features[played->features[i]];
		features[played->features[i]] = 1;
	}
	return found;
}

static void keep_compared(const struct native_played *played)
{
	if (played->nr_compared > now->room_for_compared) {
		now->room_for_compared = 2 * played->nr_compared;
		now->compared = realloc(now->compared, now->room_for_compared * sizeof(long));
	}
	memcpy(now->compared, played->compared, played->nr_compared * sizeof(long));
}

/* Do the two sides agree in all that they are compared by?  `new`: one of them reached such a thing. */
static enum seen play_both(struct native_variants *asked, int *new)
{
	struct native_played played;
	enum seen seen;
	long nr;

	seen = play_side(asked, 0, &played);
	if (seen)
		return seen;
	*new |= is_new(&played, (unsigned char *)asked->features);
	nr = played.nr_compared;
	keep_compared(&played);
	seen = play_side(asked, 1, &played);
	if (seen)
		return seen;
	*new |= is_new(&played, (unsigned char *)asked->features);
	if (nr != played.nr_compared || memcmp(now->compared, played.compared, nr * sizeof(long)))
		return SUSPICIOUS;
	return CLEAN;
}

static void copy_program(const struct native_variants *asked)
{
	const struct config *given = asked->program;
	unsigned long before = sizeof(*given) + given->nr_slots * sizeof(struct slot_spec);

	now->program = realloc(now->program, before + asked->room * sizeof(struct op));
	memcpy(now->program, given, before + given->nr_ops * sizeof(struct op));
	now->ops = (struct op *)((char *)now->program + before);
}

void native_variants(struct native_variants *asked)
{
	struct op *kept = (struct op *)asked->ops;
	long told = 0;

	native_new_guards((unsigned char *)asked->guards);
	now->chance = vary_begin(asked->seed);
	asked->nr_kept = asked->nr_ops = asked->steps = asked->played = 0;
	while (asked->played < asked->count && asked->steps < asked->most_steps) {
		enum seen seen;
		int new = 0;

		copy_program(asked);
		now->program->nr_ops = vary(&now->chance, now->ops, now->program->nr_ops, asked);
		asked->played++;
		seen = play_both(asked, &new);
		new |= native_new_guards((unsigned char *)asked->guards);
		/* What is near a bug is suspicious again and again. */
		if (seen == NOT_SEEN_THROUGH || (!new && (seen == CLEAN || told++)))
			continue;
		memcpy(kept + asked->nr_ops, now->ops, now->program->nr_ops * sizeof(*kept));
		asked->nr_ops += now->program->nr_ops;
		asked->kept[asked->nr_kept++] = now->program->nr_ops;
		if (asked->nr_kept == NATIVE_VARIANTS_KEPT)
			break;
	}
	copy_program(asked);
	pool_add(asked, now->ops, now->program->nr_ops);
}
