// SPDX-License-Identifier: GPL-2.0-only
/* The VM of a program: made fresh, with its vCPUs and memslots, and gone with it. */
#include "agent.h"

#define QUIRK_SLOT_ZAP_ALL (1 << 7)
#ifndef KVM_CAP_DISABLE_QUIRKS2
#define KVM_CAP_DISABLE_QUIRKS2 213
#endif

struct slot slots[2][MAX_SLOTS];
int vm_fd = -1, vcpu_fds[MAX_VCPUS], nr_vcpus, in_smm[MAX_VCPUS];
struct config config;

static int capability(unsigned int cap, uint64_t arg)
{
	struct kvm_enable_cap enable = { .cap = cap, .args = { arg } };

	return ioctl(vm_fd, KVM_ENABLE_CAP, &enable) < 0 ?
		fail("KVM_ENABLE_CAP %u: %s", cap, strerror(errno)) : 0;
}

static int parameters(void)
{
	char now[16];

	if (!config.tdp_by_load && set_param("tdp_mmu", config.tdp_mmu ? "Y" : "N"))
		return -1;
	/* A load that did not happen is not to be believed. */
	if (read_text("/sys/module/kvm/parameters/tdp_mmu", now, sizeof(now)))
		return -1;
	if ((now[0] == 'Y') != !!config.tdp_mmu)
		return fail("tdp_mmu is %s, not what was asked for", now);
	if (set_param("eager_page_split", config.eager_split ? "Y" : "N"))
		return -1;
	if (set_param("nx_huge_pages_recovery_ratio", "0"))
		return -1;
	return set_param("nx_huge_pages", config.nx ? "force" : "off");
}

int vm_begin(void)
{
	if (kvm_fd < 0)
		return fail("kvm is not loaded");
	if (parameters())
		return -1;
	vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
	if (vm_fd < 0)
		return fail("KVM_CREATE_VM: %s", strerror(errno));
	nr_vcpus = 0;
	memset(slots, 0, sizeof(slots));
	memset(in_smm, 0, sizeof(in_smm));
	if (config.manual_protect &&
	    capability(KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2, KVM_DIRTY_LOG_MANUAL_PROTECT_ENABLE |
		       (config.init_set ? KVM_DIRTY_LOG_INITIALLY_SET : 0)))
		return -1;
	if (!config.slot_zap_all && capability(KVM_CAP_DISABLE_QUIRKS2, QUIRK_SLOT_ZAP_ALL))
		return -1;
	if (config.mmu_pages &&
	    ioctl(vm_fd, KVM_SET_NR_MMU_PAGES, (unsigned long)config.mmu_pages) < 0)
		return fail("KVM_SET_NR_MMU_PAGES: %s", strerror(errno));
	if (areas_make())
		return -1;
	guest_map();
	if (guest_slots())
		return -1;
	stats_open();
	for (uint32_t i = 0; i < config.vcpus; i++)
		if (vcpu_add())
			return -1;
	for (uint32_t i = 0; i < config.nr_slots; i++) {
		struct config_slot *one = &config.slots[i];
		struct slot slot = {
			.gfn = one->gfn, .pages = one->pages, .flags = one->flags,
			.hva = AREA(one->area, one->page),
		};

		if (set_slot(one->as, one->slot, slot))
			return fail("slot %u: %s", one->slot, strerror(errno));
	}
	return 0;
}

int vcpu_add(void)
{
	int v = nr_vcpus;

	if (v == MAX_VCPUS)
		return 0;
	vcpu_fds[v] = ioctl(vm_fd, KVM_CREATE_VCPU, v);
	if (vcpu_fds[v] < 0)
		return fail("KVM_CREATE_VCPU: %s", strerror(errno));
	nr_vcpus++;
	stats_open_vcpu(v);
	return guest_setup(v);
}

/* 0 or -errno, and errno. */
int set_slot(int as, int id, struct slot slot)
{
	struct kvm_userspace_memory_region region = {
		.slot = id | as << 16, .flags = slot.flags, .guest_phys_addr = slot.gfn * PG,
		.memory_size = slot.pages * PG, .userspace_addr = slot.hva,
	};

	if (ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0)
		return -errno;
	slot.used = slot.pages != 0;
	slots[as][id] = slot;
	return 0;
}

struct slot *slot_at(int as, uint64_t gfn)
{
	for (int i = 0; i < MAX_SLOTS; i++) {
		struct slot *slot = &slots[as][i];

		if (slot->used && gfn - slot->gfn < slot->pages)
			return slot;
	}
	return NULL;
}

/* Everything of the program goes; nothing of a broken beginning stays. */
void vm_end(void)
{
	park_end_all();
	stats_close();
	guest_unmap();
	for (int v = 0; v < nr_vcpus; v++)
		close(vcpu_fds[v]);
	nr_vcpus = 0;
	if (vm_fd >= 0)
		close(vm_fd);
	vm_fd = -1;
	areas_drop();
}
