// SPDX-License-Identifier: GPL-2.0-only
/*
 * A pass of the NX huge page recovery takes one in nx_huge_pages_recovery_ratio of the split pages
 * that are left.  In Linux 7.2 it counts what it took off the legacy MMU's list, whichever it is
 * from: with the TDP MMU the second of two passes takes as many as the first.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE (2ul << 20)
#define PAGES 8
#define PARAMETERS "/sys/module/kvm/parameters/"

static void skip(const char *why)
{
	printf("1..0 # SKIP %s: %s\n", why, strerror(errno));
	exit(4);
}

static int set(const char *name, const char *value)
{
	char path[128];
	int fd, r;

	snprintf(path, sizeof(path), PARAMETERS "%s", name);
	fd = open(path, O_WRONLY);
	r = fd < 0 ? -1 : write(fd, value, strlen(value)) < 0;
	if (fd >= 0)
		close(fd);
	return r;
}

static int splits(void)
{
	FILE *file = fopen("/sys/kernel/debug/kvm/nx_lpage_splits", "r");
	int value = -1;

	if (!file || fscanf(file, "%d", &value) != 1)
		skip("nx_lpage_splits");
	fclose(file);
	return value;
}

int main(void)
{
	int kvm = open("/dev/kvm", O_RDWR), vm, vcpu, seen[16], n = 0, good;
	struct kvm_userspace_memory_region region = { .memory_size = PAGES * HUGE };
	struct kvm_segment code = { .limit = ~0u, .selector = 8, .type = 11, .present = 1, .db = 1,
				    .s = 1, .g = 1 }, data = code;
	struct kvm_sregs sregs;
	struct kvm_run *run;
	char *memory;

	setvbuf(stdout, NULL, _IONBF, 0);
	puts("TAP version 13");
	if (kvm < 0)
		skip("/dev/kvm");
	if (set("nx_huge_pages_recovery_ratio", "0") || set("nx_huge_pages", "force"))
		skip("nx_huge_pages");
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	vcpu = vm < 0 ? -1 : ioctl(vm, KVM_CREATE_VCPU, 0);
	if (vcpu < 0)
		skip("a VM");
	memory = mmap(NULL, (PAGES + 1) * HUGE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory = (char *)(((uintptr_t)memory + HUGE - 1) & -HUGE);
	madvise(memory, PAGES * HUGE, MADV_HUGEPAGE);
	for (int i = 0; i < PAGES; i++)
		memcpy(memory + i * HUGE, "\xe6\x10", 2);	/* out %al,$0x10 */
	region.userspace_addr = (uintptr_t)memory;
	run = mmap(NULL, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED,
		   vcpu, 0);
	if (ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region) || ioctl(vcpu, KVM_GET_SREGS, &sregs))
		skip("memory");
	data.selector = 16;
	data.type = 3;
	sregs.cr0 |= 1;
	sregs.cs = code;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = data;
	ioctl(vcpu, KVM_SET_SREGS, &sregs);
	for (int i = 0; i < PAGES; i++) {
		struct kvm_regs regs = { .rip = i * HUGE, .rflags = 2 };

		ioctl(vcpu, KVM_SET_REGS, &regs);
		if (ioctl(vcpu, KVM_RUN, 0) || run->exit_reason != KVM_EXIT_IO)
			skip("the guest");
	}
	seen[n++] = splits();
	if (seen[0] != PAGES) {
		printf("# %d huge pages were split, not %d\n", seen[0], PAGES);
		skip("huge pages");
	}
	set("nx_huge_pages_recovery_period_ms", "400");
	set("nx_huge_pages_recovery_ratio", "2");
	for (int i = 0; i < 300 && seen[n - 1] > 0 && n < 16; i++) {
		int now = splits();

		if (now != seen[n - 1])
			seen[n++] = now;
		usleep(10000);
	}
	set("nx_huge_pages_recovery_ratio", "0");
	set("nx_huge_pages_recovery_period_ms", "0");
	set("nx_huge_pages", "off");
	good = n > 2 && seen[1] == PAGES / 2 && seen[2] == PAGES / 4;
	puts("1..1");
	printf("%sok 1 - a pass takes one in two of those that are left\n", good ? "" : "not ");
	printf("# split pages after each pass:");
	for (int i = 0; i < n; i++)
		printf(" %d", seen[i]);
	puts("");
	return !good;
}
