// SPDX-License-Identifier: GPL-2.0-only
/* Statistics of the VM and of a vCPU, by name once and by value afterwards. */
#include "agent.h"

static const char *const names[NR_STATS] = { STAT_NAMES };

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

		for (unsigned int name = 0; name < NR_STATS; name++)
			if (!strcmp(one->name, names[name]))
				reader->at[name] = head.data_offset + one->offset;
	}
	free(all);
}

void stats_open(struct vm *vm)
{
	reader_open(&vm->stats, vm->fd);
	for (int v = 0; v < MAX_VCPUS; v++)
		vm->vcpu_stats[v].fd = -1;
}

/* When the vCPU is made: while it runs its ioctls wait. */
void stats_open_vcpu(struct vm *vm, int v)
{
	reader_open(&vm->vcpu_stats[v], vm->vcpu_fds[v]);
}

void stats_close(struct vm *vm)
{
	if (vm->stats.fd > 0)
		close(vm->stats.fd);
	vm->stats.fd = -1;
	for (int v = 0; v < MAX_VCPUS; v++) {
		if (vm->vcpu_stats[v].fd > 0)
			close(vm->vcpu_stats[v].fd);
		vm->vcpu_stats[v].fd = -1;
	}
}

static void values(struct reader *reader, uint64_t *to)
{
	for (unsigned int name = 0; name < NR_STATS; name++)
		if (reader->fd >= 0 && reader->at[name] >= 0 &&
		    pread(reader->fd, &to[name], 8, reader->at[name]) != 8)
			to[name] = 0;
}

void stats_read(struct vm *vm, int v, uint64_t *to)
{
	memset(to, 0, NR_STATS * 8);
	values(&vm->stats, to);
	if (v >= 0 && v < vm->nr_vcpus)
		values(&vm->vcpu_stats[v], to);
}
