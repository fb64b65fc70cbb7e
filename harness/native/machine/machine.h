/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The machine below KVM in C: what difffuzz/machine is in Python, page by page and call by call.
 *
 * A program that is played here (play.c) makes the same calls of KVM, in the same order and with the
 * same addresses and pfns, as one whose host is Python; tests/native/test_fast.py compares them.
 * Addresses are hva bytes, ranges [start, end) inside one area.  hm_ is the host's memory.
 */
#ifndef NATIVE_MACHINE_H
#define NATIVE_MACHINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../bridge.h"
#include "native_machine.h"

typedef uint64_t u64;

#define HM_AREA_BASE(area) (((area) + 1UL) << 40)
#define PAGE_BYTES 4096UL
#define PMD_BYTES (1UL << 21)
#define PUD_BYTES (1UL << 30)

/* arena.c: zeroed memory until the next reset */
extern void *hm_alloc(unsigned long bytes);
extern void *hm_alloc_list(unsigned long bytes);

/* Ends the program: only the slow engine can judge it. */
extern void hm_give_up(const char *why) __attribute__((noreturn));

/* frames.c */
struct hm_frame {
	int maps;		/* of a page of a run: how many more than the run */
	int pins;
	int child;		/* how often the child of the last fork maps it */
	bool poisoned;
	bool dirty, accessed, lazyfree;	/* of a folio: at its head */
	long data;
};

struct hm_run {
	u64 head;
	unsigned long size;
	long maps, extra_total, pins;
	int child;
	bool live, split;
	u64 moved[16];		/* where its first page would be, seen from what mremap moved, ascending */
	int nr_moved;
	struct hm_frame **chunks;	/* 512 pages each, NULL: nothing to say of them */
};

extern void hm_init_frames(void);
extern u64 hm_frame_alloc(unsigned long pages);
extern u64 hm_device_alloc(unsigned long pages);
extern u64 hm_tails_alloc(unsigned long pages);
extern void hm_device_retire(u64 pfn, unsigned long pages);
extern struct hm_run *hm_run(u64 pfn);
extern bool hm_whole_run(u64 pfn);	/* is it part of a huge page that is not split? */
extern struct hm_frame *hm_frame(u64 pfn);
extern bool hm_reserved(u64 pfn);
extern u64 hm_folio(u64 pfn);
extern bool hm_dirty(u64 pfn);
extern bool hm_lazyfree(u64 pfn);
extern void hm_clear_dirty(u64 pfn);
extern void hm_set_lazyfree(u64 pfn, bool lazyfree);
extern void hm_mark_dirty(u64 pfn);
extern void hm_mark_accessed(u64 pfn);
extern bool hm_accessed(u64 pfn);
extern void hm_clear_accessed(u64 pfn);
extern void hm_split_run(struct hm_run *run);
extern void hm_copy_flags(u64 old, u64 new);
extern long hm_mapcount(u64 pfn);
extern long hm_pins(u64 pfn);
extern long hm_page_count(u64 pfn);
extern long hm_folio_count(u64 pfn, int level);
extern long hm_folio_pins(u64 pfn);
extern bool hm_is_free(u64 pfn);
extern void hm_get(u64 pfn);
extern void hm_put(u64 pfn);
extern void hm_map_page(u64 pfn);
extern void hm_unmap_page(u64 pfn);
extern void hm_map_run(u64 head);
extern void hm_unmap_run(u64 head);
extern long hm_data(u64 pfn);
extern void hm_set_data(u64 pfn, long value);
extern void hm_copy_run(u64 head, u64 new);
extern bool hm_poisoned(u64 pfn);
extern void hm_poison(u64 pfn);
extern bool hm_frames_leaked(void);

/* vma.c */
struct hm_vma {
	u64 start, end;
	long flags;
	int level;
	bool anon_vma;
	long pfn_delta;
};

struct hm_vmas {
	struct hm_vma *at[256];
	int nr;
};

extern struct hm_vmas hm_vmas;
extern struct hm_vma *hm_vma_find(u64 addr);
extern int hm_vma_overlapping(u64 start, u64 end, struct hm_vma **out);
extern void hm_vma_insert(struct hm_vma *vma);
extern void hm_vma_remove(struct hm_vma *vma);
extern struct hm_vma *hm_vma_split(struct hm_vma *vma, u64 addr);
extern void hm_vma_merge(u64 start, u64 end);
extern void hm_vma_merge_all(struct hm_vma **changed, int nr);
extern bool hm_vma_anonymous(const struct hm_vma *vma);
extern bool hm_vma_is_shmem(const struct hm_vma *vma);
extern bool hm_vma_contains(const struct hm_vma *vma, u64 start, u64 end);
extern bool hm_vma_fits_huge(const struct hm_vma *vma, u64 addr);
extern bool hm_vma_thp_allowed(const struct hm_vma *vma, u64 addr);
#define MOST_VMAS 256

/* pagetable.c */
struct hm_table {
	u64 pte[512];
};

struct hm_leaf {
	u64 pte;
	int level;
};

struct hm_at {
	u64 addr;
	int level;
};

/* Entries of a range; points into memory that lives until the next reset. */
struct hm_list {
	struct hm_at *at;
	long nr;
};

extern void hm_init_page_table(void);
extern bool hm_valid(u64 addr);
extern struct hm_table *hm_table(u64 addr);
extern struct hm_table *hm_make_table(u64 addr);
extern void hm_set_table(u64 addr, struct hm_table *table);
extern u64 hm_huge(u64 addr);
extern void hm_set_huge(u64 addr, u64 pte);
extern u64 hm_gig(u64 addr);
extern void hm_set_gig(u64 addr, u64 pte);
extern bool hm_has_pmd_page(u64 addr);
extern void hm_drop_pmd_page(u64 addr);
extern u64 hm_pte(u64 addr);		/* of the table of 4K entries, 0 if there is none */
extern struct hm_leaf hm_leaf(u64 addr);
extern u64 hm_page(u64 addr);
extern void hm_put_leaf(u64 addr, int level, u64 pte);
extern struct hm_list hm_mapped(u64 start, u64 end);
extern bool hm_populated(u64 addr);
extern u64 hm_next_populated(u64 start, u64 end);
extern u64 hm_lookup(u64 addr);
extern int hm_mapping_level(u64 addr);
extern void hm_clear_tables(void);

static inline u64 hm_size(int level)
{
	return level == 1 ? PAGE_BYTES : level == 2 ? PMD_BYTES : PUD_BYTES;
}

/* mm.c: locks, notifiers, what several operations do */
struct hm_lock {
	int readers;
	bool writer;
	bool released;		/* by a store that nobody else sees yet */
	int owner;		/* the task that holds it as writer */
};

struct hm_range {
	u64 start, end;
};

struct hm_swap_slot {
	long count, data, cached;
	int child;
};

struct hm_ksm {
	u64 pfn, addr;
};

struct hm {
	int areas[HM_AREAS];
	struct hm_lock mmap_lock, page_lock, ptl;
	bool registered;		/* KVM's notifier */
	struct hm_range *changed;	/* where entries changed since the last check */
	long nr_changed, room_for_changed;
	struct hm_range *ranges;	/* that were invalidated */
	long nr_ranges, room_for_ranges;
	u64 **page_cache[HM_AREAS];
	long **disk[HM_AREAS];		/* of files on a disk: what it has of each page */
	struct hm_ksm *ksm;
	int nr_ksm;
	struct hm_swap_slot *swap;
	long next_slot;
	u64 *child_pages;		/* pfns that have or had child set */
	long nr_child_pages, room_for_child_pages;
	struct hm_run *child_runs[1024];
	int nr_child_runs;
};

extern struct hm hm;
#define MOST_KSM 256

extern void hm_init(const long *kinds, int nr);
extern long hm_kvm(int function, long a, long b, long c, long d, long e, long f);
extern void hm_down_read(struct hm_lock *lock);
extern void hm_up_read(struct hm_lock *lock);
extern void hm_lock(struct hm_lock *lock);
extern void hm_unlock(struct hm_lock *lock);
extern void hm_point(void);
extern void hm_note_range(u64 start, u64 end);	/* was invalidated */
extern void hm_invalidate_start(u64 start, u64 end);
extern void hm_invalidate_end(u64 start, u64 end);
extern void hm_invalidate(u64 start, u64 end, int part);
extern struct hm_vma *hm_new_vma(int kind, u64 start, u64 end);
extern int hm_area_level(u64 addr);
extern int hm_area_kind(u64 addr);
extern bool hm_area_is_shared(u64 addr);
extern void hm_note(u64 start, u64 end);
extern void hm_set_pte(u64 addr, u64 pte);
extern void hm_set_pte_at_notify(u64 addr, u64 pte);
extern u64 hm_remap(const struct hm_vma *vma, u64 flags);
extern void hm_unmap_entry(u64 addr, int level, u64 pte);
extern u64 hm_cached(u64 addr);
extern void hm_set_cached(u64 addr, u64 pte);
extern bool hm_cached_near(u64 addr);	/* in the 2M around it */
extern long hm_disk(u64 addr);
extern void hm_write_disk(u64 addr, long data);
extern bool hm_is_file(u64 addr);
extern bool hm_wants_writenotify(const struct hm_vma *vma);
extern bool hm_is_ksm(u64 pfn);
extern int hm_ksm_addresses(u64 pfn, u64 *out);
extern void hm_ksm_add(u64 pfn, u64 addr);
extern void hm_ksm_remove(u64 pfn, u64 addr);
extern void hm_ksm_forget(u64 pfn);
extern void hm_swap_free(u64 number);
extern void hm_unmap_cached(u64 addr, u64 pfn);
extern long hm_swap_new(long count, long data, long cached);
extern void hm_child_add_page(u64 pfn, int count);
extern void hm_child_add_run(struct hm_run *run, int count);
extern void hm_child_split(u64 pfn);
extern int hm_child_unmap(u64 pfn, int level);

/* fault.c, hugetlb.c */
enum { VM_FAULT_OK, VM_FAULT_HWPOISON, VM_FAULT_RETRY };
extern int hm_fault(struct hm_vma *vma, u64 addr, bool write, bool nowait);
extern int hm_hugetlb_fault(struct hm_vma *vma, u64 addr, bool write);
extern bool hm_map_missing(struct hm_vma *vma, u64 addr, long value);
extern bool hm_map_cached(struct hm_vma *vma, u64 addr);
extern u64 hm_cached_entry(u64 addr);
extern void hm_set_pmd(u64 addr, u64 pfn, u64 flags);
extern void hm_wait_for_folio(void);
extern bool hm_map_zero_page(struct hm_vma *vma, u64 addr);
extern int hm_wp_page_copy(struct hm_vma *vma, u64 addr, u64 orig, bool unshare);

/* gup.c */
extern long hm_gup_fast(u64 addr, bool write);
extern long hm_gup_locked(u64 addr, bool write, bool nowait);
extern long hm_gup(u64 addr, bool write, bool nowait);
extern bool hm_check_hwpoison(u64 addr);
extern u64 hm_follow_pte(u64 addr);
extern int hm_fixup_fault(u64 addr, bool write);
extern long hm_cpu_access(u64 addr, bool write);
extern void hm_touch(u64 addr, bool write);
extern bool hm_copy_to_user(u64 addr, long value);
extern bool hm_copy_from_user(u64 addr, long *value);
extern bool hm_content(u64 addr, long *value);

/* split.c */
extern void hm_split_huge_pmd(u64 addr);
extern void hm_split_if_needed(struct hm_vma *vma, u64 addr);
extern bool hm_split_huge_page(u64 addr);
extern bool hm_split_shmem_folio(u64 base, struct hm_run *run);
extern bool hm_remove_migration_pte(u64 addr, u64 old, u64 new);

/* zap.c, mmap.c, ...: the operations of a program */
extern void hm_round_out(u64 *start, u64 *end);
extern void hm_unmap_vma(struct hm_vma *vma, u64 start, u64 end);
extern void hm_unmap_vma_but(struct hm_vma *vma, u64 start, u64 end, bool poison);
extern void hm_unmap_hugepage_range(struct hm_vma *vma, u64 start, u64 end);
extern void hm_free_pgtables(u64 start, u64 end);
extern int hm_rmap_addresses(u64 addr, u64 pfn, u64 *out);
extern void hm_do_munmap(u64 start, u64 end, bool retire);
extern void hm_munmap(u64 start, u64 end);
extern void hm_mmap(u64 start, u64 end);
extern void hm_dontneed(u64 start, u64 end);
enum { UFFD_PROTECT = 1, UFFD_RESOLVE };	/* what userfaultfd has it do; 0: mprotect */
extern void hm_change_protection(struct hm_vma *vma, u64 start, u64 end, int uffd);
extern struct hm_vma *hm_vma_isolate(struct hm_vma *vma, u64 start, u64 end);
extern long hm_uffd(u64 start, u64 end, int what, long value);
extern void hm_mprotect(u64 start, u64 end, int prot);
extern void hm_thp_advice(u64 start, u64 end, bool on);
extern void hm_fork(u64 start, u64 end);
extern void hm_child_exit(void);
extern void hm_cow_write(u64 addr, long value);
extern void hm_migrate(u64 start, u64 end);
extern bool hm_collapse(u64 addr);
extern long hm_madvise_collapse(u64 start, u64 end);
extern void hm_thp_split(u64 addr);
extern void hm_begin_reclaim(void);
extern long hm_reclaimed(void);
extern void hm_reclaim(u64 addr);
extern void hm_reclaim_thp(u64 base);
extern void hm_reclaim_shmem_folio(u64 base, u64 start, u64 end);
extern long hm_swap_out(u64 start, u64 end);
extern void hm_madvise_free(u64 start, u64 end);
extern void hm_cold(u64 start, u64 end);
extern long hm_pageout(u64 start, u64 end);
extern long hm_punch_hole(u64 start, u64 end);
extern long hm_mremap(u64 start, u64 end, u64 to, bool dontunmap);
extern void hm_writeback(u64 start, u64 end);
extern void hm_hwpoison(u64 start, u64 end);
extern void hm_ksm_merge(u64 addr, u64 other);
extern void hm_break_ksm(u64 addr);
extern int hm_age(u64 start, u64 end, bool flush);
extern int hm_test_age(u64 addr);
extern void hm_age_nothing(u64 addr, bool flush);
extern void hm_destroy(void);

#endif
