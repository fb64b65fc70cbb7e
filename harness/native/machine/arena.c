// SPDX-License-Identifier: GPL-2.0-only
/* Memory that goes with the program that is played: never freed one by one, zeroed but for lists. */
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
#define JUNK 0xa5
#else
#define ASAN_POISON_MEMORY_REGION(at, bytes)
#define ASAN_UNPOISON_MEMORY_REGION(at, bytes)
#define BETWEEN 0UL
#endif

#define ROOM (2UL << 30)
#define LIST_ROOM (1UL << 30)
#define SMALL (1UL << 20)

/* Outlives a reset, unlike the library's variables. */
struct room {
	char *at;
	unsigned long used;
};

static struct room *room, *lists;

static struct room *new_room(unsigned long bytes)
{
	struct room *made = calloc(1, sizeof(*made));

	made->at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (made->at == MAP_FAILED) {
		perror("difffuzz native: mmap");
		abort();
	}
	return made;
}

/* Once, before the snapshot. */
void hm_map_memory(void)
{
	room = new_room(ROOM);
	lists = new_room(LIST_ROOM);
}

void hm_reset_memory(void)
{
	ASAN_UNPOISON_MEMORY_REGION(room->at, room->used);
	if (room->used < SMALL)
		memset(room->at, 0, room->used);
	else
		madvise(room->at, (room->used + PAGE_BYTES - 1) & -PAGE_BYTES, MADV_DONTNEED);
	room->used = 0;
	ASAN_UNPOISON_MEMORY_REGION(lists->at, lists->used);
	lists->used = 0;
}

static void *take(struct room *from, unsigned long all, unsigned long bytes)
{
	char *at = from->at + from->used;
	unsigned long taken = ((bytes + 15) & ~15UL) + BETWEEN;

	if (taken > all - from->used)
		hm_give_up("out of memory for the machine");
	from->used += taken;
	ASAN_POISON_MEMORY_REGION(at + bytes, taken - bytes);
	return at;
}

void *hm_alloc(unsigned long bytes)
{
	return take(room, ROOM, bytes);
}

/* Of what is appended to: nothing is read before it is written, and a program seldom fills it. */
void *hm_alloc_list(unsigned long bytes)
{
	void *at = take(lists, LIST_ROOM, bytes);

#ifdef __SANITIZE_ADDRESS__
	memset(at, JUNK, bytes);
#endif
	return at;
}

void hm_give_up(const char *why)
{
	native_die("fast", why, "");
}
