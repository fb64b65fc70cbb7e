# SPDX-License-Identifier: GPL-2.0-only
"""virt/kvm/async_pf.c: waiting for a swapped-out page while the guest runs something else.

The guest of the model waits: the access is tried again, and the worker's job is done by then.
"""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn

from .kvm_host import KvmVcpu
from .kvm_main import __gfn_to_pfn_memslot, kvm_release_pfn_clean
from .memslots import gfn_to_hva_many, kvm_vcpu_gfn_to_memslot


def kvm_can_do_async_pf(vcpu: KvmVcpu) -> bool:
    """True if the guest agreed to be told of absent pages, and can be told now."""
    return vcpu.kvm.enable_async_pf and not vcpu.guest_mode and not vcpu.smm


def kvm_arch_setup_async_pf(vcpu: KvmVcpu, gfn: Gfn) -> bool:
    """Starts a worker that faults the page in for write; False where that cannot be had."""
    if gfn_to_hva_many(kvm_vcpu_gfn_to_memslot(vcpu, gfn), gfn, True) < 0:
        return False
    vcpu.apf_gfns.append(gfn)
    return True


def async_pf_execute(vcpu: KvmVcpu, gfn: Gfn) -> None:
    """The worker: faults the page in and notes that it is there."""
    kvm = vcpu.kvm
    slot = kvm_vcpu_gfn_to_memslot(vcpu, gfn)
    pfn, _, _, _ = __gfn_to_pfn_memslot(kvm, slot, gfn, False, False, True)
    kvm_release_pfn_clean(kvm, pfn)
    vcpu.apf_gfns.remove(gfn)
    vcpu.apf_done.append(gfn)
