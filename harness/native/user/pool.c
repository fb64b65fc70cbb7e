// SPDX-License-Identifier: GPL-2.0-only
/* Operations of the programs that were varied last, in their order: other programs take from them. */
#include <string.h>

#include "../machine/machine.h"
#include "../machine/play.h"
#include "user.h"

void pool_add(struct native_variants *asked, const struct op *ops, long nr)
{
	for (long i = 0; i < nr; i++)
		((struct op *)asked->pool)[asked->pooled++ % NATIVE_POOL] = ops[i];
}

/* Up to `n` operations in a row, from the place `at` on, if there are so many; how many they are. */
long pool_take(const struct native_variants *asked, struct op *out, long n, unsigned long at)
{
	long nr = asked->pooled < NATIVE_POOL ? asked->pooled : NATIVE_POOL;

	if (!nr)
		return 0;
	at %= nr;
	if (n > nr - (long)at)
		n = nr - at;
	memcpy(out, (const struct op *)asked->pool + at, n * sizeof(*out));
	return n;
}
