// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel tells of pages: /proc's pagemap, kpageflags and smaps. */
#include "agent.h"
#include <linux/kernel-page-flags.h>

uint64_t number_at(const char *path, uint64_t index)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	uint64_t value = 0;

	if (fd < 0 || pread(fd, &value, 8, index * 8) != 8)
		value = 0;
	if (fd >= 0)
		close(fd);
	return value;
}

uint64_t pagemap(uint64_t hva)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	uint64_t entry = 0;

	if (fd < 0 || pread(fd, &entry, 8, hva / PG * 8) != 8)
		entry = 0;
	if (fd >= 0)
		close(fd);
	return entry;
}

int page_present(uint64_t hva)
{
	return pagemap(hva) >> 63;
}

/* A flag of /proc/kpageflags of the page that is there. */
int page_flag(uint64_t hva, int flag)
{
	uint64_t entry = pagemap(hva);

	return entry >> 63 && number_at("/proc/kpageflags", entry & ((1ull << 55) - 1)) >> flag & 1;
}

int in_thp(uint64_t hva)
{
	return page_flag(hva, KPF_THP);
}

/* THPs that are at least partly mapped in [from, to). */
static unsigned long count_thps(uint64_t from, uint64_t to)
{
	unsigned long found = 0;

	for (uint64_t at = from & -HUGE_PG; at < to; at += HUGE_PG)
		found += in_thp(at) || in_thp(at + HUGE_PG - PG);
	return found;
}

/* Is the page part of a THP that is mapped whole?  -1: the VMA has others that are not. */
int in_mapped_thp(uint64_t hva)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long from = 0, to = 0, kilobytes = 0;
	char line[256];
	int here = 0, done = 0;

	while (file && !done && fgets(line, sizeof(line), file)) {
		unsigned long first, last;

		if (sscanf(line, "%lx-%lx ", &first, &last) == 2) {
			here = first <= hva && hva < last;
			from = here ? first : from;
			to = here ? last : to;
		} else if (here && sscanf(line, "AnonHugePages: %lu", &kilobytes) == 1) {
			done = 1;
		}
	}
	if (file)
		fclose(file);
	if (!done || !kilobytes || !in_thp(hva))
		return 0;
	return count_thps(from, to) * 2048 == kilobytes ? 1 : -1;
}
