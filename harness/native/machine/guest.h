/* SPDX-License-Identifier: GPL-2.0-only */
/* The guest's hardware in C: what difffuzz/machine/hw.py and tlb.py are in Python. */
#ifndef NATIVE_GUEST_H
#define NATIVE_GUEST_H

#include "machine.h"

#define MOST_PML 4096
#define MOST_FLUSH_RANGES 4096

struct gm_hit {
	u64 key;		/* gfn >> 9 * size */
	u64 hit;		/* pfn << 4 | dirty << 3 | permissions */
};

struct gm_vcpu {
	struct gm_hit *hits[3];
	int nr[3], room[3];
	u64 epoch;			/* counts flushes: a walk that saw one caches nothing */
	long error_code;
	u64 *pml;			/* gpas that the CPU logged */
	int nr_pml;
	bool pml_enabled, sigbus, smm, guest_mode;
	struct hm_range *ranges;	/* gfns that it is to drop */
	int nr_ranges;
};

extern struct gm_vcpu gm_vcpus[NATIVE_VCPUS];
extern struct gm_vcpu gm_l2[NATIVE_VCPUS];	/* the same CPUs as they run an L2 under tables of L1's */
extern int gm_nr_vcpus;

extern void gm_init(bool tdp, bool ept, bool ad, bool pml, int maxphyaddr);
extern long gm_translate(int vcpu, u64 root, int root_level, u64 gpa, int access);
extern long gm_translate_l2(int vcpu, u64 root, int root_level, u64 gpa, int access);
extern bool gm_has_ad(void);
extern void gm_flush_tlb(int vcpu);
extern void gm_flush_l2(int vcpu);
extern void gm_queue_flush(u64 gfn, u64 pages);
extern void gm_flush_ranges(int vcpu);

#endif
