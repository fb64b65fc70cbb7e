// SPDX-License-Identifier: GPL-2.0-only
/*
 * Coverage of the kernel's code: a byte, set once it is passed, for each guard that clang's inline-bool-flag puts there; or, in
 * a build that is traced, for each place where gcc's trace-pc calls from, by its offset in the library.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../bridge.h"
#include "user.h"

#define MOST_CODE (1 << 24)

/* Where the library begins; the linker says so. */
extern const char __ehdr_start[] __attribute__((visibility("hidden")));

/* A byte for each guard, in a section of the library that no reset brings back. */
static unsigned char *guards;
static long nr_guards;
static unsigned char *passed;

void native_coverage_start(void)
{
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

/* Each object that is linked says where all of them are. */
void __sanitizer_cov_bool_flag_init(unsigned char *start, unsigned char *stop)
{
	guards = start;
	nr_guards = stop - start < NATIVE_GUARDS ? stop - start : NATIVE_GUARDS;
}

/* What a reset leaves as it is. */
void native_coverage_bounds(char **start, char **stop)
{
	*start = (char *)guards;
	*stop = (char *)guards + nr_guards;
}

/* The next guard from `i` on that was passed, or nr_guards. */
static long next_passed(long i)
{
	for (; i < nr_guards && i & 7; i++)
		if (guards[i])
			return i;
	while (i + 8 <= nr_guards) {
		uint64_t eight;

		memcpy(&eight, guards + i, 8);
		if (eight)
			break;
		i += 8;
	}
	while (i < nr_guards && !guards[i])
		i++;
	return i;
}

/* The guards passed since the last call, at most `max` of them; the rest waits. */
long native_take_guards(uint32_t *out, long max)
{
	long n = 0;

	for (long i = next_passed(0); i < nr_guards && n < max; i = next_passed(i + 1)) {
		guards[i] = 0;
		out[n++] = i;
	}
	return n;
}

/* 1: a guard was passed since the last call that is not in `seen`, a byte each; then it is. */
int native_new_guards(unsigned char *seen)
{
	int found = 0;

	for (long i = next_passed(0); i < nr_guards; i = next_passed(i + 1)) {
		guards[i] = 0;
		found |= !seen[i];
		seen[i] = 1;
	}
	return found;
}
