# SPDX-License-Identifier: GPL-2.0-only
"""KVM_PRE_FAULT_MEMORY, which this kernel does not have: it came with 6.11."""

from __future__ import annotations

from difffuzz.facts.addresses import Gfn
from difffuzz.facts.errno import EINVAL

from .kvm_host import KvmVcpu


def kvm_vcpu_pre_fault_memory(vcpu: KvmVcpu, gfn: Gfn, npages: int) -> int:
    """The ioctl of a vCPU: -EINVAL, as of any that is not known."""
    return -EINVAL
