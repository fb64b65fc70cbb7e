// SPDX-License-Identifier: GPL-2.0-only
/* The tree's x86.c, and a way to its static functions. */
#include "arch/x86/kvm/x86.c"
#include "native.h"

void native_reset_async_pf(struct kvm_vcpu *vcpu)
{
	kvm_async_pf_hash_reset(vcpu);
}

void native_add_async_pf(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	kvm_add_async_pf_gfn(vcpu, gfn);
}

void native_del_async_pf(struct kvm_vcpu *vcpu, gfn_t gfn)
{
	kvm_del_async_pf_gfn(vcpu, gfn);
}

/*
 * Guests with page tables.  Instructions are not decoded: what they do to memory is done by the
 * functions that the emulator calls for it.
 */

static int no_device_read(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr, int len, void *val)
{
	return -EOPNOTSUPP;
}

static int no_device_write(struct kvm_vcpu *vcpu, struct kvm_io_device *dev, gpa_t addr, int len,
			   const void *val)
{
	return -EOPNOTSUPP;
}

static const struct kvm_io_device_ops no_device = { .read = no_device_read, .write = no_device_write };

/* What the emulator wants of a vCPU: a context, an APIC to ask, a place to tell user space. */
void native_create_emulator(struct kvm_vcpu *vcpu)
{
	struct x86_emulate_ctxt *ctxt = native_alloc(sizeof(*ctxt));

	ctxt->vcpu = vcpu;
	ctxt->mode = X86EMUL_MODE_PROT64;
	vcpu->arch.emulate_ctxt = ctxt;
	vcpu->arch.apic = native_alloc(sizeof(*vcpu->arch.apic));
	vcpu->arch.apic->dev.ops = &no_device;
	vcpu->run = native_alloc(sizeof(*vcpu->run));
}

/* `access`: 0 read, 1 write, 2 fetch.  Returns NATIVE_EMULATED_*. */
long native_emulate(struct kvm_vcpu *vcpu, gva_t gva, long access, u64 *word)
{
	struct x86_emulate_ctxt *ctxt = vcpu->arch.emulate_ctxt;
	struct x86_exception exception = { .vector = PF_VECTOR };
	static u64 words[NATIVE_VCPUS];
	u64 *at = &words[vcpu->vcpu_id];
	int r;

	*at = *word;
	vcpu->mmio_needed = vcpu->mmio_read_completed = 0;
	if (access == 0)
		r = emulator_read_emulated(ctxt, gva, at, sizeof(*at), &exception);
	else if (access == 1)
		r = emulator_write_emulated(ctxt, gva, at, sizeof(*at), &exception);
	else
		r = kvm_fetch_guest_virt(ctxt, gva, at, sizeof(*at), &exception);
	*word = *at;
	if (r == X86EMUL_PROPAGATE_FAULT) {
		kvm_inject_emulated_page_fault(vcpu, &exception);
		return NATIVE_EMULATED_FAULT;
	}
	if (vcpu->mmio_needed || r == X86EMUL_IO_NEEDED) {
		vcpu->mmio_needed = 0;
		return NATIVE_EMULATED_MMIO;
	}
	return r == X86EMUL_CONTINUE ? NATIVE_EMULATED_DONE : -EFAULT;
}

/* The error code of the #PF that the guest is about to take, -1 for none; it is taken. */
long native_take_page_fault(struct kvm_vcpu *vcpu)
{
	struct kvm_queued_exception *exception = &vcpu->arch.exception;

	if (!exception->pending)
		return -1;
	if (exception->vector != PF_VECTOR)
		native_die("crash", "kvm_multiple_exception", "an exception that is no #PF");
	exception->pending = exception->has_payload = false;
	kvm_clear_request(KVM_REQ_EVENT, vcpu);
	return exception->error_code;
}

void native_set_cr0(struct kvm_vcpu *vcpu, unsigned long cr0)
{
	unsigned long old = vcpu->arch.cr0;

	vcpu->arch.cr0 = cr0;
	kvm_post_set_cr0(vcpu, old, cr0);
}

void native_set_cr4(struct kvm_vcpu *vcpu, unsigned long cr4)
{
	unsigned long old = vcpu->arch.cr4;

	vcpu->arch.cr4 = cr4;
	kvm_post_set_cr4(vcpu, old, cr4);
}

/* WRMSR of EFER, without what the vendor does to its own state. */
void native_set_efer(struct kvm_vcpu *vcpu, u64 efer)
{
	u64 old = vcpu->arch.efer;

	vcpu->arch.efer = efer;
	if ((efer ^ old) & KVM_MMU_EFER_ROLE_BITS)
		kvm_mmu_reset_context(vcpu);
}
