// SPDX-License-Identifier: GPL-2.0-only
/*
 * Physical pages of the host: who holds them, what they contain, whether the host took them back.
 *
 * As difffuzz/machine/frames.py has it: pfns are never handed out twice; a huge page is a run, whose
 * pages cost memory only where they differ from the rest.  Flags are those of the folio.
 */
#include "machine.h"

#define MOST_4K_CHUNKS 512
#define MOST_2M 2048
#define MOST_1G 64
#define MOST_DEVICE_CHUNKS (1 << 14)
#define MOST_RETIRED 1024

struct retired {
	u64 start, end;
};

static u64 next_4k = BASE_4K, next_2m = BASE_2M, next_1g = BASE_1G, next_device = BASE_DEVICE;
static u64 next_tail = BASE_TAILS;
static struct hm_frame **chunks;		/* of 4K pages */
static struct hm_frame **device_chunks, **tail_chunks;
static struct hm_run **runs_2m, **runs_1g;
static struct retired *retired;
static int nr_retired;
static struct hm_frame zero_page;
static const struct hm_frame untouched;

void hm_init_frames(void)
{
	chunks = hm_alloc(MOST_4K_CHUNKS * sizeof(*chunks));
	runs_2m = hm_alloc(MOST_2M * sizeof(*runs_2m));
	runs_1g = hm_alloc(MOST_1G * sizeof(*runs_1g));
}

static struct hm_run **run_slot(u64 pfn)
{
	if (pfn < BASE_2M || pfn >= BASE_TAILS)
		return NULL;
	if (pfn < BASE_1G)
		return (pfn - BASE_2M) >> 9 < MOST_2M ? &runs_2m[(pfn - BASE_2M) >> 9] : NULL;
	return (pfn - BASE_1G) >> 18 < MOST_1G ? &runs_1g[(pfn - BASE_1G) >> 18] : NULL;
}

struct hm_run *hm_run(u64 pfn)
{
	struct hm_run **slot = run_slot(pfn);

	return slot && *slot && (*slot)->live ? *slot : NULL;
}

static struct hm_frame *in_chunk(struct hm_frame **at, u64 index, bool make)
{
	if (!at[index >> 9]) {
		if (!make)
			return NULL;
		at[index >> 9] = hm_alloc(512 * sizeof(**at));
	}
	return &at[index >> 9][index & 511];
}

/* The page's record; NULL if there is none and none is to be made. */
static struct hm_frame *find(u64 pfn, bool make)
{
	struct hm_run **slot;

	if (pfn == HM_ZERO_PFN)
		return &zero_page;
	if (pfn >= BASE_TAILS && pfn < BASE_DEVICE) {
		if (pfn >= next_tail || !tail_chunks)
			return NULL;
		return in_chunk(tail_chunks, pfn - BASE_TAILS, make);
	}
	if (pfn >= BASE_DEVICE) {
		if (pfn >= next_device || !device_chunks)
			return NULL;
		return in_chunk(device_chunks, pfn - BASE_DEVICE, make);
	}
	if (pfn >= BASE_2M) {
		slot = run_slot(pfn);
		return slot && *slot ? in_chunk((*slot)->chunks, pfn - (*slot)->head, make) : NULL;
	}
	if (pfn < BASE_4K || pfn >= next_4k)
		return NULL;
	return in_chunk(chunks, pfn - BASE_4K, make);
}

static const struct hm_frame *look(u64 pfn)
{
	const struct hm_frame *frame = find(pfn, false);

	return frame ? frame : &untouched;
}

struct hm_frame *hm_frame(u64 pfn)
{
	struct hm_frame *frame = find(pfn, true);

	if (!frame)
		hm_give_up("no such frame");
	return frame;
}

static struct hm_run *new_run(u64 head, unsigned long size)
{
	struct hm_run **slot = run_slot(head), *run;

	if (!slot)
		hm_give_up("too many huge pages");
	run = *slot = hm_alloc(sizeof(*run));
	run->head = head;
	run->size = size;
	run->maps = 1;
	run->live = true;
	run->chunks = hm_alloc(size / 512 * sizeof(*run->chunks));
	return run;
}

/* A zeroed, naturally aligned page of 1, 512 or 262144 pfns with one mapping. */
u64 hm_frame_alloc(unsigned long pages)
{
	u64 pfn;

	if (pages == 1) {
		pfn = next_4k++;
		if ((pfn - BASE_4K) >> 9 >= MOST_4K_CHUNKS)
			hm_give_up("too many pages");
		hm_frame(pfn)->maps = 1;
		return pfn;
	}
	pfn = pages == PMD_PAGES ? next_2m : next_1g;
	if (pages == PMD_PAGES)
		next_2m += pages;
	else
		next_1g += pages;
	new_run(pfn, pages);
	return pfn;
}

u64 hm_device_alloc(unsigned long pages)
{
	u64 pfn = next_device;

	next_device += (pages + PMD_PAGES - 1) / PMD_PAGES * PMD_PAGES;
	if ((next_device - BASE_DEVICE) >> 9 > MOST_DEVICE_CHUNKS)
		hm_give_up("too much device memory");
	if (!device_chunks)
		device_chunks = hm_alloc(MOST_DEVICE_CHUNKS * sizeof(*device_chunks));
	return pfn;
}

/* Pages of a driver: each has a struct page, with a reference count of 0. */
u64 hm_tails_alloc(unsigned long pages)
{
	u64 pfn = next_tail;

	next_tail += (pages + PMD_PAGES - 1) / PMD_PAGES * PMD_PAGES;
	if ((next_tail - BASE_TAILS) >> 9 > MOST_DEVICE_CHUNKS)
		hm_give_up("too many pages of a driver");
	if (!tail_chunks)
		tail_chunks = hm_alloc(MOST_DEVICE_CHUNKS * sizeof(*tail_chunks));
	return pfn;
}

void hm_device_retire(u64 pfn, unsigned long pages)
{
	if (!retired)
		retired = hm_alloc_list(MOST_RETIRED * sizeof(*retired));
	if (nr_retired == MOST_RETIRED)
		hm_give_up("too much device memory was retired");
	retired[nr_retired].start = pfn;
	retired[nr_retired++].end = pfn + pages;
}

bool hm_whole_run(u64 pfn)
{
	struct hm_run *run = hm_run(pfn);

	return run && !run->split;
}

bool hm_reserved(u64 pfn)
{
	return pfn == HM_ZERO_PFN || pfn >= BASE_TAILS;
}

long hm_mapcount(u64 pfn)
{
	struct hm_run *run;

	if (pfn < BASE_2M)
		return pfn == HM_ZERO_PFN ? 0 : look(pfn)->maps;
	run = hm_run(pfn);
	return run ? run->maps + look(pfn)->maps : 0;
}

long hm_pins(u64 pfn)
{
	return pfn >= BASE_TAILS ? 0 : look(pfn)->pins;
}

long hm_page_count(u64 pfn)
{
	return hm_mapcount(pfn) + hm_pins(pfn);
}

long hm_folio_count(u64 pfn, int level)
{
	struct hm_run *run = hm_run(pfn);

	if (!run || (run->split && level == 1))
		return hm_page_count(pfn);
	return run->maps * (level == 1 ? (long)run->size : 1) + run->extra_total + run->pins;
}

long hm_folio_pins(u64 pfn)
{
	struct hm_run *run = hm_run(pfn);

	return !run || run->split ? hm_pins(pfn) : run->pins;
}

bool hm_is_free(u64 pfn)
{
	if (pfn >= BASE_TAILS) {
		for (int i = 0; i < nr_retired; i++)
			if (pfn >= retired[i].start && pfn < retired[i].end)
				return true;
		return pfn >= (pfn >= BASE_DEVICE ? next_device : next_tail);
	}
	return pfn != HM_ZERO_PFN && !hm_page_count(pfn);
}

static void release_run(struct hm_run *run)
{
	if (!run->pins && run->maps * (long)run->size + run->extra_total == 0)
		run->live = false;
}

static void forget_data(u64 pfn)
{
	struct hm_frame *frame = find(pfn, false);

	if (frame)
		frame->data = 0;
}

void hm_get(u64 pfn)
{
	struct hm_run *run = hm_run(pfn);

	if (pfn >= BASE_TAILS)
		return;
	if (hm_is_free(pfn))
		hm_give_up("reference taken of a free page");
	hm_frame(pfn)->pins++;
	if (run)
		run->pins++;
}

void hm_put(u64 pfn)
{
	struct hm_run *run = hm_run(pfn);

	if (pfn >= BASE_TAILS)
		return;
	if (!hm_pins(pfn))
		hm_give_up("reference dropped that nobody took");
	hm_frame(pfn)->pins--;
	if (run)
		run->pins--;
	if (hm_page_count(pfn))
		return;
	forget_data(pfn);
	if (run)
		release_run(run);
}

static struct hm_run *must_run(u64 pfn)
{
	struct hm_run *run = hm_run(pfn);

	if (!run)
		hm_give_up("no such huge page");
	return run;
}

void hm_map_page(u64 pfn)
{
	struct hm_run *run = hm_run(pfn);

	hm_frame(pfn)->maps++;
	if (run)
		run->extra_total++;
	else if (pfn >= BASE_2M)
		hm_give_up("a page of a huge page that is gone");
}

void hm_unmap_page(u64 pfn)
{
	struct hm_frame *frame;
	struct hm_run *run;

	if (pfn < BASE_2M) {
		frame = hm_frame(pfn);
		if (frame->maps <= 0)
			hm_give_up("unmapped, but not mapped");
		if (!--frame->maps && !frame->pins)
			frame->data = 0;
		return;
	}
	run = must_run(pfn);
	frame = hm_frame(pfn);
	frame->maps--;
	run->extra_total--;
	if (run->maps + frame->maps == 0 && !frame->pins)
		frame->data = 0;
	release_run(run);
}

void hm_map_run(u64 head)
{
	must_run(head)->maps++;
}

void hm_unmap_run(u64 head)
{
	struct hm_run *run = must_run(head);

	run->maps--;
	release_run(run);
}

long hm_data(u64 pfn)
{
	return hm_is_free(pfn) ? FREED_DATA : pfn == HM_ZERO_PFN ? 0 : look(pfn)->data;
}

void hm_set_data(u64 pfn, long value)
{
	if (pfn != HM_ZERO_PFN && !hm_is_free(pfn))
		hm_frame(pfn)->data = value;
}

void hm_copy_run(u64 head, u64 new)
{
	struct hm_run *from = must_run(head), *to = must_run(new);

	for (unsigned long i = 0; i < from->size / 512; i++)
		for (int page = 0; from->chunks[i] && page < 512; page++)
			if (from->chunks[i][page].data)
				in_chunk(to->chunks, i << 9 | page, true)->data = from->chunks[i][page].data;
}

bool hm_poisoned(u64 pfn)
{
	return look(pfn)->poisoned;
}

void hm_poison(u64 pfn)
{
	hm_frame(pfn)->poisoned = true;
}

/* Flags */

u64 hm_folio(u64 pfn)
{
	struct hm_run *run = hm_run(pfn);

	return !run || run->split ? pfn : run->head;
}

bool hm_dirty(u64 pfn)
{
	return look(hm_folio(pfn))->dirty;
}

bool hm_lazyfree(u64 pfn)
{
	return look(hm_folio(pfn))->lazyfree;
}

void hm_clear_dirty(u64 pfn)
{
	hm_frame(hm_folio(pfn))->dirty = false;
}

void hm_set_lazyfree(u64 pfn, bool lazyfree)
{
	hm_frame(hm_folio(pfn))->lazyfree = lazyfree;
}

void hm_mark_dirty(u64 pfn)
{
	if (!hm_reserved(pfn))
		hm_frame(hm_folio(pfn))->dirty = true;
}

void hm_mark_accessed(u64 pfn)
{
	if (!hm_reserved(pfn))
		hm_frame(hm_folio(pfn))->accessed = true;
}

bool hm_accessed(u64 pfn)
{
	return look(hm_folio(pfn))->accessed;
}

void hm_clear_accessed(u64 pfn)
{
	hm_frame(hm_folio(pfn))->accessed = false;
}

static void add_flags(struct hm_frame *to, const struct hm_frame *from)
{
	to->dirty |= from->dirty;
	to->accessed |= from->accessed;
	to->lazyfree |= from->lazyfree;
}

/* All pages have the flags of the head. */
void hm_split_run(struct hm_run *run)
{
	const struct hm_frame *head = look(run->head);

	run->split = true;
	if (head->dirty || head->accessed || head->lazyfree)
		for (unsigned long page = 1; page < run->size; page++)
			add_flags(hm_frame(run->head + page), head);
}

/* From one folio to another of the same size. */
void hm_copy_flags(u64 old, u64 new)
{
	add_flags(hm_frame(new), look(hm_folio(old)));
}

bool hm_frames_leaked(void)
{
	if (zero_page.pins)
		return true;
	for (u64 pfn = BASE_4K; pfn < next_4k; pfn++)
		if (look(pfn)->maps || look(pfn)->pins)
			return true;
	for (u64 pfn = BASE_2M; pfn < next_2m; pfn += PMD_PAGES)
		if (hm_run(pfn))
			return true;
	for (u64 pfn = BASE_1G; pfn < next_1g; pfn += PUD_PAGES)
		if (hm_run(pfn))
			return true;
	return false;
}
