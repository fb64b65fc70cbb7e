// SPDX-License-Identifier: GPL-2.0-only
/* Statistics of the VM and of a vCPU, by name once and by value afterwards. */
#include "agent.h"

static const char *const names[] = { STAT_NAMES };
#define COUNT (sizeof(names) / sizeof(names[0]))

static struct reader {
	int fd;
	int64_t at[COUNT];	/* where the value is, or -1 */
} vm_reader = { .fd = -1 }, vcpu_readers[MAX_VCPUS];

static void reader_open(struct reader *reader, int fd)
{
	struct kvm_stats_header head;
	char *all;
	size_t size;

	reader->fd = ioctl(fd, KVM_GET_STATS_FD, 0);
	memset(reader->at, 0xff, sizeof(reader->at));
	if (reader->fd < 0 || pread(reader->fd, &head, sizeof(head), 0) != sizeof(head))
		return;
	size = sizeof(struct kvm_stats_desc) + head.name_size;
	all = malloc(size * head.num_desc);
	if (pread(reader->fd, all, size * head.num_desc, head.desc_offset) < 0)
		head.num_desc = 0;
	for (uint32_t i = 0; i < head.num_desc; i++) {
		struct kvm_stats_desc *one = (void *)(all + i * size);

		for (unsigned int name = 0; name < COUNT; name++)
			if (!strcmp(one->name, names[name]))
				reader->at[name] = head.data_offset + one->offset;
	}
	free(all);
}

void stats_open(void)
{
	reader_open(&vm_reader, vm_fd);
	for (int v = 0; v < MAX_VCPUS; v++)
		vcpu_readers[v].fd = -1;
}

/* When the vCPU is made: while it runs its ioctls wait. */
void stats_open_vcpu(int v)
{
	reader_open(&vcpu_readers[v], vcpu_fds[v]);
}

void stats_close(void)
{
	if (vm_reader.fd >= 0)
		close(vm_reader.fd);
	vm_reader.fd = -1;
	for (int v = 0; v < MAX_VCPUS; v++) {
		if (vcpu_readers[v].fd > 0)
			close(vcpu_readers[v].fd);
		vcpu_readers[v].fd = -1;
	}
}

static void values(struct reader *reader, uint64_t *to)
{
	for (unsigned int name = 0; name < COUNT; name++)
		if (reader->fd >= 0 && reader->at[name] >= 0 &&
		    pread(reader->fd, &to[name], 8, reader->at[name]) != 8)
			to[name] = 0;
}

void stats_read(int v, uint64_t *to)
{
	memset(to, 0, COUNT * 8);
	values(&vm_reader, to);
	if (v < 0 || v >= nr_vcpus)
		return;
	values(&vcpu_readers[v], to);
}
