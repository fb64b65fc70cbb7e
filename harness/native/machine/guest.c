// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's hardware: CPUs that translate by TLB and page walk, on KVM's own page tables, with
 * accessed and dirty bits and the log of dirty pages.
 */
#include <string.h>

#include "guest.h"

#define TLB_DIRTY 8
#define WALK_LIMIT 1000
#define MOST_LEVELS 5
#define TAG_SHIFT 40	/* a gfn has fewer bits */

enum { FAULT = -1, CHANGED = -2 };

/* What the bits of an entry mean. */
struct format {
	bool ept, ad, user;
	u64 present, accessed, dirty, rsvd_phys_bits;
};

struct gm_vcpu gm_vcpus[NATIVE_VCPUS], gm_l2[NATIVE_VCPUS];
int gm_nr_vcpus;
static struct format format;
static bool logs_dirty;
static const int perm_of[] = { PERM_R, PERM_W, PERM_X };

extern unsigned long *native_entry(unsigned long pa);

void gm_init(bool tdp, bool ept, bool ad, bool pml, int maxphyaddr)
{
	format.ept = tdp && ept;
	format.ad = !format.ept || ad;
	format.user = tdp && !ept;
	format.present = format.ept ? VMX_EPT_RWX_MASK : PT_PRESENT_MASK;
	format.accessed = format.ept ? VMX_EPT_ACCESS_BIT : PT_ACCESSED_MASK;
	format.dirty = format.ept ? VMX_EPT_DIRTY_BIT : PT_DIRTY_MASK;
	format.rsvd_phys_bits = (1UL << 52) - (1UL << maxphyaddr);
	logs_dirty = pml;
}

bool gm_has_ad(void)
{
	return format.ad;
}

/* TLB */

static u64 look_up(const struct gm_vcpu *cpu, u64 gfn)
{
	for (int size = 0; size < 3; size++)
		for (int i = 0; i < cpu->nr[size]; i++)
			if (cpu->hits[size][i].key == gfn >> 9 * size)
				return cpu->hits[size][i].hit + ((gfn & ((1UL << 9 * size) - 1)) << 4);
	return 0;
}

static void drop(struct gm_vcpu *cpu, int size, int i)
{
	cpu->hits[size][i] = cpu->hits[size][--cpu->nr[size]];
}

static void insert(struct gm_vcpu *cpu, u64 gfn, int level, u64 pfn, u64 perms, bool dirty)
{
	int size = level - 1;
	u64 key = gfn >> 9 * size, first = pfn - (gfn & ((1UL << 9 * size) - 1));

	for (int other = 0; other < 3; other++)
		for (int i = 0; i < cpu->nr[other]; i++)
			if (cpu->hits[other][i].key == gfn >> 9 * other)
				drop(cpu, other, i--);
	if (cpu->nr[size] == cpu->room[size]) {
		int room = cpu->room[size] ? 2 * cpu->room[size] : 64;
		struct gm_hit *more = hm_alloc_list(room * sizeof(*more));

		if (cpu->nr[size])
			memcpy(more, cpu->hits[size], cpu->nr[size] * sizeof(*more));
		cpu->hits[size] = more;
		cpu->room[size] = room;
	}
	cpu->hits[size][cpu->nr[size]++] = (struct gm_hit){ key, first << 4 | (dirty ? TLB_DIRTY : 0) | perms };
}

static void flush(struct gm_vcpu *cpu)
{
	cpu->epoch++;
	cpu->nr[0] = cpu->nr[1] = cpu->nr[2] = 0;
}

/* Drops everything that is cached. */
void gm_flush_tlb(int vcpu)
{
	flush(&gm_vcpus[vcpu]);
}

/* The same of an L2. */
void gm_flush_l2(int vcpu)
{
	flush(&gm_l2[vcpu]);
}

void gm_queue_flush(u64 gfn, u64 pages)
{
	for (int i = 0; i < gm_nr_vcpus; i++) {
		struct gm_vcpu *cpu = &gm_vcpus[i];

		if (!cpu->ranges)
			cpu->ranges = hm_alloc_list(MOST_FLUSH_RANGES * sizeof(*cpu->ranges));
		if (cpu->nr_ranges == MOST_FLUSH_RANGES)
			hm_give_up("too many ranges to flush");
		cpu->ranges[cpu->nr_ranges++] = (struct hm_range){ gfn, gfn + pages };
	}
}

void gm_flush_ranges(int vcpu)
{
	struct gm_vcpu *cpu = &gm_vcpus[vcpu];

	for (int r = 0; r < cpu->nr_ranges; r++) {
		u64 first = cpu->ranges[r].start, last = cpu->ranges[r].end - 1;

		cpu->epoch++;
		for (int size = 0; size < 3; size++)
			for (int i = 0; i < cpu->nr[size]; i++) {
				u64 key = cpu->hits[size][i].key;

				if (key >= first >> 9 * size && key <= last >> 9 * size)
					drop(cpu, size, i--);
			}
	}
	cpu->nr_ranges = 0;
}

/* Page walk */

static int perms_of(u64 entry)
{
	if (format.ept)
		return entry & VMX_EPT_RWX_MASK;
	if (format.user && !(entry & PT_USER_MASK))
		return 0;
	return PERM_R | (entry & PT_WRITABLE_MASK) | (entry & PT64_NX_MASK ? 0 : PERM_X);
}

/* A present entry that the hardware refuses: EPT misconfiguration, or a reserved bit. */
static bool is_reserved(u64 entry, int level, int root_level)
{
	bool leaf = level == 1 || entry & PT_PAGE_SIZE_MASK;
	int type = entry >> 3 & 7;

	if (entry & format.rsvd_phys_bits)
		return true;
	if (format.ept) {
		if ((entry & 3) == 2)
			return true;
		if (leaf ? type == 2 || type == 3 || type == 7 : entry & 0x78)
			return true;
	}
	if (level == 1 || !leaf)
		return false;
	if (level > 3 || (root_level == 3 && level == 3))
		return true;
	/* Bit 12 of a large x86 entry is PAT. */
	return entry & ((1UL << (12 + 9 * (level - 1))) - (1UL << (format.ept ? 12 : 13)));
}

static long fault(struct gm_vcpu *cpu, int access, int perms, bool reserved)
{
	static const int ept_codes[] = { PFERR_USER_MASK, PFERR_WRITE_MASK, PFERR_FETCH_MASK };
	static const int x86_codes[] = { 0, PFERR_WRITE_MASK, PFERR_FETCH_MASK };

	if (format.ept)
		cpu->error_code = reserved ? PFERR_RSVD_MASK : ept_codes[access] | (perms ? PFERR_PRESENT_MASK : 0);
	else
		cpu->error_code = x86_codes[access] | (format.user ? PFERR_USER_MASK : 0) |
				  (reserved ? PFERR_RSVD_MASK | PFERR_PRESENT_MASK : perms ? PFERR_PRESENT_MASK : 0);
	return FAULT;
}

static unsigned long *entry_at(u64 pa)
{
	unsigned long *entry = native_entry(pa);

	if (!entry)
		native_die("uaf", "page_table", "walk of a freed page table");
	return entry;
}

static void log_dirty(struct gm_vcpu *cpu, u64 gpa)
{
	if (!logs_dirty || !cpu->pml_enabled)
		return;
	if (!cpu->pml)
		cpu->pml = hm_alloc_list(MOST_PML * sizeof(*cpu->pml));
	if (cpu->nr_pml == MOST_PML)
		hm_give_up("the log of dirty pages is full");
	cpu->pml[cpu->nr_pml++] = gpa;
}

/* Sets accessed bits from the top down, and the leaf's dirty bit; false if an entry changed. */
static bool set_bits(struct gm_vcpu *cpu, const u64 *ptrs, const u64 *entries, int nr, bool write, u64 gpa)
{
	for (int i = 0; i < nr; i++) {
		u64 new = entries[i] | format.accessed | (write && i == nr - 1 ? format.dirty : 0);
		unsigned long *at;

		if (new == entries[i])
			continue;
		at = entry_at(ptrs[i]);
		native_point(at, 1);
		at = entry_at(ptrs[i]);
		if (*at != entries[i])
			return false;
		*at = new;
		if ((new ^ entries[i]) & format.dirty)
			log_dirty(cpu, gpa);
	}
	return true;
}

static long walk(struct gm_vcpu *cpu, u64 tag, u64 root, int root_level, u64 gpa, int access)
{
	u64 ptrs[MOST_LEVELS], entries[MOST_LEVELS], table = root, entry, below, epoch = cpu->epoch, pfn;
	int perms = PERM_R | PERM_W | PERM_X, nr = 0, level = root_level;

	/* Where the root is none, KVM lets the CPU walk a page of zeros. */
	if (root >> 12 == HM_ZERO_PFN)
		return fault(cpu, access, 0, false);
	for (;;) {
		int mask = level == 3 && root_level == 3 ? 3 : 511;
		u64 ptr = table + (gpa >> (3 + 9 * level) & mask) * 8;

		hm_point();
		entry = *entry_at(ptr);
		if (!(entry & format.present))
			return fault(cpu, access, 0, false);
		if (mask == 3) {
			if (entry & format.rsvd_phys_bits)
				return fault(cpu, access, perms, true);
		} else {
			if (is_reserved(entry, level, root_level))
				return fault(cpu, access, perms, true);
			perms &= perms_of(entry);
			ptrs[nr] = ptr;
			entries[nr++] = entry;
			if (level == 1 || entry & PT_PAGE_SIZE_MASK)
				break;
		}
		table = entry & ENTRY_ADDR_MASK;
		level--;
	}
	if (!(perms & perm_of[access]))
		return fault(cpu, access, perms, false);
	if (format.ad && !set_bits(cpu, ptrs, entries, nr, access == GM_WRITE, gpa))
		return CHANGED;
	below = (1UL << 9 * (level - 1)) - 1;
	pfn = ((entry & ENTRY_ADDR_MASK) >> 12 & ~below) | (gpa >> 12 & below);
	if (cpu->epoch != epoch)
		return CHANGED;
	insert(cpu, gpa >> 12 | tag, level, pfn, perms, access == GM_WRITE || entry & format.dirty);
	return pfn;
}

/* `tag`: upper bits of the gfns that the TLB keeps. */
static inline long translate(struct gm_vcpu *cpu, u64 tag, u64 root, int root_level, u64 gpa, int access)
{
	u64 hit = look_up(cpu, gpa >> 12 | tag);

	if (hit & perm_of[access] && (access != GM_WRITE || hit & TLB_DIRTY || !format.ad))
		return hit >> 4;
	for (int i = 0; i < WALK_LIMIT; i++) {
		long pfn = walk(cpu, tag, root, root_level, gpa, access);

		if (pfn != CHANGED)
			return pfn;
	}
	hm_give_up("a page walk does not come to rest");
}

/* The pfn of the 4K page that the access reaches, or -1 with an error code. */
long gm_translate(int vcpu, u64 root, int root_level, u64 gpa, int access)
{
	return translate(&gm_vcpus[vcpu], 0, root, root_level, gpa, access);
}

/* The same for an L2: what is cached belongs to the root of the EPT it came from, under NPT to none. */
long gm_translate_l2(int vcpu, u64 root, int root_level, u64 gpa, int access)
{
	u64 tag = format.ept ? ((root - NATIVE_PAGES_PA) >> 12) + 1 : 0;

	return translate(&gm_l2[vcpu], tag << TAG_SHIFT, root, root_level, gpa, access);
}
