// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guests with page tables of their own: what their instructions do.  A #PF ends the operation: it is
 * its result.  difffuzz/sides/paging_guest.py in C.
 */
#include "guest.h"
#include "interleave.h"
#include "paging.h"

#define CR0_PE (1L << 0)
#define CR0_WP (1L << 16)
#define CR0_PG (1L << 31)
#define CR4_PAE (1L << 5)
#define CR4_SMEP (1L << 20)
#define EFER_LME (1L << 8)
#define EFER_LMA (1L << 10)
#define EFER_NX (1L << 11)

const u64 guest_gvas[] = GUEST_GVAS;
const u64 guest_tables[] = GUEST_TABLES;
const u64 guest_roots[] = GUEST_ROOTS;
const u64 guest_entries[] = GUEST_ENTRIES;
struct registers guest_registers[NATIVE_VCPUS];

void guest_init(void)
{
	spec_init();
	content_init(spec_accessed | spec_dirty);
	for (int i = 0; i < NATIVE_VCPUS; i++)
		guest_registers[i] = (struct registers){ 0, .wp = true, .nx = true };
}

/* The access that an operation makes; false if it makes none.  `number`: what data is. */
bool guest_access_of(const struct op *op, long number, struct access *made)
{
	*made = (struct access){ .word = number };
	switch (op->kind) {
	case OP_GVA_READ:
	case OP_GVA_WRITE:
	case OP_GVA_EXEC:
		made->gva = guest_gvas[op->gva_read.gva];
		made->access = op->kind - OP_GVA_READ;
		made->user = op->gva_read.by;
		return true;
	case OP_READ:
	case OP_WRITE:
	case OP_EXEC:
		made->gva = GUEST_DIRECT_BASE + ((u64)op->guest.gfn << 12);
		made->access = op->kind;
		return true;
	case OP_PTE:
		made->gva = GUEST_DIRECT_BASE + guest_entries[op->pte.entry];
		made->access = GM_WRITE;
		made->word = entry_value(op->pte.to, op->pte.flags);
		made->slowly = op->pte.how;
		return true;
	}
	return false;
}

/* The guest gets to the instruction: requests are served and a root is loaded. */
bool guest_enter_once(int vcpu)
{
	long r;

	hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
	r = access_enter(vcpu);
	if (!r)
		access_leave(vcpu);
	hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
	return !r;
}

/* MOV to CR0 or CR4, WRMSR of EFER */
void guest_toggle(int vcpu, long what)
{
	struct registers *registers = &guest_registers[vcpu];

	switch (what) {
	case TOGGLE_WP:
		registers->wp = !registers->wp;
		hm_kvm(FN_SET_CR, vcpu, NATIVE_CR0, CR0_PG | CR0_PE | (registers->wp ? CR0_WP : 0), 0, 0, 0);
		break;
	case TOGGLE_SMEP:
		registers->smep = !registers->smep;
		hm_kvm(FN_SET_CR, vcpu, NATIVE_CR4, CR4_PAE | (registers->smep ? CR4_SMEP : 0), 0, 0, 0);
		gva_set_smep(vcpu, registers->smep);
		break;
	default:
		registers->nx = !registers->nx;
		hm_kvm(FN_SET_CR, vcpu, NATIVE_EFER, EFER_LMA | EFER_LME | (registers->nx ? EFER_NX : 0), 0, 0, 0);
	}
}

/* Accesses */

static struct walked translate(int vcpu, const struct access *made)
{
	struct native_vcpu numbers;

	if (is_nested())
		return nested_translate(vcpu, made);
	native_vcpu_numbers(vcpu, &numbers);
	if (play_config->tdp)
		return walk_both(vcpu, numbers.root_hpa, numbers.root_level, &guest_registers[vcpu], made);
	return (struct walked){ gva_translate(vcpu, numbers.root_hpa, made), NO_FAULT, made->gva };
}

/* That of the fault that made the CPU exit. */
static long error_code(int vcpu)
{
	if (is_nested())
		return nested_error_code(vcpu);
	return play_config->tdp ? gm_vcpus[vcpu].error_code : gva_error_code(vcpu);
}

/* The fault that KVM hands to the guest; NO_FAULT for none. */
static long take_fault(int vcpu)
{
	return is_nested() ? nested_take_fault(vcpu) : hm_kvm(FN_TAKE_PAGE_FAULT, vcpu, 0, 0, 0, 0, 0);
}

static void end(struct outcome *outcome, enum result result, long value)
{
	outcome->result = result;
	outcome->value = value;
}

/* The instruction reads or writes the frame. */
static void touch(u64 pfn, const struct access *made, struct outcome *outcome)
{
	int index = made->gva >> 3 & 511;

	end(outcome, RESULT_OK, made->word);
	outcome->pfn = pfn;
	if (hm_is_free(pfn))
		outcome->value = FREED_DATA;
	else if (made->access == GM_WRITE)
		store_word(pfn, index, made->word);
	else
		outcome->value = content_word(hm_data(pfn), index);
}

/* The emulator makes the access; true if KVM lets the CPU try again instead, once. */
static bool emulate(int vcpu, struct access *made, struct outcome *outcome)
{
	u64 word = made->word;
	long r;

	if (made->slowly && !play_config->tdp) {
		made->slowly = false;
		if (hm_kvm(FN_UNPROTECT, vcpu, made->gva, 0, 0, 0, 0))
			return true;
	}
	r = hm_kvm(FN_EMULATE, vcpu, made->gva, made->access, (long)&word, 0, 0);
	if (r == NATIVE_EMULATED_FAULT)
		end(outcome, RESULT_FAULT, take_fault(vcpu));
	else if (r < 0)
		end(outcome, RESULT_ERROR, r);
	else if (r == NATIVE_EMULATED_MMIO)
		outcome->result = RESULT_MMIO;
	else
		end(outcome, RESULT_OK, word);
	return false;
}

/* KVM handles the fault; false: the operation is over. */
static bool handle_exit(int vcpu, struct access *made, const struct walked *walked, struct outcome *outcome)
{
	long r = access_page_fault(vcpu, walked->gpa, error_code(vcpu), false, outcome);
	long fault = take_fault(vcpu);

	if (fault != NO_FAULT) {
		end(outcome, RESULT_FAULT, fault);
	} else if (r < 0) {
		end(outcome, RESULT_ERROR, r);
	} else if (gm_vcpus[vcpu].sigbus) {
		gm_vcpus[vcpu].sigbus = false;
		outcome->result = RESULT_SIGBUS;
	} else if (r != RET_PF_EMULATE) {
		if (r == RET_PF_RETRY)
			inter_relax();
		return true;
	} else {
		/* Be it for a table of the guest's, where the emulator walks these by itself. */
		return emulate(vcpu, made, outcome);
	}
	return false;
}

/* One round of KVM_RUN; false: the access is done, or the guest takes a fault. */
static bool run_once(int vcpu, struct access *made, struct patience *patience, struct outcome *outcome)
{
	struct walked walked;
	long r = access_enter(vcpu);

	if (r) {
		end(outcome, RESULT_ERROR, r);
		return false;
	}
	walked = translate(vcpu, made);
	if (walked.pfn >= 0) {
		hm_point();
		if (made->access == GM_WRITE)
			inter_drain();
		touch(walked.pfn, made, outcome);
	}
	access_leave(vcpu);
	if (walked.pfn >= 0)
		return false;
	if (walked.fault != NO_FAULT) {
		end(outcome, RESULT_FAULT, walked.fault);
		return false;
	}
	if (!access_is_patient(patience, outcome)) {
		outcome->result = RESULT_STUCK;
		return false;
	}
	return handle_exit(vcpu, made, &walked, outcome);
}

void guest_access(int vcpu, struct access *made, struct outcome *outcome)
{
	struct patience patience = { GUEST_ATTEMPTS, inter_switches(), GUEST_ATTEMPTS };

	hm_kvm(FN_SET_CPL, vcpu, made->user ? 3 : 0, 0, 0, 0, 0);
	hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
	while (run_once(vcpu, made, &patience, outcome))
		;
	hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
}

/* One instruction of a vCPU. */
struct outcome guest_run(const struct op *op, long number)
{
	struct outcome outcome = outcome_of(RESULT_DONE, 0);
	struct access made;
	int vcpu = op->thread;

	if (guest_access_of(op, number, &made)) {
		guest_access(vcpu, &made, &outcome);
		return outcome;
	}
	if (!guest_enter_once(vcpu) && op->kind == OP_INVLPG)
		return outcome_of(RESULT_NOTHING, 0);
	/* Who cannot enter the guest, for its root is no memory, can set its registers. */
	hm_kvm(FN_VCPU_SRCU_LOCK, vcpu, 0, 0, 0, 0, 0);
	if (op->kind == OP_INVLPG) {
		if (!play_config->tdp)
			hm_kvm(FN_INVLPG, vcpu, guest_gvas[op->invlpg.gva], 0, 0, 0, 0);
	} else if (op->kind == OP_CR3) {
		guest_registers[vcpu].root = guest_roots[op->cr3.root];
		hm_kvm(FN_SET_CR, vcpu, NATIVE_CR3, guest_registers[vcpu].root << 12, 0, 0, 0);
	} else {
		guest_toggle(vcpu, op->toggle.what);
	}
	hm_kvm(FN_VCPU_SRCU_UNLOCK, vcpu, 0, 0, 0, 0, 0);
	return outcome;
}

/* A device writes an entry of the guest's tables; nothing where no memory is. */
struct outcome guest_dma(const struct op *op)
{
	u64 gpa = guest_entries[op->dma.entry], word = entry_value(op->dma.to, op->dma.flags);
	struct native_slot slot;

	for (int number = 0; number < MOST_SLOTS / NR_AS; number++) {
		if (!native_memslot(0, number, &slot) || gpa >> 12 < (u64)slot.base_gfn ||
		    gpa >> 12 >= (u64)(slot.base_gfn + slot.npages))
			continue;
		if (user_store(slot.userspace_addr + gpa - ((u64)slot.base_gfn << 12), word))
			return outcome_of(RESULT_DONE, 0);
		break;
	}
	return outcome_of(RESULT_NOTHING, 0);
}
