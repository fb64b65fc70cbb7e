// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests with page tables: which translations an access may use.  Of each address of each vCPU there
 * is a set, what the tables said at some time since the guest flushed it last.
 * difffuzz/oracle/guest_tables.py and engine/guest_watch.py in C.
 */
#include <string.h>

#include "guest.h"
#include "paging.h"

#define NR(of) ((int)(sizeof(of) / sizeof(*(of))))
#define NR_ADDRESSES NR(addresses)
#define CONTEXTS (2 * NATIVE_VCPUS)
#define NOT_WRITTEN (~0UL)
#define PF_PRESENT 1
#define PF_RSVD 8

enum { TOGGLE_WP, TOGGLE_SMEP, TOGGLE_NX };

/* What may be used of an address. */
struct known {
	u64 page;
	translation *set;
	int nr, room;
	bool kept;		/* a #PF since the flush dropped nothing of what KVM had */
	bool rewritten;		/* an entry of it was written since: its bits may be behind what is cached */
};

/* A vCPU; of an L1, a vCPU under one EPT. */
struct context {
	u64 root;
	struct known *known;
	int nr, room;
};

/* A table that is looked at: without accessed and dirty bits. */
struct seen {
	bool before, readable;
	u64 plain;
};

bool check_foreign;
static const u64 addresses[] = GUEST_GVAS, looked_at[] = GUEST_LOOKED_AT, roots[] = GUEST_ROOTS;
static struct context contexts[CONTEXTS];
static int chosen[NATIVE_VCPUS];
static struct registers modes[NATIVE_VCPUS];	/* as the guest set them */
static struct seen seen[NR(looked_at)];
static bool nested, shadowed;

static bool is_l1s(u64 gva)
{
	return nested && gva >= GUEST_DIRECT_BASE;
}

static struct context *context_of(int vcpu)
{
	return &contexts[nested ? 2 * vcpu + chosen[vcpu] : vcpu];
}

/* What the tables say now. */
static struct path now(const struct context *context, u64 gva)
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
		translation *more = hm_alloc(room * sizeof(*more));

		if (known->nr)
			memcpy(more, known->set, known->nr * sizeof(*more));
		known->set = more;
		known->room = room;
	}
	known->set[known->nr++] = found;
}

static void flushed(struct known *known, translation found)
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
static struct known *may_use(struct context *context, u64 gva)
{
	static struct known itself;
	struct known *known;

	if (is_l1s(gva)) {
		flushed(&itself, now(context, gva).found);
		return &itself;
	}
	for (int i = 0; i < context->nr; i++)
		if (context->known[i].page == gva >> 12)
			return &context->known[i];
	known = new_known(context, gva >> 12);
	add(known, now(context, gva).found);
	return known;
}

static void flushed_all(struct context *context)
{
	spec_look_anew();
	for (int i = 0; i < context->nr; i++)
		flushed(&context->known[i], now(context, context->known[i].page << 12).found);
}

/* A vCPU is there.  It may cache any address at any time, so that all count from here. */
static void begin(struct context *context, u64 root)
{
	context->root = root;
	for (int i = 0; i < NR_ADDRESSES; i++)
		add(new_known(context, addresses[i] >> 12), now(context, addresses[i]).found);
}

void check_guest_begin(int vcpu)
{
	modes[vcpu] = (struct registers){ .wp = true, .nx = true };
	if (!nested)
		begin(&contexts[vcpu], 0);
	for (int i = 0; nested && i < NR(roots); i++)
		begin(&contexts[2 * vcpu + i], roots[i]);
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
static void remapped(void)
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

/* Did any table change?  One that did otherwise than at `written` was changed behind the guest's back. */
static bool look(u64 written)
{
	bool changed = false;

	for (int i = 0; i < NR(looked_at); i++) {
		struct seen one = { .before = true };
		long content;

		one.readable = spec_content(looked_at[i], &content);
		one.plain = one.readable ? content_plain(content) : 0;
		if (seen[i].before && seen[i].readable == one.readable && seen[i].plain == one.plain)
			continue;
		changed = true;
		check_foreign |= seen[i].before && looked_at[i] != written >> 12;
		seen[i] = one;
	}
	return changed;
}

/* After an operation: what the tables say now may be used from now on.  `written`: the gpa of the word
   that the guest may have written by it. */
static void settle(u64 written)
{
	spec_look_anew();
	if (!look(written) && !is_looked_at(written >> 12))
		return;
	for (struct context *context = contexts; context < contexts + CONTEXTS; context++)
		for (int i = 0; i < context->nr; i++) {
			struct known *known = &context->known[i];
			struct path path = now(context, known->page << 12);

			add(known, path.found);
			for (int at = 0; at < path.nr; at++)
				known->rewritten |= path.at[at] == written;
		}
}

void check_guest_init(void)
{
	nested = play_config->guest == NATIVE_GUEST_EPT12;
	shadowed = nested || !play_config->tdp_mmu;
	spec_init();
	remapped();
	settle(NOT_WRITTEN);
	for (int vcpu = 0; vcpu < gm_nr_vcpus; vcpu++)
		check_guest_begin(vcpu);
}

/* Accesses */

static bool is_at(u64 gfn, long pfn)
{
	const struct map_slot *slot = map_slot_at(0, gfn);

	return slot && hm_lookup(map_hva(slot, gfn)) >> 12 == (u64)pfn;
}

/* No memory, or none that may be written; tables that cannot be reached count as well. */
static bool is_mmio(u64 gfn, bool write)
{
	return !map_slot_at(0, gfn) || (write && !spec_writable(gfn));
}

/* Accessed bits on the path, the dirty bit of the leaf after a write. */
static void check_bits(const struct context *context, const struct access *made)
{
	struct path path = now(context, made->gva);

	for (int i = 0; i < path.nr; i++) {
		bool writes = i == path.nr - 1 && made->access == GM_WRITE;
		u64 wanted = spec_accessed | (writes ? spec_dirty : 0);

		if (spec_writable(path.at[i] >> 12) && spec_kind(path.found) == FOUND_PAGE &&
		    (path.entries[i] & wanted) != wanted)
			suspect("an entry without its accessed or dirty bit");
	}
}

/* The access used a frame. */
static void check_mapped(struct context *context, const struct registers *mode, const struct access *made,
			 const struct outcome *outcome, const struct known *usable)
{
	bool any = false, nx = false;

	for (int i = 0; i < usable->nr; i++) {
		u64 gfn = spec_gfn(usable->set[i]);
		const struct map_slot *slot;

		if (!spec_permits(usable->set[i], mode, made))
			continue;
		nx |= spec_rights(usable->set[i]).nx;
		if (!is_at(gfn, outcome->pfn))
			continue;
		any = true;
		slot = map_slot_at(0, gfn);
		if (made->access == GM_WRITE &&
		    (slot->flags & SLOT_READONLY || map_tracked_in(slot, gfn, gfn + 1)))
			suspect("wrote what is read-only or tracked");
	}
	if (!mode->nx && nx)
		record_rule(RULE_EFER_NX);
	if (!any)
		suspect("used a frame that its tables did not give");
	if (usable->kept && !spec_permits(now(context, made->gva).found, mode, made))
		record_rule(RULE_FAULT_KEEPS_STALE);
	if (usable->nr == 1 && !usable->rewritten)
		check_bits(context, made);
}

/* KVM made the access: of memory, or of a device. */
static void check_emulated(const struct registers *mode, const struct access *made,
			   const struct outcome *outcome, const struct known *usable)
{
	for (int i = 0; i < usable->nr; i++)
		if (spec_kind(usable->set[i]) == FOUND_HOLE)
			return;
	for (int i = 0; i < usable->nr; i++)
		if (spec_permits(usable->set[i], mode, made) &&
		    (outcome->result == RESULT_OK || is_mmio(spec_gfn(usable->set[i]), made->access == GM_WRITE)))
			return;
	suspect("emulated what its tables did not give");
}

/* The guest took a fault. */
static void check_faulted(struct context *context, const struct registers *mode, const struct access *made,
			  const struct outcome *outcome, struct known *usable)
{
	translation found = now(context, made->gva).found;

	if (spec_kind(found) != FOUND_HOLE && outcome->value != spec_fault_code(found, mode, made))
		suspect("a fault that its tables do not give");
	if ((outcome->value & (PF_PRESENT | PF_RSVD)) == PF_PRESENT)
		flushed(usable, found);
	else
		usable->kept = true;
}

static void check_access(int vcpu, const struct access *made, const struct outcome *outcome)
{
	struct context *context = context_of(vcpu);
	struct known *usable;

	spec_look_anew();
	if (outcome->result == RESULT_OK && outcome->pfn >= 0 && hm_is_free(outcome->pfn))
		suspect("used a frame that the host took back");
	if (check_foreign)
		return;
	usable = may_use(context, made->gva);
	if (outcome->result == RESULT_STUCK)
		suspect("never completes");
	if (outcome->result == RESULT_OK && outcome->pfn >= 0)
		check_mapped(context, &modes[vcpu], made, outcome, usable);
	else if (outcome->result == RESULT_OK || outcome->result == RESULT_MMIO)
		check_emulated(&modes[vcpu], made, outcome, usable);
	else if (outcome->result == RESULT_FAULT)
		check_faulted(context, &modes[vcpu], made, outcome, usable);
}

/* What the instruction does to the vCPU's registers and to what it may have cached. */
static void note_instruction(const struct op *op)
{
	struct registers *mode = &modes[op->thread < NATIVE_VCPUS ? op->thread : 0];
	struct context *context;

	spec_look_anew();
	if (op->kind == OP_VCPU_CREATE) {
		check_guest_begin(gm_nr_vcpus - 1);
		return;
	}
	if (op->thread >= NR_VCPU_THREADS)
		return;
	context = context_of(op->thread);
	switch (op->kind) {
	case OP_CR3:
		if (nested) {
			chosen[op->thread] = op->cr3.root;
			return;
		}
		context->root = roots[op->cr3.root];
		flushed_all(context);
		break;
	case OP_INVLPG:
		if (nested)
			flushed_all(context);
		else
			flushed(may_use(context, addresses[op->invlpg.gva]),
				now(context, addresses[op->invlpg.gva]).found);
		break;
	case OP_TOGGLE:
		if (nested)
			return;
		if (op->toggle.what == TOGGLE_WP)
			mode->wp = !mode->wp;
		else if (op->toggle.what == TOGGLE_NX)
			mode->nx = !mode->nx;
		else if ((mode->smep = !mode->smep))
			flushed_all(context);
	}
}

/* The gpa of the word that the guest wrote, as its tables have it. */
static u64 written_by(int vcpu, const struct access *made, const struct outcome *outcome)
{
	if (made->access != GM_WRITE || outcome->result != RESULT_OK)
		return NOT_WRITTEN;
	return spec_gfn(now(context_of(vcpu), made->gva).found) << 12 | (made->gva & 0xFF8);
}

/* The memory map is already what the operation made it. */
void check_guest_after(const struct op *op, const struct outcome *outcome)
{
	bool runs = op->thread < NR_VCPU_THREADS;
	u64 written = NOT_WRITTEN;
	struct access made;

	if (native_control->nr_splats)
		suspect("WARN()");
	if (runs && guest_access_of(op, 0, &made)) {
		if (outcome->result != RESULT_NOTHING)
			check_access(op->thread, &made, outcome);
		written = written_by(op->thread, &made, outcome);
	}
	if (op->kind >= OP_MEMSLOT_CREATE && op->kind <= OP_MEMSLOT_FLAGS)
		remapped();
	settle(written);
	if (outcome->result != RESULT_NOTHING) {
		note_instruction(op);
		check_foreign |= op->kind == OP_DMA;
	}
	check_rest(op);
	if (shadowed && !check_foreign)
		check_shadow();
}

/* Is there one thing only that the access may do, as far as the tables say? */
bool check_guest_comparable(const struct op *op, const struct outcome *outcome)
{
	struct access made;
	struct known *usable;

	if (check_foreign || op->thread >= NR_VCPU_THREADS || !guest_access_of(op, 0, &made) ||
	    outcome->result == RESULT_ERROR || outcome->result == RESULT_SIGBUS || outcome->result == RESULT_NOTHING)
		return false;
	spec_look_anew();
	usable = may_use(context_of(op->thread), made.gva);
	if (spec_rights(usable->set[0]).nx && !modes[op->thread].nx)
		return false;
	return usable->nr == 1 && spec_kind(usable->set[0]) != FOUND_HOLE;
}
