// SPDX-License-Identifier: GPL-2.0-only
/* The VMs of a program: made fresh, with their vCPUs and memslots, and gone with it. */
#include "agent.h"

#define QUIRK_SLOT_ZAP_ALL (1 << 7)
#ifndef KVM_CAP_DISABLE_QUIRKS2
#define KVM_CAP_DISABLE_QUIRKS2 213
#endif

struct vm vms[MAX_VMS];
int nr_vms;
struct config config;

static int capability(struct vm *vm, unsigned int cap, uint64_t arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { arg } };

	return ioctl(vm->fd, KVM_ENABLE_CAP, &enable) < 0 ?
		fail("KVM_ENABLE_CAP %u: %s", cap, strerror(errno)) : 0;
}

/* For a VM with that MMU. */
static int parameters(int tdp)
{
	char now[16];

	if (!config.tdp_by_load && set_param("tdp_mmu", tdp ? "Y" : "N"))
		return -1;
	/* A load that did not happen is not to be believed. */
	if (read_text("/sys/module/kvm/parameters/tdp_mmu", now, sizeof(now)))
		return -1;
	if ((now[0] == 'Y') != !!tdp)
		return fail("tdp_mmu is %s, not what was asked for", now);
	if (set_param("eager_page_split", config.eager_split ? "Y" : "N"))
		return -1;
	if (set_param("nx_huge_pages_recovery_ratio", "0"))
		return -1;
	return set_param("nx_huge_pages", config.nx ? "force" : "off");
}

static int vm_begin(struct vm *vm, int tdp)
{
	if (parameters(tdp))
		return -1;
	memset(vm, 0, sizeof(*vm));
	vm->tdp = tdp;
	vm->fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (vm->fd < 0)
		return fail("KVM_CREATE_VM: %s", strerror(errno));
	nr_vms++;
	if (config.manual_protect &&
	    capability(vm, KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
		       (config.init_set ? KVM_DIRTY_LOG_INITIALLY_SET : 0)))
		return -1;
	if (!config.slot_zap_all && capability(vm, KVM_CAP_DISABLE_QUIRKS2, QUIRK_SLOT_ZAP_ALL))
		return -1;
	if (config.mmu_pages &&
	    ioctl(vm->fd, KVM_SET_NR_MMU_PAGES, (unsigned long)config.mmu_pages) < 0)
		return fail("KVM_SET_NR_MMU_PAGES: %s", strerror(errno));
	if (guest_slots(vm))
		return -1;
	stats_open(vm);
	for (uint32_t i = 0; i < config.vcpus; i++)
		if (vcpu_add(vm))
			return -1;
	for (uint32_t i = 0; i < config.nr_slots; i++) {
		struct config_slot *one = &config.slots[i];
		struct slot slot = {
			.gfn = one->gfn, .pages = one->pages, .flags = one->flags,
			.hva = AREA(one->area, one->page),
		};

		if (set_slot(vm, one->as, one->slot, slot))
			return fail("slot %u: %s", one->slot, strerror(errno));
	}
	return 0;
}

/* One VM; or two, with the legacy MMU and with the TDP MMU, where a VM has its own. */
int vms_begin(void)
{
	if (kvm_fd < 0)
		return fail("kvm is not loaded");
	if (config.together && config.tdp_by_load)
		return fail("one load of kvm has one MMU here");
	if (areas_make())
		return -1;
	guest_map();
	if (!config.together)
		return vm_begin(&vms[0], config.tdp_mmu);
	return vm_begin(&vms[0], 0) ? -1 : vm_begin(&vms[1], 1);
}

int vcpu_add(struct vm *vm)
{
	int v = vm->nr_vcpus;

	if (v == MAX_VCPUS)
		return 0;
	vm->vcpu_fds[v] = ioctl(vm->fd, KVM_CREATE_VCPU, v);
	if (vm->vcpu_fds[v] < 0)
		return fail("KVM_CREATE_VCPU: %s", strerror(errno));
	vm->nr_vcpus++;
	stats_open_vcpu(vm, v);
	return guest_setup(vm, v);
}

/* 0 or -errno, and errno. */
int set_slot(struct vm *vm, int as, int id, struct slot slot)
{
	struct kvm_userspace_memory_region region = {
		.slot = id | as << 16, .flags = slot.flags, .guest_phys_addr = slot.gfn * PG,
		.memory_size = slot.pages * PG, .userspace_addr = slot.hva,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -errno;
	slot.used = slot.pages != 0;
	vm->slots[as][id] = slot;
	return 0;
}

struct slot *slot_at(struct vm *vm, int as, uint64_t gfn)
{
	for (int i = 0; i < MAX_SLOTS; i++) {
		struct slot *slot = &vm->slots[as][i];

		if (slot->used && gfn - slot->gfn < slot->pages)
			return slot;
	}
	return NULL;
}

/* Everything of the program goes; nothing of a broken beginning stays. */
void vms_end(void)
{
	park_end_all();
	for (struct vm *vm = vms; vm < vms + nr_vms; vm++) {
		stats_close(vm);
		guest_drop(vm);
		for (int v = 0; v < vm->nr_vcpus; v++)
			close(vm->vcpu_fds[v]);
		close(vm->fd);
	}
	nr_vms = 0;
	guest_unmap();
	areas_drop();
}
