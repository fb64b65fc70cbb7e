/* SPDX-License-Identifier: GPL-2.0-only */
/* Guests with page tables of their own, in C: their memory, their CPUs, what they do, what is checked. */
#ifndef NATIVE_PAGING_H
#define NATIVE_PAGING_H

#include "play.h"

#define NO_FAULT (-1)
#define MOST_LEVELS 4

/* content.c: a page's number names its 512 words */
struct content_word {
	int index;
	u64 word;
};

extern void content_init(u64 ignored);
extern u64 content_word(long content, int index);
extern long content_number(const struct content_word *words, int nr);
extern long content_with_word(long content, int index, u64 word);
extern u64 content_plain(long content);

/* user_access.c: words by hva; false for a fault */
extern bool user_load(u64 hva, bool atomic, u64 *word);
extern bool user_store(u64 hva, u64 word);
extern bool user_cmpxchg(u64 hva, u64 old, u64 new, u64 *found);
extern void store_word(u64 pfn, int index, u64 word);

/* An L1 that runs an L2, under an EPT or an NPT of its own. */
static inline bool is_ept12(void)
{
	return play_config->guest == NATIVE_GUEST_EPT12;
}

static inline bool is_nested(void)
{
	return is_ept12() || play_config->guest == NATIVE_GUEST_NPT12;
}

/* What of a vCPU's registers its page walks depend on.  `root`: gfn in CR3. */
struct registers {
	u64 root;
	bool wp, smep, nx;
};

/* What all entries of a walk give. */
struct rights {
	bool user, writable, nx;
};

/* An access of an instruction.  `word` is what a write writes, `slowly` how. */
struct access {
	u64 gva, word;
	int access;
	bool user, slowly;
};

/* How a walk ended: pfn >= 0; or the error code of a #PF; or neither, an exit to KVM for `gpa`. */
struct walked {
	long pfn, fault;
	u64 gpa;
};

/* gva.c: a CPU without nested paging */
extern void gva_set_smep(int vcpu, bool on);
extern void gva_flush_all(int vcpu);
extern void gva_flush(int vcpu, u64 gva);
extern long gva_translate(int vcpu, u64 root, const struct access *made);
extern long gva_error_code(int vcpu);
extern bool x86_is_reserved(u64 entry, int level);

/* two_dimensional.c: one with */
extern struct walked walk_both(int vcpu, u64 root, int root_level, const struct registers *registers,
			       const struct access *made);

/* guest_memory.c */
extern u64 entry_value(long target, long flags);
extern void guest_load(void);

/* paging_guest.c: what instructions do */
extern const u64 guest_gvas[], guest_tables[], guest_roots[], guest_entries[];
extern struct registers guest_registers[NATIVE_VCPUS];
extern void guest_init(void);
extern bool guest_access_of(const struct op *op, long number, struct access *made);
extern struct outcome guest_run(const struct op *op, long number);
extern struct outcome guest_dma(const struct op *op);
extern bool guest_enter_once(int vcpu);
extern void guest_toggle(int vcpu, long what);
enum { TOGGLE_WP, TOGGLE_SMEP, TOGGLE_NX };
extern void guest_access(int vcpu, struct access *made, struct outcome *outcome);

/* nested_guest.c: L1 and L2 */
extern struct outcome nested_run(const struct op *op, long number);
extern struct walked nested_translate(int vcpu, const struct access *made);
extern long nested_error_code(int vcpu);
extern long nested_take_fault(int vcpu);

/* guest_side.c */
extern bool guest_leaves_out(const struct op *op);
extern struct outcome guest_op(const struct op *op, long number);

/* play_guest.c */
extern void play_guest(const struct op *ops);
extern void guest_begin(void);
extern void guest_step_at_once(const struct op *op, long index);

/* guest_walk.c: the specification's walk */
enum found { FOUND_PAGE, FOUND_ABSENT, FOUND_RESERVED, FOUND_HOLE };

/* What the tables say of an address, accessed and dirty bits aside: all of it in a word, 0 is none. */
typedef u64 translation;

struct path {
	translation found;
	int nr;
	u64 at[MOST_LEVELS], entries[MOST_LEVELS];	/* the entries that were used, by gpa, from the root down */
};

extern void spec_init(void);
extern void spec_look_anew(void);	/* what was read of guest memory may have changed */
extern bool spec_content(u64 gfn, long *content);
extern bool spec_writable(u64 gfn);
extern struct path spec_walk(u64 root, u64 gva);
extern translation spec_itself(u64 gfn);
extern bool spec_permits(translation found, const struct registers *modes, const struct access *made);
extern bool spec_is_told(long value, long expected, const struct registers *modes);
extern bool spec_faults_flush(void);
extern long spec_fault_code(translation found, const struct registers *modes, const struct access *made);
extern u64 spec_accessed, spec_dirty, spec_present, spec_writable_bit;
extern bool spec_exempts;	/* without CR0.WP the kernel writes what is not writable */

static inline enum found spec_kind(translation found)
{
	return found & 3;
}

static inline u64 spec_gfn(translation found)
{
	return found >> 8;
}

static inline struct rights spec_rights(translation found)
{
	return (struct rights){ found >> 3 & 1, found >> 4 & 1, found >> 5 & 1 };
}

static inline translation spec_translation(enum found kind, u64 gfn, struct rights rights)
{
	return gfn << 8 | rights.nx << 5 | rights.writable << 4 | rights.user << 3 | 4 | kind;
}

/* translations.c: which translations an access may use */
#define NOT_WRITTEN (~0UL)

/* What may be used of an address. */
struct known {
	u64 page;
	translation *set;
	int nr, room;
	bool kept;		/* a #PF since the flush dropped nothing of what KVM had */
	bool rewritten;		/* an entry of it was written since: its bits may be behind what is cached */
};

/* A vCPU; of an L1, a vCPU under one of its roots. */
struct context {
	u64 root;
	struct known *known;
	int nr, room;
};

extern bool check_foreign;	/* somebody else than the guest changed its tables */
extern void sets_init(void);
extern void sets_begin(int vcpu);
extern struct context *sets_context(int vcpu);
extern struct path sets_now(const struct context *context, u64 gva);
extern struct known *sets_may_use(struct context *context, u64 gva);
extern void sets_flushed(struct known *known, translation found);
extern void sets_flushed_all(struct context *context);
extern void sets_new_root(int vcpu, int number);
extern void sets_remapped(void);
extern void sets_settle(u64 written);
extern bool sets_tables_changed(void);

/* check_guest.c */
extern void check_guest_init(void);
extern void check_guest_after(const struct op *op, const struct outcome *outcome);
extern void check_guest_at_once(const struct op *op, const struct outcome *outcome);
extern void check_guest_settled(void);
extern bool check_guest_comparable(const struct op *op, const struct outcome *outcome);

/* check_shadow.c */
extern void check_shadow(void);

#endif
