// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs without nested paging: they walk KVM's shadow tables by guest virtual address.  CR0.WP and
 * EFER.NX are on in hardware whatever the guest's are.  difffuzz/machine/gva.py in C.
 */
#include <string.h>

#include "paging.h"

#define WALK_LIMIT 1000

enum { FAULT = -1, CHANGED = -2 };

struct hit {
	u64 page, pfn;
	struct rights rights;
	bool dirty;
};

struct gva_cpu {
	struct hit *hits;
	int nr, room;
	u64 epoch;
	bool smep;
	long error_code;
};

static struct gva_cpu cpus[NATIVE_VCPUS];

extern unsigned long *native_entry(unsigned long pa);

void gva_set_smep(int vcpu, bool on)
{
	cpus[vcpu].smep = on;
}

long gva_error_code(int vcpu)
{
	return cpus[vcpu].error_code;
}

/* TLB */

void gva_flush_all(int vcpu)
{
	cpus[vcpu].epoch++;
	cpus[vcpu].nr = 0;
}

static struct hit *look_up(const struct gva_cpu *cpu, u64 page)
{
	for (int i = 0; i < cpu->nr; i++)
		if (cpu->hits[i].page == page)
			return &cpu->hits[i];
	return NULL;
}

static void drop(struct gva_cpu *cpu, u64 page)
{
	struct hit *hit = look_up(cpu, page);

	if (hit)
		*hit = cpu->hits[--cpu->nr];
}

/* What is cached of one address. */
void gva_flush(int vcpu, u64 gva)
{
	cpus[vcpu].epoch++;
	drop(&cpus[vcpu], gva >> 12);
}

static void insert(struct gva_cpu *cpu, struct hit hit)
{
	drop(cpu, hit.page);
	if (cpu->nr == cpu->room) {
		int room = cpu->room ? 2 * cpu->room : 64;
		struct hit *more = hm_alloc_list(room * sizeof(*more));

		if (cpu->nr)
			memcpy(more, cpu->hits, cpu->nr * sizeof(*more));
		cpu->hits = more;
		cpu->room = room;
	}
	cpu->hits[cpu->nr++] = hit;
}

/* Page walk */

/* A present entry of tables of four levels that the hardware refuses. */
bool x86_is_reserved(u64 entry, int level)
{
	if (entry & ((1UL << 52) - (1UL << MAXPHYADDR)))
		return true;
	if (level == 1 || !(entry & PT_PAGE_SIZE_MASK))
		return false;
	/* Bit 12 of a large entry is PAT. */
	return level > 3 || entry & ((1UL << (12 + 9 * (level - 1))) - (1UL << 13));
}

static bool fits(const struct gva_cpu *cpu, struct rights rights, const struct access *made)
{
	if (made->user && !rights.user)
		return false;
	if (made->access == GM_WRITE)
		return rights.writable;
	if (made->access == GM_EXEC)
		return !rights.nx && !(cpu->smep && rights.user && !made->user);
	return true;
}

static long fault(struct gva_cpu *cpu, long code, const struct access *made)
{
	cpu->error_code = code | (made->user ? PFERR_USER_MASK : 0) |
			  (made->access == GM_WRITE ? PFERR_WRITE_MASK : 0) |
			  (made->access == GM_EXEC ? PFERR_FETCH_MASK : 0);
	return FAULT;
}

static unsigned long *entry_at(u64 pa)
{
	unsigned long *entry = native_entry(pa);

	if (!entry)
		native_die("uaf", "page_table", "walk of a freed page table");
	return entry;
}

/* Sets accessed bits from the top down, and the leaf's dirty bit; false if an entry changed. */
static bool set_bits(const u64 *ptrs, const u64 *entries, int nr, bool write)
{
	for (int i = 0; i < nr; i++) {
		u64 new = entries[i] | PT_ACCESSED_MASK | (write && i == nr - 1 ? PT_DIRTY_MASK : 0);
		unsigned long *at;

		if (new == entries[i])
			continue;
		at = entry_at(ptrs[i]);
		native_point(at, 1);
		at = entry_at(ptrs[i]);
		if (*at != entries[i])
			return false;
		*at = new;
	}
	return true;
}

static long walk(struct gva_cpu *cpu, u64 root, const struct access *made)
{
	u64 ptrs[MOST_LEVELS], entries[MOST_LEVELS], table = root, epoch = cpu->epoch, entry, below, pfn;
	struct rights rights = { true, true, false };
	int nr = 0, level = MOST_LEVELS;

	/* Where the root is none, KVM lets the CPU walk a page of zeros. */
	if (root >> 12 == HM_ZERO_PFN)
		return fault(cpu, 0, made);
	for (;;) {
		u64 ptr = table + (made->gva >> (3 + 9 * level) & 511) * 8;

		hm_point();
		entry = *entry_at(ptr);
		if (!(entry & PT_PRESENT_MASK))
			return fault(cpu, 0, made);
		if (x86_is_reserved(entry, level))
			return fault(cpu, PFERR_PRESENT_MASK | PFERR_RSVD_MASK, made);
		rights.user &= !!(entry & PT_USER_MASK);
		rights.writable &= !!(entry & PT_WRITABLE_MASK);
		rights.nx |= !!(entry & PT64_NX_MASK);
		ptrs[nr] = ptr;
		entries[nr++] = entry;
		if (level == 1 || entry & PT_PAGE_SIZE_MASK)
			break;
		table = entry & ENTRY_ADDR_MASK;
		level--;
	}
	if (!fits(cpu, rights, made))
		return fault(cpu, PFERR_PRESENT_MASK, made);
	if (!set_bits(ptrs, entries, nr, made->access == GM_WRITE) || cpu->epoch != epoch)
		return CHANGED;
	below = level_pages(level) - 1;
	pfn = ((entry & ENTRY_ADDR_MASK) >> 12 & ~below) | (made->gva >> 12 & below);
	insert(cpu, (struct hit){ made->gva >> 12, pfn, rights,
				  made->access == GM_WRITE || entry & PT_DIRTY_MASK });
	return pfn;
}

/* The pfn of the 4K page that the access reaches, or -1 with an error code. */
long gva_translate(int vcpu, u64 root, const struct access *made)
{
	struct gva_cpu *cpu = &cpus[vcpu];
	const struct hit *hit = look_up(cpu, made->gva >> 12);

	if (hit && fits(cpu, hit->rights, made) && (made->access != GM_WRITE || hit->dirty))
		return hit->pfn;
	/* A fault, or a dirty bit to set: the CPU looks at the tables again. */
	drop(cpu, made->gva >> 12);
	for (int i = 0; i < WALK_LIMIT; i++) {
		long pfn = walk(cpu, root, made);

		if (pfn != CHANGED)
			return pfn;
	}
	hm_give_up("a page walk does not come to rest");
}
