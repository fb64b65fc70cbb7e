// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is wrong with an operation of a guest with page tables: an access uses a translation of its set
 * (translations.c), a fault is what the tables say now.  difffuzz/oracle/guest_tables.py and
 * engine/judged_guest_side.py in C.
 */
#include "guest.h"
#include "paging.h"

#define PF_PRESENT 1
#define PF_RSVD 8

static struct registers modes[NATIVE_VCPUS];	/* as the guest set them */
static bool shadowed;

static void begin(int vcpu)
{
	modes[vcpu] = (struct registers){ .wp = true, .nx = true };
	sets_begin(vcpu);
}

void check_guest_init(void)
{
	shadowed = is_nested() || !play_config->tdp_mmu;
	sets_init();
	for (int vcpu = 0; vcpu < gm_nr_vcpus; vcpu++)
		begin(vcpu);
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
	struct path path = sets_now(context, made->gva);

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
	if (usable->kept && !spec_permits(sets_now(context, made->gva).found, mode, made))
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
	translation found = sets_now(context, made->gva).found;

	if (spec_kind(found) != FOUND_HOLE && !spec_is_told(outcome->value, spec_fault_code(found, mode, made), mode))
		suspect("a fault that its tables do not give");
	if (!spec_faults_flush())
		return;
	if ((outcome->value & (PF_PRESENT | PF_RSVD)) == PF_PRESENT)
		sets_flushed(usable, found);
	else
		usable->kept = true;
}

static void check_access(int vcpu, const struct access *made, const struct outcome *outcome)
{
	struct context *context = sets_context(vcpu);
	struct known *usable;

	spec_look_anew();
	if (outcome->result == RESULT_OK && outcome->pfn >= 0 && hm_is_free(outcome->pfn))
		suspect("used a frame that the host took back");
	if (check_foreign)
		return;
	usable = sets_may_use(context, made->gva);
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
		begin(gm_nr_vcpus - 1);
		return;
	}
	if (op->thread >= NR_VCPU_THREADS)
		return;
	context = sets_context(op->thread);
	switch (op->kind) {
	case OP_CR3:
		sets_new_root(op->thread, op->cr3.root);
		break;
	case OP_INVLPG:
		if (is_nested())
			sets_flushed_all(context);
		else
			sets_flushed(sets_may_use(context, guest_gvas[op->invlpg.gva]),
				     sets_now(context, guest_gvas[op->invlpg.gva]).found);
		break;
	case OP_TOGGLE:
		if (op->toggle.what == TOGGLE_WP)
			mode->wp = !mode->wp;
		else if (op->toggle.what == TOGGLE_NX)
			mode->nx = !mode->nx;
		else if ((mode->smep = !mode->smep) && !is_nested())
			sets_flushed_all(context);
	}
}

/* The gpa of the word that the guest wrote, as its tables have it. */
static u64 written_by(int vcpu, const struct access *made, const struct outcome *outcome)
{
	if (made->access != GM_WRITE || outcome->result != RESULT_OK)
		return NOT_WRITTEN;
	return spec_gfn(sets_now(sets_context(vcpu), made->gva).found) << 12 | (made->gva & 0xFF8);
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
		sets_remapped();
	sets_settle(written);
	if (outcome->result != RESULT_NOTHING) {
		note_instruction(op);
		check_foreign |= op->kind == OP_DMA;
	}
	check_rest(op);
	if (shadowed && !check_foreign)
		check_shadow();
}

/* Threads at once: what can be told after an operation, and what only where all meet */

static bool host_wrote;	/* operations of the host were among those of the phase */

void check_guest_at_once(const struct op *op, const struct outcome *outcome)
{
	if (outcome->result == RESULT_OK && outcome->pfn >= 0 && outcome->value == FREED_DATA)
		suspect("used a frame that the host took back");
	if (outcome->result == RESULT_STUCK)
		suspect("never completes");
	if (op->kind >= OP_MEMSLOT_CREATE && op->kind <= OP_MEMSLOT_FLAGS)
		sets_remapped();
	check_foreign |= op->kind == OP_DMA && outcome->result != RESULT_NOTHING;
	host_wrote |= op->thread >= FIRST_HOST_THREAD && op->thread <= LAST_HOST_THREAD;
}

/* Nothing is going on.  What the host wrote to tables of the guest's KVM need not know. */
void check_guest_settled(void)
{
	spec_look_anew();
	check_foreign |= sets_tables_changed() && host_wrote;
	host_wrote = false;
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
	usable = sets_may_use(sets_context(op->thread), made.gva);
	if (!is_nested() && spec_rights(usable->set[0]).nx && !modes[op->thread].nx)
		return false;
	return usable->nr == 1 && spec_kind(usable->set[0]) != FOUND_HOLE;
}
