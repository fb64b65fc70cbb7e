// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that is changed a little, and still keeps every rule of difffuzz/program/normalise.py:
 * operations go, come twice, change places, or have what another one of their kind has.
 */
#include <string.h>

#include "../machine/machine.h"
#include "../machine/play.h"
#include "user.h"

static unsigned long draw(unsigned long *state, unsigned long below)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return (*state >> 11) % below;
}

/* Where chance begins. */
unsigned long vary_begin(long seed)
{
	return ((unsigned long)seed * 0x9e3779b97f4a7c15UL) | 1;
}

static bool is_access(const struct op *op)
{
	return op->kind <= OP_EXEC;
}

/* Of the operations, one that is like `op`; itself if there is no other. */
static const struct op *another(unsigned long *state, const struct op *ops, long nr,
				 const struct op *op)
{
	for (int tries = 0; tries < 8; tries++) {
		const struct op *other = &ops[draw(state, nr)];

		if (other->kind == op->kind || (is_access(other) && is_access(op)))
			return other;
	}
	return op;
}

static long remove_one(unsigned long *state, struct op *ops, long nr)
{
	long at = draw(state, nr);

	memmove(&ops[at], &ops[at + 1], (nr - at - 1) * sizeof(*ops));
	return nr - 1;
}

static long repeat_one(unsigned long *state, struct op *ops, long nr)
{
	struct op op = ops[draw(state, nr)];
	long at = draw(state, nr + 1);

	memmove(&ops[at + 1], &ops[at], (nr - at) * sizeof(*ops));
	ops[at] = op;
	return nr + 1;
}

static void change_places(unsigned long *state, struct op *ops, long nr)
{
	long one = draw(state, nr), other = draw(state, nr);
	struct op op = ops[one];

	ops[one] = ops[other];
	ops[other] = op;
}

/* What the operation is about, or who does it, or of the three accesses another. */
static void change_one(unsigned long *state, struct op *ops, long nr)
{
	struct op *op = &ops[draw(state, nr)];
	const struct op *other = another(state, ops, nr, op);

	if (is_access(op) && draw(state, 2))
		op->kind = draw(state, OP_EXEC + 1);
	else if (draw(state, 2))
		op->thread = other->thread;
	else
		memcpy(op->args, other->args, sizeof(op->args));
}

/* Changes `nr` operations, of which there is room for `room`; how many there are then. */
long vary(unsigned long *state, struct op *ops, long nr, long room)
{
	for (int changes = 1 + draw(state, 3); changes; changes--)
		switch (draw(state, 5)) {
		case 0:
			if (nr > 1)
				nr = remove_one(state, ops, nr);
			break;
		case 1:
			if (nr < room)
				nr = repeat_one(state, ops, nr);
			break;
		case 2:
			change_places(state, ops, nr);
			break;
		default:
			change_one(state, ops, nr);
		}
	return nr;
}
