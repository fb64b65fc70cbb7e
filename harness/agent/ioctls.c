// SPDX-License-Identifier: GPL-2.0-only
/* Operations of the VMM: memslots, dirty logs, parameters, vCPUs. */
#include "agent.h"

static int dirty_get(struct vm *vm, int id, int as, struct seen *seen)
{
	uint64_t pages = vm->slots[as][id].pages;
	uint64_t *bitmap = calloc(pages / 64 + 1, 8);
	struct kvm_dirty_log log = { .slot = id | as << 16, .dirty_bitmap = bitmap };
	int r = ioctl(vm->fd, KVM_GET_DIRTY_LOG, &log) < 0 ? -errno : 0;
	uint32_t found = 0;

	seen->words = r ? NULL : malloc((pages / 64 + 1) * 16);
	for (uint64_t i = 0; seen->words && i <= pages / 64; i++) {
		if (!bitmap[i])
			continue;
		seen->words[2 * found] = i;
		seen->words[2 * found++ + 1] = bitmap[i];
	}
	seen->told.words = found;
	free(bitmap);
	return r;
}

static int dirty_clear(struct vm *vm, int id, int as, uint64_t first, uint64_t n)
{
	uint64_t *bitmap = malloc((n / 64 + 1) * 8);
	struct kvm_clear_dirty_log clear = {
		.slot = id | as << 16, .first_page = first, .num_pages = n, .dirty_bitmap = bitmap,
	};
	int r;

	memset(bitmap, 0xff, (n / 64 + 1) * 8);
	r = ioctl(vm->fd, KVM_CLEAR_DIRTY_LOG, &clear) < 0 ? -errno : 0;
	free(bitmap);
	return r;
}

/* The worker has its turn with all pages, at once; then it sleeps again. */
static void nx_recover(struct seen *seen)
{
	if (set_param("nx_huge_pages_recovery_period_ms", "1") ||
	    set_param("nx_huge_pages_recovery_ratio", "1"))
		note(seen, "%s", why);
	usleep(60000);
	set_param("nx_huge_pages_recovery_ratio", "0");
}

/* The vCPU's root goes and comes again: a control register changes. */
static int reload(struct vm *vm, int v)
{
	struct kvm_sregs sregs;

	if (ioctl(vm->vcpu_fds[v], KVM_GET_SREGS, &sregs) < 0)
		return -errno;
	sregs.cr4 ^= 1 << 3;	/* DE: nothing of the guest goes by it */
	return ioctl(vm->vcpu_fds[v], KVM_SET_SREGS, &sregs) < 0 ? -errno : 0;
}

static int smm(struct vm *vm, int v, int on)
{
	struct kvm_vcpu_events events = { .flags = KVM_VCPUEVENT_VALID_SMM, .smi.smm = on };

	vm->in_smm[v] = on;
	return ioctl(vm->vcpu_fds[v], KVM_SET_VCPU_EVENTS, &events) < 0 ? -errno : 0;
}

static int slot_op(struct vm *vm, int kind, const uint64_t *args)
{
	int id = args[0], as = args[1];
	struct slot slot = vm->slots[as][id], none = { 0 };

	if (kind == OP_MEMSLOT_DELETE)
		return set_slot(vm, as, id, none);
	if (kind == OP_MEMSLOT_CREATE) {
		struct slot made = {
			.gfn = args[2], .pages = args[3], .hva = AREA(args[4], args[5]),
			.flags = args[6],
		};

		return set_slot(vm, as, id, made);
	}
	if (!slot.used)
		return 0;
	if (kind == OP_MEMSLOT_MOVE)
		slot.gfn = args[2];
	else
		slot.flags = args[2];
	return set_slot(vm, as, id, slot);
}

/* Arguments are those of the program language. */
void vmm_op(struct vm *vm, int kind, int v, const uint64_t *args, struct seen *seen)
{
	int r = 0;

	switch (kind) {
	case OP_MEMSLOT_CREATE:
	case OP_MEMSLOT_DELETE:
	case OP_MEMSLOT_MOVE:
	case OP_MEMSLOT_FLAGS:
		r = slot_op(vm, kind, args);
		break;
	case OP_DIRTY_GET:
		r = dirty_get(vm, args[0], args[1], seen);
		break;
	case OP_DIRTY_CLEAR:
		r = dirty_clear(vm, args[0], args[1], args[2], args[3]);
		break;
	case OP_MMU_PAGES:
		r = ioctl(vm->fd, KVM_SET_NR_MMU_PAGES, (unsigned long)args[0]) < 0 ? -errno : 0;
		break;
	case OP_NX:
		if (set_param("nx_huge_pages", args[0] ? "force" : "off"))
			note(seen, "%s", why);
		break;
	case OP_NX_RECOVER:
		nx_recover(seen);
		break;
	case OP_VCPU_CREATE:
		if (vcpu_add(vm))
			note(seen, "%s", why);
		break;
	case OP_SMM:
		r = smm(vm, v, args[0]);
		break;
	case OP_RELOAD:
		r = reload(vm, v);
		break;
	case OP_SYNC:
		break;
	default:
		note(seen, "the agent does not know it");
	}
	seen->told.ret = r;
}
