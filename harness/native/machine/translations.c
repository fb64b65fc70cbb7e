// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests with page tables: of each address of each vCPU the set of what the tables said at some time
 * since the guest flushed it last.  The first half of difffuzz/oracle/guest_tables.py in C.
 */
#include <string.h>

#include "paging.h"

#define NR(of) ((int)(sizeof(of) / sizeof(*(of))))
#define NR_ADDRESSES NR(addresses)
#define CONTEXTS (NR(roots) * NATIVE_VCPUS)

/* A table that is looked at: without accessed and dirty bits. */
struct seen {
	bool before, readable;
	u64 plain;
};

bool check_foreign;
static const u64 addresses[] = GUEST_GVAS, looked_at[] = GUEST_LOOKED_AT, roots[] = GUEST_ROOTS;
static struct context contexts[CONTEXTS];
static int chosen[NATIVE_VCPUS];
static struct seen seen[NR(looked_at)];
static bool nested;

static bool is_l1s(u64 gva)
{
	return nested && gva >= GUEST_DIRECT_BASE;
}

struct context *sets_context(int vcpu)
{
	return &contexts[nested ? NR(roots) * vcpu + chosen[vcpu] : vcpu];
}

/* What the tables say now. */
struct path sets_now(const struct context *context, u64 gva)
{
	if (is_l1s(gva))
		return (struct path){ .found = spec_itself((gva - GUEST_DIRECT_BASE) >> 12) };
	return spec_walk(context->root, gva);
}

/* Sets of translations */

static void add(struct known *known, translation found)
{
	for (int i = 0; i < known->nr; i++)
		if (known->set[i] == found)
			return;
	if (known->nr == known->room) {
		int room = known->room ? 2 * known->room : 4;
		translation *more = hm_alloc_list(room * sizeof(*more));

		if (known->nr)
			memcpy(more, known->set, known->nr * sizeof(*more));
		known->set = more;
		known->room = room;
	}
	known->set[known->nr++] = found;
}

void sets_flushed(struct known *known, translation found)
{
	known->nr = 0;
	known->kept = known->rewritten = false;
	add(known, found);
}

static struct known *new_known(struct context *context, u64 page)
{
	if (context->nr == context->room) {
		int room = context->room ? 2 * context->room : 2 * NR_ADDRESSES;
		struct known *more = hm_alloc(room * sizeof(*more));

		if (context->nr)
			memcpy(more, context->known, context->nr * sizeof(*more));
		context->known = more;
		context->room = room;
	}
	context->known[context->nr] = (struct known){ .page = page };
	return &context->known[context->nr++];
}

/* What is known of the address of an access. */
struct known *sets_may_use(struct context *context, u64 gva)
{
	static struct known itself;
	struct known *known;

	if (is_l1s(gva)) {
		sets_flushed(&itself, sets_now(context, gva).found);
		return &itself;
	}
	for (int i = 0; i < context->nr; i++)
		if (context->known[i].page == gva >> 12)
			return &context->known[i];
	known = new_known(context, gva >> 12);
	add(known, sets_now(context, gva).found);
	return known;
}

void sets_flushed_all(struct context *context)
{
	spec_look_anew();
	for (int i = 0; i < context->nr; i++)
		sets_flushed(&context->known[i], sets_now(context, context->known[i].page << 12).found);
}

/* A vCPU is there.  It may cache any address at any time, so that all count from here. */
static void begin(struct context *context, u64 root)
{
	context->root = root;
	for (int i = 0; i < NR_ADDRESSES; i++)
		add(new_known(context, addresses[i] >> 12), sets_now(context, addresses[i]).found);
}

void sets_begin(int vcpu)
{
	if (!nested)
		begin(&contexts[vcpu], 0);
	for (int i = 0; nested && i < NR(roots); i++)
		begin(&contexts[NR(roots) * vcpu + i], roots[i]);
}

/* The tables */

/* Can a table be written through another gfn, which KVM does not protect? */
static bool has_aliases(void)
{
	for (int i = 0; i < NR(looked_at); i++) {
		const struct map_slot *slot = map_slot_at(0, looked_at[i]);
		u64 hva;
		int behind = 0;

		if (!slot)
			continue;
		hva = map_hva(slot, looked_at[i]);
		for (const struct map_slot *one = map_slots; one < map_slots + MOST_SLOTS; one++)
			behind += one->live && one->base_hva <= hva && hva < one->base_hva + (one->npages << 12);
		if (behind > 1)
			return true;
	}
	return false;
}

/* The memory map changed: tables may be others now, as KVM knows. */
void sets_remapped(void)
{
	for (int i = 0; i < NR(seen); i++)
		seen[i].before = false;
	check_foreign |= has_aliases();
}

static bool is_looked_at(u64 gfn)
{
	for (int i = 0; i < NR(looked_at); i++)
		if (looked_at[i] == gfn)
			return true;
	return false;
}

/* Did any table change?  *behind: one that did otherwise than at `written`. */
static bool look(u64 written, bool *behind)
{
	bool changed = false;

	*behind = false;

	for (int i = 0; i < NR(looked_at); i++) {
		struct seen one = { .before = true };
		long content;

		one.readable = spec_content(looked_at[i], &content);
		one.plain = one.readable ? content_plain(content) : 0;
		if (seen[i].before && seen[i].readable == one.readable && seen[i].plain == one.plain)
			continue;
		changed = true;
		*behind |= seen[i].before && looked_at[i] != written >> 12;
		seen[i] = one;
	}
	return changed;
}

/* After an operation: what the tables say now may be used from now on.  `written`: the gpa of the word
   that the guest may have written by it. */
void sets_settle(u64 written)
{
	bool changed, behind;

	spec_look_anew();
	changed = look(written, &behind);
	check_foreign |= behind;
	if (!changed && !is_looked_at(written >> 12))
		return;
	for (struct context *context = contexts; context < contexts + CONTEXTS; context++)
		for (int i = 0; i < context->nr; i++) {
			struct known *known = &context->known[i];
			struct path path = sets_now(context, known->page << 12);

			add(known, path.found);
			for (int at = 0; at < path.nr; at++)
				known->rewritten |= path.at[at] == written;
		}
}

/* Did any table, but for accessed and dirty bits, since they were looked at last? */
bool sets_tables_changed(void)
{
	bool behind;

	return look(NOT_WRITTEN, &behind);
}

/* Before any vCPU is there. */
void sets_init(void)
{
	nested = is_nested();
	sets_remapped();
	sets_settle(NOT_WRITTEN);
}

/* MOV to CR3; an L1 chooses the root that L2 is entered with. */
void sets_new_root(int vcpu, int number)
{
	if (nested) {
		chosen[vcpu] = number;
		return;
	}
	contexts[vcpu].root = roots[number];
	sets_flushed_all(&contexts[vcpu]);
}
