// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory of the library: pages for page tables, objects, struct pages; snapshot and reset.
 *
 * Nothing is used twice between two resets, so that a freed page can be made inaccessible and a
 * freed object stay poisoned: whoever uses it is found.
 */
#define _GNU_SOURCE
#include <link.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../bridge.h"
#include "../machine/arena.h"
#include "../machine/play.h"
#include "../machine/task.h"
#include "user.h"

#define PAGE 4096UL
#define HEAP (1UL << 30)
#define FOR_GOOD 64UL	/* pages behind the others, for what is no page table of KVM */
#define STRUCT_PAGE 64UL
#define POISON 0x6b	/* an SPTE of it is present, writable, and maps no page that exists */
#define POISONED_BYTES 4096UL
#define SMALL (1UL << 20)
#define LARGE_OBJECT (1UL << 16)	/* mostly untouched, as what memslots have for each page */
#define MOST_FRAMES (1UL << 20)
#define MAGIC 0x6e61746976650000UL

/* Before each object. */
struct header {
	unsigned long bytes;
	unsigned long magic;
};

struct memory {
	char *heap, *large_heap;
	unsigned long heap_used, large_used;
	unsigned long pages_used;
	int protected;			/* some page is inaccessible */
	uint64_t *shadow;
	unsigned char *page_state;
	unsigned char *page_told;	/* what native_changes() said last */
	unsigned long *used;		/* was handed out to be used, or became a table */
	unsigned long *filled;		/* spare, and not zero: whoever got it fills it */
	unsigned long *frames;		/* pfns whose struct page was touched */
	unsigned long nr_frames;
	char *data;			/* the library's variables, but for those of coverage ... */
	unsigned long data_bytes;
	char *guards, *guards_end;	/* ... which lie there */
	char *saved;			/* ... as they were at the snapshot */
	char *base;			/* where the library is */
	char *code;
	unsigned long code_bytes;
};

unsigned long native_pages;
unsigned long native_vmemmap;
unsigned long *native_pages_to_look_at;
unsigned long *native_pages_poisoned;
static struct memory *memory;

const char *native_bad_oracle;
const char *native_bad_where;
char native_bad_text[160];

/* Sets of pages, a bit each. */
static int has(const unsigned long *set, unsigned long number)
{
	return set[number / 64] >> number % 64 & 1;
}

static void put(unsigned long *set, unsigned long number)
{
	set[number / 64] |= 1UL << number % 64;
}

static void drop(unsigned long *set, unsigned long number)
{
	set[number / 64] &= ~(1UL << number % 64);
}

/* The first of the set from `number` on, or pages_used. */
static unsigned long next_in(const unsigned long *set, unsigned long number)
{
	unsigned long end = memory->pages_used, word;

	if (number >= end)
		return end;
	word = set[number / 64] & -1UL << number % 64;
	while (!word) {
		number = (number | 63) + 1;
		if (number >= end)
			return end;
		word = set[number / 64];
	}
	return (number & ~63UL) + __builtin_ctzl(word);
}

static void empty(unsigned long *set)
{
	memset(set, 0, (memory->pages_used + 63) / 64 * sizeof(*set));
}

static void *reserve(unsigned long bytes, int protection)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *at = mmap(NULL, bytes, protection, flags, -1, 0);

	if (at == MAP_FAILED) {
		perror("difffuzz native: mmap");
		abort();
	}
	return at;
}

static int find_segments(struct dl_phdr_info *info, size_t size __attribute__((unused)),
			 void *data __attribute__((unused)))
{
	uintptr_t here = (uintptr_t)&native_pages;
	int ours = 0;

	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && here - at < ph->p_memsz) {
			memory->data = (char *)at;
			memory->data_bytes = ph->p_memsz;
			ours = 1;
		}
	}
	if (ours)
		memory->base = (char *)info->dlpi_addr;
	for (int i = 0; ours && i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *ph = &info->dlpi_phdr[i];
		uintptr_t at = info->dlpi_addr + ph->p_vaddr;

		if (ph->p_type == PT_LOAD && ph->p_flags & PF_X) {
			memory->code = (char *)at;
			memory->code_bytes = ph->p_memsz;
		}
	}
	return ours;
}

/* Maps everything; called once, before the kernel's code runs. */
void native_map_memory(void)
{
	char *vmemmap;
	unsigned long arena_struct_pages = (NATIVE_PAGES_PA / PAGE) * STRUCT_PAGE;

	memory = calloc(1, sizeof(*memory));
	memory->heap = reserve(HEAP, PROT_READ | PROT_WRITE);
	memory->large_heap = reserve(HEAP, PROT_READ | PROT_WRITE);
	memory->shadow = reserve(NATIVE_PAGES * PAGE, PROT_READ | PROT_WRITE);
	memory->page_state = calloc(NATIVE_PAGES, 1);
	memory->page_told = calloc(NATIVE_PAGES, 1);
	native_pages_to_look_at = calloc(NATIVE_PAGES / 8, 1);
	native_pages_poisoned = calloc(NATIVE_PAGES / 8, 1);
	memory->used = calloc(NATIVE_PAGES / 8, 1);
	memory->filled = calloc(NATIVE_PAGES / 8, 1);
	memory->frames = calloc(MOST_FRAMES, sizeof(*memory->frames));
	native_pages = (unsigned long)reserve((NATIVE_PAGES + FOR_GOOD) * PAGE, PROT_READ | PROT_WRITE);
	vmemmap = reserve(arena_struct_pages + NATIVE_PAGES * STRUCT_PAGE, PROT_READ | PROT_WRITE);
	native_vmemmap = (unsigned long)vmemmap;
	dl_iterate_phdr(find_segments, NULL);
	hm_map_memory();
	hm_map_page_table();
	native_map_stores();
	task_map_stacks();
	tables_map();
	splits_map();
	record_map();
	variants_map();
}

/* Keeps the variables as they are now; native_reset() brings them back. */
void native_snapshot(void)
{
	/* Copied for each program: from where a cache line begins as it does there, half a page off. */
	memory->saved = aligned_alloc(PAGE, (memory->data_bytes / PAGE + 3) * PAGE);
	memory->saved += ((unsigned long)memory->data + PAGE / 2) % PAGE;
	memcpy(memory->saved, memory->data, memory->data_bytes);
	native_coverage_bounds(&memory->guards, &memory->guards_end);
	if (!memory->guards)
		memory->guards = memory->guards_end = memory->data;
}

static void restore(char *start, char *end)
{
	memcpy(start, memory->saved + (start - memory->data), end - start);
}

static void clear(void *at, unsigned long bytes)
{
	if (bytes < SMALL)
		memset(at, 0, bytes);
	else
		madvise(at, (bytes + PAGE - 1) & ~(PAGE - 1), MADV_DONTNEED);
}

/* The pages that may not be zero, and what native_changes() knows of them. */
static void clear_pages(void)
{
	char *pages = (char *)native_pages, *shadow = (char *)memory->shadow;
	unsigned long end = memory->pages_used, nr = 0;

	for (unsigned long i = 0; i < (end + 63) / 64; i++) {
		memory->used[i] |= native_pages_to_look_at[i];
		memory->filled[i] &= ~memory->used[i];
		nr += __builtin_popcountl(memory->used[i]);
	}
	if (nr * PAGE >= SMALL) {
		clear(pages, end * PAGE);
		clear(shadow, end * PAGE);
		return;
	}
	for (unsigned long number = next_in(memory->used, 0); number < end;
	     number = next_in(memory->used, number + 1)) {
		memset(pages + number * PAGE, 0, PAGE);
		if (memory->page_told[number])
			memset(shadow + number * PAGE, 0, PAGE);
	}
}

/* The library as it was at the snapshot, with all memory free. */
void native_reset(void)
{
	unsigned long used = memory->pages_used;

	if (used) {
		if (memory->protected)
			mprotect((void *)native_pages, used * PAGE, PROT_READ | PROT_WRITE);
		memory->protected = 0;
		clear_pages();
		clear((void *)(native_vmemmap + NATIVE_PAGES_PA / PAGE * STRUCT_PAGE), used * STRUCT_PAGE);
		memset(memory->page_state, PAGE_UNUSED, used);
		memset(memory->page_told, PAGE_UNUSED, used);
		empty(native_pages_to_look_at);
		empty(native_pages_poisoned);
		empty(memory->used);
	}
	clear(memory->heap, memory->heap_used);
	if (memory->large_used)
		madvise(memory->large_heap, (memory->large_used + PAGE - 1) & ~(PAGE - 1), MADV_DONTNEED);
	while (memory->nr_frames)
		memset((void *)(native_vmemmap + memory->frames[--memory->nr_frames] * STRUCT_PAGE), 0,
		       STRUCT_PAGE);
	memory->heap_used = memory->large_used = memory->pages_used = 0;
	restore(memory->data, memory->guards);
	restore(memory->guards_end, memory->data + memory->data_bytes);
	native_control->failed = native_control->nr_splats = 0;
	native_control->splats[0] = 0;
	native_reset_tasks();
	native_reset_stores();
	hm_reset_memory();
}

/* Zeroed memory until the next reset. */
void *native_alloc(unsigned long bytes)
{
	int large = bytes >= LARGE_OBJECT;
	unsigned long *used = large ? &memory->large_used : &memory->heap_used;
	struct header *header = (struct header *)((large ? memory->large_heap : memory->heap) + *used);

	bytes = (bytes + 15) & ~15UL;
	*used += bytes + sizeof(*header);
	if (*used > HEAP)
		native_die("crash", "native_alloc", "the heap is full");
	header->bytes = bytes;
	header->magic = MAGIC;
	return header + 1;
}

void *native_alloc_for_good(unsigned long bytes)
{
	return calloc(1, bytes);
}

static int lies_in(const void *at, const char *heap, unsigned long used)
{
	unsigned long offset = (unsigned long)at - (unsigned long)heap;

	return offset >= sizeof(struct header) && offset < used;
}

void native_free(const void *at)
{
	struct header *header;

	if (!at)
		return;
	if (!native_is_in_heap(at))
		native_die("uaf", "kfree", "free of what was not allocated");
	header = (struct header *)at - 1;
	if (header->magic != MAGIC)
		native_die("uaf", "kfree", "double free of an object");
	header->magic = 0;
	memset((void *)at, POISON, header->bytes < POISONED_BYTES ? header->bytes : POISONED_BYTES);
}

/* Is it part of what was allocated? */
int native_is_in_heap(const void *at)
{
	return lies_in(at, memory->heap, memory->heap_used) || lies_in(at, memory->large_heap, memory->large_used);
}

/* Is it part of the struct page of a frame, or of a page for page tables? */
int native_is_struct_page(const void *at)
{
	return (unsigned long)at - native_vmemmap < (NATIVE_PAGES_PA / PAGE + NATIVE_PAGES) * STRUCT_PAGE;
}

/* Is it an object that was allocated and is not freed? */
int native_is_object(const void *at)
{
	if ((unsigned long)at % 16 || !native_is_in_heap(at))
		return 0;
	return ((const struct header *)at - 1)->magic == MAGIC;
}

/* A page, zeroed or to be filled; a spare one stays as it is then until it becomes a table. */
unsigned long native_page_alloc(int spare, int zeroed)
{
	unsigned long number = memory->pages_used, page = native_pages + number * PAGE;

	if (number == NATIVE_PAGES)
		native_die("crash", "native_page_alloc", "out of pages for page tables");
	memory->page_state[number] = PAGE_LIVE;
	if (!spare)
		put(memory->used, number);
	if (!zeroed) {
		put(memory->filled, number);
	} else if (has(memory->filled, number)) {
		memset((void *)page, 0, PAGE);
		drop(memory->filled, number);
	}
	memory->pages_used++;
	return page;
}

/* The page at that address is, or is about to be, the table of a shadow page. */
void native_becomes_table(unsigned long page)
{
	unsigned long number = (page - native_pages) / PAGE;

	if (number >= NATIVE_PAGES)
		native_die("crash", "set_page_private", "no page of the library's");
	put(memory->used, number);
	put(native_pages_to_look_at, number);
}

/* Zeroed pages that follow each other, which no reset gives back. */
unsigned long native_pages_for_good(unsigned long n)
{
	static unsigned long used;
	unsigned long page = native_pages + (NATIVE_PAGES + used) * PAGE;

	used += n;
	if (used > FOR_GOOD)
		native_die("crash", "native_pages_for_good", "out of pages");
	return page;
}

/*
 * From now on any access to the page is a finding.  -1: it was not allocated.
 *
 * Making it inaccessible takes longer than all else that a short program does.  While one is played
 * the page is poisoned instead: native_point() sees the accesses that are preemption points,
 * native_poison_is_whole() the other stores.  A page that no table was made of (most are spare ones) is left as it is.
 */
int native_page_free(unsigned long page)
{
	unsigned long number = (page - native_pages) / PAGE;

	if (number >= NATIVE_PAGES || memory->page_state[number] != PAGE_LIVE)
		return -1;
	native_drain();		/* who uses it next comes later in the same order */
	memory->page_state[number] = PAGE_FREED;
	if (native_is_playing()) {
		if (native_is_table(number)) {
			put(native_pages_to_look_at, number);
			put(native_pages_poisoned, number);
			memset((void *)page, POISON, PAGE);
		}
		return 0;
	}
	memory->protected = 1;
	mprotect((void *)page, PAGE, PROT_NONE);
	return 0;
}

/* Did nothing write to a freed page? */
int native_poison_is_whole(void)
{
	for (unsigned long number = next_in(native_pages_poisoned, 0); number < memory->pages_used;
	     number = next_in(native_pages_poisoned, number + 1)) {
		const char *page = (const char *)native_pages + number * PAGE;

		if (*page != POISON || memcmp(page, page + 1, PAGE - 1))
			return 0;
	}
	return 1;
}

/* The struct page of `pfn` is about to change: the next reset zeroes it. */
void native_touch_frame(unsigned long pfn, unsigned long bytes)
{
	if (bytes != STRUCT_PAGE || pfn >= NATIVE_FRAMES)
		native_die("crash", "native_touch_frame", "a struct page of another size, or no such frame");
	if (memory->nr_frames == MOST_FRAMES)
		native_die("crash", "native_touch_frame", "too many frames");
	memory->frames[memory->nr_frames++] = pfn;
}

void native_page_memory(struct native_page_memory *out)
{
	out->pages = native_pages;
	out->states = (unsigned long)memory->page_state;
}

/* Is it a page that was allocated and is not freed? */
int native_page_is_live(unsigned long number)
{
	return number < NATIVE_PAGES && memory->page_state[number] == PAGE_LIVE;
}

/* The entry at a physical address; NULL if it is in no page that is live. */
unsigned long *native_entry(unsigned long pa)
{
	if (!native_page_is_live((pa - NATIVE_PAGES_PA) / PAGE))
		return NULL;
	return (unsigned long *)(native_pages + pa - NATIVE_PAGES_PA);
}

/* Tells that a table is new or gone, else what changed in it.  0: there was no room for all of it. */
static int tell_changes(unsigned long number, struct native_change *out, long max, long *n)
{
	uint64_t *now = (uint64_t *)native_pages + number * 512, *then = memory->shadow + number * 512;
	int state = memory->page_state[number], told = memory->page_told[number];

	if (told == PAGE_FREED)
		return 1;
	if (state != told) {
		if (*n == max)
			return 0;
		memory->page_told[number] = state;
		for (int i = 0; native_nonpresent && i < 512; i++)
			then[i] = native_nonpresent;
		if (state == PAGE_LIVE || told == PAGE_LIVE)
			out[(*n)++] = (struct native_change){
				.number = number, .index = state == PAGE_LIVE ? CHANGE_NEW : CHANGE_GONE,
			};
	}
	if (state == PAGE_FREED || !memcmp(now, then, PAGE))
		return 1;
	for (int i = 0; i < 512; i++) {
		uint64_t old, new;

		if (now[i] == then[i])
			continue;
		if (*n == max)
			return 0;
		old = native_seen(then[i]);
		new = native_seen(now[i]);
		then[i] = now[i];
		if (old != new)
			out[(*n)++] = (struct native_change){ number, i, old, new };
	}
	return 1;
}

/*
 * What changed in the page tables since the last call, at most `max` of it; the rest waits.  With
 * CHANGE_NEW as index: a table not seen before, with CHANGE_GONE: one that was freed.  Unless it is
 * `thorough` only of tables that are new or gone, or that a store went to which was a preemption
 * point.  What other stores changed (aging, clearing the dirty log) waits.
 */
long native_changes_of(struct native_change *out, long max, int thorough)
{
	const unsigned long *set = thorough ? memory->used : native_pages_to_look_at;
	long n = 0;

	for (unsigned long number = next_in(set, 0); number < memory->pages_used;
	     number = next_in(set, number + 1)) {
		if (memory->page_state[number] == PAGE_LIVE && memory->page_told[number] != PAGE_LIVE &&
		    !native_is_table(number))
			continue;
		if (!tell_changes(number, out, max, &n))
			break;
		drop(native_pages_to_look_at, number);
	}
	return n;
}

/* All that changed. */
long native_changes(struct native_change *out, long max)
{
	return native_changes_of(out, max, 1);
}

int native_is_ours(const void *code)
{
	return (char *)code >= memory->code && (char *)code < memory->code + memory->code_bytes;
}

/* Says what a bad access was, in native_bad_*. */
void native_explain(unsigned long address, const void *code)
{
	unsigned long number = (address - native_pages) / PAGE;

	/* Python knows the functions by their addresses. */
	native_bad_where = "?";
	if (address - native_pages < NATIVE_PAGES * PAGE && memory->page_state[number] == PAGE_FREED) {
		native_bad_oracle = "uaf";
		native_bad_where = "page_table";
		snprintf(native_bad_text, sizeof(native_bad_text), "access to a freed page table at +%#lx",
			 (unsigned long)((char *)code - memory->base));
		return;
	}
	native_bad_oracle = "crash";
	snprintf(native_bad_text, sizeof(native_bad_text), "bad access to %#lx at +%#lx", address,
		 (unsigned long)((char *)code - memory->base));
}

/* A function that nobody has was called. */
void native_unreached(const char *name, const void *caller)
{
	static char text[160];

	snprintf(text, sizeof(text),
		 "the harness has no such function: add it to harness/native/kernel; called at +%#lx",
		 (unsigned long)((char *)caller - memory->base));
	native_die("crash", name, text);
}

/* The same of a loop that passes no preemption point.  Where in it a timer finds it is a matter of luck. */
void native_explain_loop(const char *oracle, const void *code)
{
	native_bad_oracle = oracle;
	native_bad_where = "hang";
	snprintf(native_bad_text, sizeof(native_bad_text), "no end, and no preemption point, around +%#lx",
		 (unsigned long)((char *)code - memory->base));
}
