// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage of the kernel's code: a byte, set once it is passed, for each guard that clang's trace-pc-guard puts there; or, in
 * a build that is traced, for each place where gcc's trace-pc calls from, by its offset in the library.
 */
#include <stdint.h>
#include <stdlib.h>

#include "../bridge.h"
#include "user.h"

#define MOST_CODE (1 << 24)

/* Where the library begins; the linker says so. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

static uint32_t nr_guards;
static unsigned char *counters;
static unsigned char *passed;

void native_coverage_start(void)
{
	counters = calloc(NATIVE_GUARDS, 1);
	passed = calloc(MOST_CODE, 1);
}

void __sanitizer_cov_trace_pc(void)
{
	uintptr_t at = (uintptr_t)__builtin_return_address(0) - (uintptr_t)__ehdr_start;

	if (passed && at < MOST_CODE)
		passed[at] = 1;
}

/* The offsets of what was passed since the last call, at most `max` of them. */
long native_take_passed(uint32_t *out, long max)
{
	long n = 0;

	for (uint32_t at = 0; passed && at < MOST_CODE && n < max; at++) {
		if (!passed[at])
			continue;
		passed[at] = 0;
		out[n++] = at;
	}
	return n;
}

void __sanitizer_cov_trace_pc_guard_init(uint32_t *start, uint32_t *stop)
{
	if (start == stop || *start)
		return;
	for (; start < stop && nr_guards + 1 < NATIVE_GUARDS; start++)
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

/* 1: a guard was passed since the last call that is not in `seen`, a byte each; then it is. */
int native_new_guards(unsigned char *seen)
{
	int found = 0;

	for (uint32_t i = 1; i <= nr_guards; i++) {
		if (!counters[i])
			continue;
		counters[i] = 0;
		found |= !seen[i];
		seen[i] = 1;
	}
	return found;
}

void __sanitizer_cov_trace_pc_guard(uint32_t *guard)
{
	if (counters)
		counters[*guard] = 1;
}
