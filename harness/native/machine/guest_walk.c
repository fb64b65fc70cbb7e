// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest's page tables say, as they are in its memory: the specification's walk, of the guest's
 * own tables and of an EPT or NPT of L1's.  difffuzz/oracle/guest_walk.py and nested_tables.py in C.
 */
#include "paging.h"

#define P 1UL
#define W 2UL
#define U 4UL
#define EPT_RWX 7UL
#define PS (1UL << 7)
#define NX (1UL << 63)
#define ADDRESS ((1UL << 52) - (1UL << 12))
#define NO_SUCH_BITS (((1UL << 52) - 1) & ~((1UL << 46) - 1))	/* of addresses: see MAXPHYADDR */
#define UPPER_RESERVED 0x78UL
#define PF_PRESENT 1
#define PF_WRITE 2
#define PF_USER 4
#define PF_RSVD 8
#define PF_FETCH 16
#define MOST_HELD 64

/* A page of guest memory that was looked at. */
struct held {
	u64 gfn;
	bool readable;
	long content;
};

enum { VIOLATION = 0, MISCONFIG = 8 };

u64 spec_present, spec_writable_bit, spec_accessed, spec_dirty;
bool spec_exempts;
static bool ept, npt;
static struct held held[MOST_HELD];
static int nr_held;

void spec_init(void)
{
	bool ad;

	ept = is_ept12();
	npt = is_nested() && !ept;
	ad = !ept || play_config->ad;
	spec_present = ept ? EPT_RWX : P;
	spec_writable_bit = W;
	spec_accessed = ad ? 1UL << (ept ? 8 : 5) : 0;
	spec_dirty = ad ? 1UL << (ept ? 9 : 6) : 0;
	spec_exempts = !is_nested();
}

void spec_look_anew(void)
{
	nr_held = 0;
}

/* What is in the page; false where nothing can be read. */
bool spec_content(u64 gfn, long *content)
{
	const struct map_slot *slot;
	struct held *one;

	for (int i = 0; i < nr_held; i++)
		if (held[i].gfn == gfn) {
			*content = held[i].content;
			return held[i].readable;
		}
	one = &held[nr_held < MOST_HELD ? nr_held++ : MOST_HELD - 1];
	slot = map_slot_at(0, gfn);
	*one = (struct held){ .gfn = gfn };
	one->readable = slot && hm_content(map_hva(slot, gfn), &one->content);
	*content = one->content;
	return one->readable;
}

/* May the guest write the page? */
bool spec_writable(u64 gfn)
{
	const struct map_slot *slot = map_slot_at(0, gfn);
	const struct hm_vma *vma;

	if (!slot || slot->flags & SLOT_READONLY)
		return false;
	vma = hm_vma_find(map_hva(slot, gfn));
	return vma && vma->flags & VM_WRITE;
}

/* Reserved bits, EFER.NX aside: no page of 1G or more; 2M pages are aligned (bit 12 is PAT). */
static bool is_reserved(u64 entry, int level)
{
	if (entry & NO_SUCH_BITS)
		return true;
	if (!(entry & PS) || level == 1)
		return false;
	return level > 2 || entry & ((1UL << 21) - (1UL << 13));
}

/* What VMX says of an entry: writable and not readable, or reserved bits. */
static bool is_misconfigured(u64 entry, int level)
{
	if ((entry & 3) == 2 || entry & NO_SUCH_BITS)
		return true;
	if (level == 1)
		return false;
	if (!(entry & PS))
		return entry & UPPER_RESERVED;
	return level > 2 || entry & ((1UL << 21) - (1UL << 12));
}

static struct rights rights_of(u64 every, u64 some)
{
	if (ept)
		return (struct rights){ every & 1, !!(every & W), !(every & 4) };
	return (struct rights){ !!(every & U), !!(every & W), !!(some & NX) };
}

/* The path of an address from the table at gfn `root`. */
struct path spec_walk(u64 root, u64 gva)
{
	u64 table = root << 12, every = ~0UL, some = 0, entry, inside;
	struct path path = { .nr = 0 };
	int level = MOST_LEVELS;

	for (;;) {
		u64 gpa = table + (gva >> (3 + 9 * level) & 511) * 8;
		enum found kind = FOUND_PAGE;
		long content;

		entry = 0;
		if (!spec_content(gpa >> 12, &content))
			kind = FOUND_HOLE;
		else if (!((entry = content_word(content, gpa >> 3 & 511)) & spec_present))
			kind = FOUND_ABSENT;
		else if (ept ? is_misconfigured(entry, level) : is_reserved(entry, level))
			kind = FOUND_RESERVED;
		if (kind != FOUND_PAGE) {
			path.found = spec_translation(kind, 0, (struct rights){ .nx = !ept && some & NX });
			return path;
		}
		path.at[path.nr] = gpa;
		path.entries[path.nr++] = entry;
		every &= entry;
		some |= entry;
		if (level == 1 || entry & PS)
			break;
		table = entry & ADDRESS;
		level--;
	}
	inside = (1UL << (12 + 9 * (level - 1))) - 1;
	path.found = spec_translation(FOUND_PAGE, ((entry & ADDRESS & ~inside) | (gva & inside)) >> 12,
				      rights_of(every, some));
	return path;
}

/* Where an access of L1 is. */
translation spec_itself(u64 gfn)
{
	return spec_translation(FOUND_PAGE, gfn, (struct rights){ true, true, false });
}

/* Does a page translation allow the access? */
bool spec_permits(translation found, const struct registers *modes, const struct access *made)
{
	struct rights rights = spec_rights(found);

	if (spec_kind(found) != FOUND_PAGE)
		return false;
	if (ept)
		return made->access == GM_WRITE ? rights.writable : made->access == GM_EXEC ? !rights.nx : rights.user;
	/* KVM keeps none from before L1's EFER.NX changed. */
	if (npt && rights.nx && !modes->nx)
		return false;
	if ((npt || made->user) && !rights.user)
		return false;
	if (made->access == GM_WRITE)
		return rights.writable || !(npt || made->user || modes->wp);
	if (made->access == GM_EXEC)
		return !rights.nx && !(modes->smep && rights.user && !made->user && !npt);
	return true;
}

/* The error code of the fault that the access takes; -1: it takes none. */
long spec_fault_code(translation found, const struct registers *modes, const struct access *made)
{
	long code = (npt || made->user ? PF_USER : 0) | (made->access == GM_WRITE ? PF_WRITE : 0);

	if (ept) {
		if (spec_kind(found) == FOUND_RESERVED)
			return MISCONFIG;
		return spec_permits(found, modes, made) ? NO_FAULT : VIOLATION;
	}
	/* To an L1 a fetch is always told as one. */
	if (made->access == GM_EXEC && (npt || modes->nx || modes->smep))
		code |= PF_FETCH;
	if (spec_kind(found) == FOUND_RESERVED || (spec_rights(found).nx && !modes->nx))
		return code | PF_PRESENT | PF_RSVD;
	if (spec_kind(found) == FOUND_ABSENT)
		return code;
	return spec_permits(found, modes, made) ? NO_FAULT : code | PF_PRESENT;
}

/* Is a fault the one that the tables give? */
bool spec_is_told(long value, long expected, const struct registers *modes)
{
	if (npt && value == (expected & ~PF_FETCH) && value != expected && !modes->nx) {
		record_rule(RULE_NPT_FETCH);
		return true;
	}
	return value == expected;
}

/* Does a fault drop what is cached of its address? */
bool spec_faults_flush(void)
{
	return !npt;
}
