// SPDX-License-Identifier: GPL-2.0-only
/*
 * What lies in the memory of a guest with page tables: entries, and the tables it begins with.
 * difffuzz/sides/guest_memory.py in C.
 */
#include "paging.h"

#define USUAL (PT_PRESENT_MASK | PT_WRITABLE_MASK | PT_USER_MASK)
#define KERNEL (PT_PRESENT_MASK | PT_WRITABLE_MASK | PT_ACCESSED_MASK)
#define NR(of) ((int)(sizeof(of) / sizeof(*(of))))
#define MOST_PLACES 4
#define EXECUTABLE 4

/* An entry of a table that the guest begins with: a table, or a page. */
struct place {
	char table;	/* letter of the table that it is in */
	char to;	/* of the table that it points to; 0: a page */
	u64 gfn;
};

static const u64 flag_bits[] = { PT_PRESENT_MASK, PT_WRITABLE_MASK, PT_USER_MASK, PT_ACCESSED_MASK,
				 PT_DIRTY_MASK, PT_PAGE_SIZE_MASK, PT64_NX_MASK };
static const u64 ept_flag_bits[] = { 1 << 0, 1 << 1, 1 << 2, 1 << 8, 1 << 9, 1 << 7, 0 };
static const u64 targets[] = GUEST_TARGETS;
static const u64 pmds[] = GUEST_DIRECT_PMDS;

/* Those of a table follow each other, in the order of its places. */
static const struct place places[] = {
	{ 'A', 'C' }, { 'A', 'D' }, { 'B', 'D' }, { 'B', 'C' },
	{ 'C', 'E' }, { 'C', 'F' }, { 'D', 'F' }, { 'D', 'E' },
	{ 'E', 'G' }, { 'E', 'H' }, { 'F', 'I' }, { 'F', .gfn = 0x200 },
	{ 'G', .gfn = 0x10 }, { 'G', .gfn = 0x11 }, { 'G', .gfn = 0x12 }, { 'G', .gfn = 0x13 },
	{ 'H', .gfn = 0x200 }, { 'H', .gfn = 0x201 }, { 'H', .gfn = 0x400 }, { 'H', .gfn = 0x11 },
	{ 'I', .gfn = GUEST_LATE_GFN + 1 }, { 'I', .gfn = 0x12 }, { 'I', .gfn = 0x3ff }, { 'I', .gfn = 0xfee00 },
};

/* The entry for a place in TARGETS and a set of FLAG_WORDS. */
u64 entry_value(long target, long flags)
{
	const u64 *bits = is_ept12() ? ept_flag_bits : flag_bits;
	u64 entry;

	if (targets[target] == GUEST_NO_TARGET)
		return 0;
	entry = targets[target] << 12;
	for (int i = 0; i < NR(flag_bits); i++)
		if (flags >> i & 1)
			entry |= bits[i];
	return is_ept12() && flags >> GUEST_FLAG_NX & 1 ? entry & ~(u64)EXECUTABLE : entry;
}

static u64 gfn_of(char letter)
{
	return guest_tables[letter - 'A'];
}

static u64 entry_of(const struct place *place)
{
	if (place->to)
		return gfn_of(place->to) << 12 | USUAL;
	return place->gfn << 12 | USUAL | (place->table == 'F' ? PT_PAGE_SIZE_MASK : 0);
}

/* Puts a page where it is when the guest begins: behind the home slot. */
static void put(u64 gfn, const struct content_word *words, int nr)
{
	hm_copy_to_user(HM_AREA_BASE(0) + (gfn << 12), content_number(words, nr));
}

static void put_tables(void)
{
	/* The order in which difffuzz/sides/guest_memory.py puts them: pfns follow it. */
	for (const char *letter = "FGHIABCDE"; *letter; letter++) {
		struct content_word words[MOST_PLACES + 1];
		int nr = 0;

		for (int i = 0; i < NR(places); i++)
			if (places[i].table == *letter) {
				words[nr] = (struct content_word){ nr + 1, entry_of(&places[i]) };
				nr++;
			}
		if (!is_nested() && (*letter == 'A' || *letter == 'B'))
			words[nr++] = (struct content_word){ GUEST_DIRECT_INDEX, GUEST_DIRECT_PUD << 12 | KERNEL };
		put(gfn_of(*letter), words, nr);
	}
}

/* All of memory by pages of 2M for the kernel, through one entry of each root. */
static void put_direct_map(void)
{
	struct content_word words[512];

	for (int n = 0; n < NR(pmds); n++)
		words[n] = (struct content_word){ n, pmds[n] << 12 | KERNEL };
	put(GUEST_DIRECT_PUD, words, NR(pmds));
	for (u64 n = 0; n < (u64)NR(pmds); n++) {
		for (u64 i = 0; i < 512; i++)
			words[i] = (struct content_word){
				i, (n << 30 | i << 21) | KERNEL | PT_PAGE_SIZE_MASK | PT_DIRTY_MASK
			};
		put(pmds[n], words, 512);
	}
}

void guest_load(void)
{
	put_tables();
	/* Tables that an L1 has for its L2 have none. */
	if (!is_nested())
		put_direct_map();
}
