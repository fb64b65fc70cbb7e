// SPDX-License-Identifier: GPL-2.0-only
/* Memory that goes with the program that is played: zeroed, never freed one by one. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine.h"
#include "arena.h"

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#define BETWEEN 32UL	/* bytes behind each piece of memory that nobody may touch */
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes)
#define BETWEEN 0UL
#endif

#define ROOM (2UL << 30)
#define SMALL (1UL << 20)

/* Outlives a reset, unlike the library's variables. */
struct room {
	char *at;
	unsigned long used;
};

static struct room *room;

/* Once, before the snapshot. */
void hm_map_memory(void)
{
	room = calloc(1, sizeof(*room));
	room->at = mmap(NULL, ROOM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room->at == MAP_FAILED) {
		perror("difffuzz native: mmap");
		abort();
	}
}

void hm_reset_memory(void)
{
	ASAN_UNPOISON_MEMORY_REGION(room->at, room->used);
	if (room->used < SMALL)
		memset(room->at, 0, room->used);
	else
		madvise(room->at, (room->used + PAGE_BYTES - 1) & -PAGE_BYTES, MADV_DONTNEED);
	room->used = 0;
}

void *hm_alloc(unsigned long bytes)
{
	char *at = room->at + room->used;
	unsigned long taken = ((bytes + 15) & ~15UL) + BETWEEN;

	if (taken > ROOM - room->used)
		hm_give_up("out of memory for the machine");
	room->used += taken;
	ASAN_POISON_MEMORY_REGION(at + bytes, taken - bytes);
	return at;
}

void hm_give_up(const char *why)
{
	native_die("fast", why, "");
}
