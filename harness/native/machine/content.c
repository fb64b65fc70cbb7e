// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages with words: a number names all 512 of a page.  A small one is word 0, and the others are 0; a
 * large one is made of the words: difffuzz/machine/content.py in C.
 */
#include <string.h>

#include "paging.h"

#define WORDS (1L << 62)	/* numbers from here on name more than word 0 */
#define BUCKETS 1024

struct page {
	struct page *next;
	long number;
	u64 plain;
	int nr;
	struct content_word *words;	/* those that are not 0, by index */
};

static struct page **pages;
static u64 ignored_bits;

/* `ignored`: bits of a word that content_plain() does not look at. */
void content_init(u64 ignored)
{
	pages = hm_alloc(BUCKETS * sizeof(*pages));
	ignored_bits = ignored;
}

static struct page *find(long number)
{
	struct page *page = number < WORDS ? NULL : pages[number % BUCKETS];

	while (page && page->number != number)
		page = page->next;
	return page;
}

static u64 mix(int index, u64 word)
{
	u64 x = word + (u64)(index + 1) * 0x9E3779B97F4A7C15UL;

	x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9UL;
	x = (x ^ x >> 27) * 0x94D049BB133111EBUL;
	return x ^ x >> 31;
}

/* The place of the first word from `index` on. */
static int place_of(const struct page *page, int index)
{
	int low = 0, high = page->nr;

	while (low < high) {
		int middle = (low + high) / 2;

		if (page->words[middle].index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

u64 content_word(long content, int index)
{
	const struct page *page = find(content);
	int place;

	if (!page)
		return index ? 0 : content;
	place = place_of(page, index);
	return place < page->nr && page->words[place].index == index ? page->words[place].word : 0;
}

/* A digest of the page without word 0, which is data, and without the bits that are ignored. */
u64 content_plain(long content)
{
	const struct page *page = find(content);

	return page ? page->plain : 0;
}

/* The page of these words, none of them 0; they are kept. */
static long named(struct content_word *words, int nr)
{
	u64 sum = 0, plain = 0;
	struct page *page;
	long number;

	if (!nr)
		return 0;
	if (nr == 1 && !words->index && words->word < (u64)WORDS)
		return words->word;
	for (int i = 0; i < nr; i++)
		sum += mix(words[i].index, words[i].word);
	number = WORDS | (sum & (WORDS - 1));
	if (find(number))
		return number;
	for (int i = 0; i < nr; i++)
		if (words[i].index)
			plain += mix(words[i].index, words[i].word & ~ignored_bits);
	page = hm_alloc(sizeof(*page));
	*page = (struct page){ pages[number % BUCKETS], number, plain, nr, words };
	pages[number % BUCKETS] = page;
	return number;
}

/* The number of a page with these words, by ascending index; none of them is 0. */
long content_number(const struct content_word *words, int nr)
{
	struct content_word *kept = hm_alloc(nr * sizeof(*kept));

	memcpy(kept, words, nr * sizeof(*kept));
	return named(kept, nr);
}

/* The number of the page with another word in one place. */
long content_with_word(long content, int index, u64 word)
{
	const struct page *page = find(content);
	struct page small = { .nr = !!content };
	struct content_word only = { 0, content }, *words;
	int place, there, nr = 0;

	if (!page) {
		if (!index && word < (u64)WORDS)
			return word;
		small.words = &only;
		page = &small;
	}
	words = hm_alloc((page->nr + 1) * sizeof(*words));
	place = place_of(page, index);
	there = place < page->nr && page->words[place].index == index;
	memcpy(words, page->words, place * sizeof(*words));
	nr = place;
	if (word)
		words[nr++] = (struct content_word){ index, word };
	memcpy(words + nr, page->words + place + there, (page->nr - place - there) * sizeof(*words));
	return named(words, nr + page->nr - place - there);
}
