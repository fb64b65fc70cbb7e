/* SPDX-License-Identifier: GPL-2.0-only */
/* A program that is played from begin to end in C; difffuzz/native/abi describes what Python sees. */
#ifndef NATIVE_PLAY_H
#define NATIVE_PLAY_H

#include "machine.h"

#define MOST_RETS 64

/* difffuzz/sides/base.py: what one operation did. */
struct outcome {
	enum result result;
	long value;
	long pfn;		/* that the access used, -1 if none */
	long rets[MOST_RETS];
	int nr_rets, dropped_rets;
	long fast;
	bool parked;
	long parked_ret;
	int parked_rets;
	int access;
	long fault_gfn;
	u64 *bitmap;		/* of a dirty log */
	long bitmap_words;
};

extern const struct config *play_config;
extern long native_answer(enum native_request what, unsigned long a, unsigned long b, unsigned long c);
extern void play(const struct config *config);
extern void play_at_once(const struct op *ops);		/* concurrent.c */
extern void play_end(const struct config *config, long number);

static inline struct outcome outcome_of(enum result result, long value)
{
	return (struct outcome){ .result = result, .value = value, .pfn = -1, .parked_ret = -1, .fault_gfn = -1 };
}

/* access.c: what the guest does to its memory */
extern void access_init(void);
extern void access_run(int vcpu, u64 gfn, int access, long number, int attempts, struct outcome *outcome);
extern struct outcome access_begin_fault(int vcpu, u64 gfn, int access);
extern struct outcome access_finish_fault(int vcpu, long number);
extern bool access_has_fault(int vcpu);
extern void access_finish_faults(long number);
/* How often an access may fault, and when others ran last. */
struct patience {
	int attempts;
	long switches;
	int anew;	/* how many more there are when others ran */
};

extern bool access_is_patient(struct patience *patience, const struct outcome *outcome);
extern long access_enter(int vcpu);
extern void access_leave(int vcpu);
extern long access_page_fault(int vcpu, u64 gpa, long error_code, bool park, struct outcome *outcome);

/* run.c: one operation */
extern struct outcome run_op(const struct op *op, long number);
extern struct outcome run_plain_op(const struct op *op, long number);
extern struct outcome run_op_among_others(const struct op *op, long number);
extern void run_parks(void);
extern long run_set_slot(int as_id, int slot, u64 gfn, u64 npages, u64 hva, long flags);

/* ioctls.c */
extern struct outcome run_ioctl(const struct op *op);

/* record.c: what Python reads afterwards */
extern void record_map(void);
extern void record_begin(void);
extern void record_outcome(long index, const struct op *op, const struct outcome *outcome);
extern void record_feature(unsigned long feature);
enum rule { RULE_EFER_NX, RULE_FAULT_KEEPS_STALE, RULE_NPT_FETCH, NR_RULES };
extern void record_rule(enum rule rule);
extern void record_guest_begins(bool foreign);
extern void record_guest(bool comparable, bool foreign);
extern void record_end(long steps, long operations);
extern void record_schedule(void);
extern void record_nothing_compared(void);
extern void record_probe(enum result result);
extern void record_leaf(int as_id, u64 gfn, u64 spte, int level);

/* map.c: what the guest's memory should be */
struct map_slot {
	bool live;
	int slot, as_id;
	u64 gfn, npages, end, base_hva;
	long flags;
};

extern struct map_slot map_slots[MOST_SLOTS];
extern int map_smm[NR_VCPU_THREADS];
extern bool map_nx;

extern void map_init(const struct config *config, const struct slot_spec *slots);
extern void map_apply(const struct op *op);
extern struct map_slot *map_slot(int as_id, int slot);
extern struct map_slot *map_slot_at(int as_id, u64 gfn);
extern u64 map_hva(const struct map_slot *slot, u64 gfn);
extern bool map_tracked_in(const struct map_slot *slot, u64 start, u64 end);
extern bool map_tracked(int as_id, u64 gfn);

/* tables.c: KVM's page tables as they are after an operation */
struct table {
	bool live;
	bool tdp, has_parent, guest_mode, direct;
	int level, as_id;
	u64 gfn;
};

struct mapping {
	u64 gfn, spte;
	int level;
};

extern struct table *tables;
extern long nr_tables;
extern void tables_map(void);
extern void tables_init(void);
extern long tables_changes(struct native_change **out, bool thorough);
extern int tables_next(const unsigned long *raw, int index);
extern long tables_leaves_in(int as_id, u64 start, u64 end, struct mapping **out);
extern bool tables_is_leaf(const struct table *table, u64 spte);
extern const unsigned long *tables_raw(long number);	/* entries, as they are in memory */
extern u64 tables_entry(long number, int index);

extern void splits_map(void);
extern void splits_init(void);
extern void splits_note(const struct native_change *changes, long nr);
extern bool splits_has(long table);

static inline u64 spte_pfn(u64 spte)
{
	return (spte & SPTE_BASE_ADDR_MASK) >> 12;
}

static inline u64 level_pages(int level)
{
	return 1UL << 9 * (level - 1);
}

/* check.c and its like: what the oracles of lockstep would look at; each ends a suspicious program */
extern void suspect(const char *why) __attribute__((noreturn));
extern struct native_vm check_vm;	/* KVM's numbers after the last operation */
extern void check_init(void);
extern void check_before(const struct op *op);
extern void check_after(const struct op *op, const struct outcome *outcome, int as_id);
extern void check_end(void);
extern void check_released(void);
extern void check_destroyed(void);
extern int check_updates;	/* memslot updates and the like that are going on */
extern void check_touch(int as_id, u64 gfn, u64 pfn, int access, long number);
extern void check_rest(const struct op *op);

/* check_leaf.c */
extern void leaf_init(void);
extern void leaf_check(int as_id, u64 gfn, u64 spte, int level, bool made);
extern int leaf_max_level(const struct map_slot *slot, u64 gfn);
extern void leaf_check_gfns(int as_id, u64 start, u64 end);
extern void leaf_check_all(void);

/* check_access.c */
extern void access_check(int as_id, u64 gfn, int access, const struct outcome *outcome, long own);

/* check_history.c */
extern void history_before(const struct op *op);
extern void history_after(const struct op *op, const struct outcome *outcome, bool disturbed);

/* check_contents.c */
extern void contents_init(void);
extern void contents_wrote(u64 hva, long value);
extern void contents_unknown(u64 start, u64 end);
extern void contents_forget(void);
extern void contents_host(const struct op *op);
extern void contents_read(u64 hva, long value);
extern void contents_settled(void);

/* check_emptied.c */
extern void emptied_before(const struct op *op);
extern void emptied_after(const struct op *op, const struct outcome *outcome);

/* check_sizes.c */
extern void sizes_before(const struct op *op);
extern void sizes_after(const struct op *op, const struct outcome *outcome);

/* check_dirty.c */
extern void dirty_note(const struct map_slot *slot, u64 gfn, bool write);
extern void dirty_forget(int as_id, int slot);
extern void dirty_clear(int as_id, int slot, u64 first, u64 n);
extern void dirty_check(const struct map_slot *slot, const struct outcome *outcome);

/* check_books.c */
extern void books_check(void);
extern void books_check_leaks(void);

/* user/memory.c */
extern long native_changes_of(struct native_change *out, long max, int thorough);
extern int native_page_is_live(unsigned long number);
extern int native_poison_is_whole(void);

#endif
