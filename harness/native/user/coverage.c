// SPDX-License-Identifier: GPL-2.0-only
/* Coverage of the kernel's code: a byte, set once it is passed, for each guard that clang's trace-pc-guard puts there. */
#include <stdint.h>
#include <stdlib.h>

#include "../bridge.h"
#include "user.h"

#define MOST_GUARDS (1 << 17)

static uint32_t nr_guards;
static unsigned char *counters;

void native_coverage_start(void)
{
	counters = calloc(MOST_GUARDS, 1);
}

void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop)
{
	if (start == stop || *start)
		return;
	for (; start < stop && nr_guards + 1 < MOST_GUARDS; start++)
		*start = ++nr_guards;
}

/* The guards passed since the last call, at most `max` of them; the rest waits. */
long native_take_guards(uint32_t *out, long max)
{
	long n = 0;

	for (uint32_t i = 1; i <= nr_guards && n < max; i++) {
		if (!counters[i])
			continue;
		counters[i] = 0;
		out[n++] = i;
	}
	return n;
}

void __sanitizer_cov_trace_pc_guard(uint32_t *guard)
{
	if (counters)
		counters[*guard] = 1;
}
