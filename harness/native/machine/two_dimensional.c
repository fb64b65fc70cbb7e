// SPDX-License-Identifier: GPL-2.0-only
/*
 * A CPU with nested paging that runs a guest with page tables: it walks these through KVM's, each
 * access to a table of the guest's too.  difffuzz/machine/two_dimensional.py in C.
 */
#include "guest.h"
#include "paging.h"

#define WALK_LIMIT 1000

struct walk {
	int vcpu, root_level;
	u64 root;
	const struct registers *registers;
	const struct access *made;
};

/* An entry on the way. */
struct step {
	u64 where, entry;
};

static long translate(const struct walk *walk, u64 gpa, int access)
{
	return gm_translate(walk->vcpu, walk->root, walk->root_level, gpa, access);
}

/* Does the CPU refuse the entry?  It has no pages of 1G, as the guest's CPUID says. */
static bool is_reserved(u64 entry, int level, bool nx)
{
	if ((entry & PT64_NX_MASK && !nx) || (level == 3 && entry & PT_PAGE_SIZE_MASK))
		return true;
	return x86_is_reserved(entry, level);
}

static bool permitted(const struct walk *walk, struct rights rights)
{
	const struct registers *registers = walk->registers;
	const struct access *made = walk->made;

	if (made->user && !rights.user)
		return false;
	if (made->access == GM_WRITE)
		return rights.writable || (!made->user && !registers->wp);
	if (made->access == GM_EXEC)
		return !rights.nx && !(registers->smep && rights.user && !made->user);
	return true;
}

static bool fault(struct walked *out, const struct walk *walk, long why)
{
	const struct access *made = walk->made;
	long code = why | (made->user ? PFERR_USER_MASK : 0);

	if (made->access == GM_WRITE)
		code |= PFERR_WRITE_MASK;
	if (made->access == GM_EXEC && (walk->registers->nx || walk->registers->smep))
		code |= PFERR_FETCH_MASK;
	*out = (struct walked){ -1, .fault = code };
	return true;
}

static bool exits(struct walked *out, u64 gpa)
{
	*out = (struct walked){ -1, NO_FAULT, gpa };
	return true;
}

enum set { SET, EXITS, CHANGED };

/* Accessed bits from the root down and the leaf's dirty bit; EXITS: one cannot be set, at *where. */
static enum set set_bits(const struct walk *walk, const struct step *path, int nr, u64 *where)
{
	for (int i = 0; i < nr; i++) {
		u64 new = path[i].entry | PT_ACCESSED_MASK;
		int index = path[i].where >> 3 & 511;
		long pfn;

		if (walk->made->access == GM_WRITE && i == nr - 1)
			new |= PT_DIRTY_MASK;
		if (new == path[i].entry)
			continue;
		pfn = translate(walk, path[i].where, GM_WRITE);
		if (pfn < 0) {
			*where = path[i].where;
			return EXITS;
		}
		/* Another vCPU, or the walk itself by way of the same table, may have written it. */
		if (content_word(hm_data(pfn), index) != path[i].entry)
			return CHANGED;
		store_word(pfn, index, new);
	}
	return SET;
}

/* One walk; false if the tables changed under it. */
static bool run(const struct walk *walk, int table_access, struct walked *out)
{
	const struct registers *registers = walk->registers;
	u64 gva = walk->made->gva, table = registers->root << 12, entry, below, gpa, where;
	struct rights rights = { true, true, false };
	struct step path[MOST_LEVELS];
	int nr = 0, level = MOST_LEVELS;
	enum set set;

	for (;;) {
		long pfn;

		where = table + (gva >> (3 + 9 * level) & 511) * 8;
		pfn = translate(walk, where, table_access);
		if (pfn < 0)
			return exits(out, where);
		entry = content_word(hm_data(pfn), where >> 3 & 511);
		if (!(entry & PT_PRESENT_MASK))
			return fault(out, walk, 0);
		if (is_reserved(entry, level, registers->nx))
			return fault(out, walk, PFERR_PRESENT_MASK | PFERR_RSVD_MASK);
		rights.user &= !!(entry & PT_USER_MASK);
		rights.writable &= !!(entry & PT_WRITABLE_MASK);
		rights.nx |= !!(entry & PT64_NX_MASK);
		path[nr++] = (struct step){ where, entry };
		if (level == 1 || entry & PT_PAGE_SIZE_MASK)
			break;
		table = entry & ENTRY_ADDR_MASK;
		level--;
	}
	if (!permitted(walk, rights))
		return fault(out, walk, PFERR_PRESENT_MASK);
	set = set_bits(walk, path, nr, &where);
	if (set != SET)
		return set == EXITS && exits(out, where);
	below = (level_pages(level) << 12) - 1;
	gpa = (entry & ENTRY_ADDR_MASK & ~below) | (gva & below);
	*out = (struct walked){ translate(walk, gpa, walk->made->access), NO_FAULT, gpa };
	return true;
}

/* One access by address; `root` is where KVM's tables are. */
struct walked walk_both(int vcpu, u64 root, int root_level, const struct registers *registers,
			const struct access *made)
{
	struct walk walk = { vcpu, root_level, root, registers, made };
	struct walked walked;

	for (int i = 0; i < WALK_LIMIT; i++)
		if (run(&walk, gm_has_ad() ? GM_WRITE : GM_READ, &walked))
			return walked;
	hm_give_up("a page walk does not come to rest");
}
