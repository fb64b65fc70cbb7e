// SPDX-License-Identifier: GPL-2.0-only
/* Memory that goes with the program that is played: zeroed, never freed one by one. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "machine.h"
#include "arena.h"

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
	if (room->used < SMALL)
		memset(room->at, 0, room->used);
	else
		madvise(room->at, (room->used + PAGE_BYTES - 1) & -PAGE_BYTES, MADV_DONTNEED);
	room->used = 0;
}

void *hm_alloc(unsigned long bytes)
{
	void *at = room->at + room->used;

	room->used += (bytes + 15) & ~15UL;
	if (room->used > ROOM)
		hm_give_up("out of memory for the machine");
	return at;
}

void hm_give_up(const char *why)
{
	native_die("fast", why, "");
}
