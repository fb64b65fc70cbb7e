// SPDX-License-Identifier: GPL-2.0-only
/* What the guest wrote last is there, until the host takes it: difffuzz/oracle/contents.py in C. */
#include "guest.h"
#include "play.h"

#define MOST_KNOWN 512

struct known {
	u64 page;		/* hva >> 12 */
	long value;
};

static struct known *known;
static int nr_known;

void contents_init(void)
{
	known = hm_alloc_list(MOST_KNOWN * sizeof(*known));
}

static struct known *find(u64 page)
{
	for (int i = 0; i < nr_known; i++)
		if (known[i].page == page)
			return &known[i];
	return NULL;
}

/* The guest wrote to the page. */
void contents_wrote(u64 hva, long value)
{
	struct known *one = find(hva >> 12);

	if (!one && nr_known == MOST_KNOWN)
		return;
	if (!one)
		one = &known[nr_known++];
	*one = (struct known){ hva >> 12, value };
}

/* Somebody may write to the pages, or take them. */
void contents_unknown(u64 start, u64 end)
{
	for (int i = 0; i < nr_known; i++)
		if (known[i].page >= start >> 12 && known[i].page < end >> 12)
			known[i--] = known[--nr_known];
}

/* Nothing is known any more. */
void contents_forget(void)
{
	nr_known = 0;
}

/* Of what a userfaultfd is asked for: machine/uffd.py. */
enum { UFFD_COPY = 4, UFFD_ZERO };

/* The host does something. */
void contents_host(const struct op *op)
{
	u64 start = HM_AREA_BASE(op->host.area) + (op->host.page << 12), end = start + PAGE_BYTES;

	if (op->kind == OP_UFFD && op->uffd.what != UFFD_COPY && op->uffd.what != UFFD_ZERO)
		return;
	switch (op->kind) {
	case OP_MUNMAP:
	case OP_MMAP:
	case OP_DONTNEED:
	case OP_LAZY_FREE:
	case OP_PUNCH_HOLE:
	case OP_MREMAP:
	case OP_UFFD:
		end = start + (op->range.n << 12);
		/* fall through */
	case OP_HWPOISON:
	case OP_HOST_WRITE:
	case OP_COW_WRITE:
		hm_round_out(&start, &end);
		contents_unknown(start, end);
		if (op->kind == OP_MREMAP) {
			u64 to = HM_AREA_BASE(op->host.area) + (op->mremap.to << 12);

			to &= -hm_size(hm_area_level(to));
			contents_unknown(to, to + end - start);
		}
	}
}

/* The guest read the page. */
void contents_read(u64 hva, long value)
{
	const struct known *one = find(hva >> 12);

	if (one && one->value != value)
		suspect("the guest reads what it has not written");
}

/* With nothing going on: is everything there? */
void contents_settled(void)
{
	long value;

	for (int i = 0; i < nr_known; i++)
		if (hm_content(known[i].page << 12, &value) && value != known[i].value)
			suspect("what the guest wrote is lost");
}
