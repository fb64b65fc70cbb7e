// SPDX-License-Identifier: GPL-2.0-only
/*
 * A program that is changed, and still keeps every rule of difffuzz/program/normalise.py: operations
 * go, come twice, change places, have what another one of their kind has, or come from programs
 * before it, some in a row.
 */
#include <string.h>

#include "../machine/machine.h"
#include "../machine/play.h"
#include "user.h"

#define MOST_IN_A_ROW 8

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

/* Operations that some program before had in a row stand in for as many, or come between. */
static long take_some(unsigned long *state, struct op *ops, long nr, const struct native_variants *asked)
{
	struct op found[MOST_IN_A_ROW];
	long n = 1 + draw(state, MOST_IN_A_ROW), at = draw(state, nr + 1), gone;

	n = pool_take(asked, found, n, draw(state, NATIVE_POOL));
	gone = draw(state, 2) ? (n < nr - at ? n : nr - at) : 0;
	if (!n || nr - gone + n > asked->room)
		return nr;
	for (long i = 0; i < n; i++)
		if (found[i].thread < NR_VCPU_THREADS)
			found[i].thread %= asked->program->vcpus;
	memmove(&ops[at + n], &ops[at + gone], (nr - at - gone) * sizeof(*ops));
	memcpy(&ops[at], found, n * sizeof(*ops));
	return nr - gone + n;
}

static long change(unsigned long *state, struct op *ops, long nr, long room)
{
	switch (draw(state, 5)) {
	case 0:
		return nr > 1 ? remove_one(state, ops, nr) : nr;
	case 1:
		return nr < room ? repeat_one(state, ops, nr) : nr;
	case 2:
		change_places(state, ops, nr);
		return nr;
	default:
		change_one(state, ops, nr);
		return nr;
	}
}

/*
 * Changes `nr` operations; how many there are then.  What programs before had may name a gfn that
 * tables of four levels do not map.
 */
long vary(unsigned long *state, struct op *ops, long nr, const struct native_variants *asked)
{
	bool takes = !asked->program->four_levels && draw(state, 2);

	for (int changes = 1 + draw(state, 3); changes; changes--)
		nr = takes ? take_some(state, ops, nr, asked) : change(state, ops, nr, asked->room);
	return nr;
}
