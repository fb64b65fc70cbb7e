# SPDX-License-Identifier: GPL-2.0-only
"""What KVM answers to a fault, and what it asks of a vCPU.

The numbers are those that cross the seam between a side and its KVM (sides/kvm_package.py), and so
right for every version: `kvm_mmu_page_fault()` of a package answers RET_PF_* in them, and
`Vcpu.requests` has these bits, whatever its kernel's own are.  RET_PF_* are as Linux 6.1 counts;
the kernel's own code is translated (native_ret_pf() in harness/native/kernel/compat.h, because 6.12
counts RET_PF_WRITE_PROTECTED in between; `model_requests()` of native/kvm.py).  difffuzz.kvm takes
them from its mmu_internal.py and kvm_host.py, where the patch of a version may add a number of its
own but leaves these: tests/variants/test_kernels.py sees to it.
"""

from __future__ import annotations

RET_PF_CONTINUE = 0
RET_PF_RETRY = 1
RET_PF_EMULATE = 2
RET_PF_INVALID = 3
RET_PF_FIXED = 4
RET_PF_SPURIOUS = 5

RET_PF_NAMES = ("CONTINUE", "RETRY", "EMULATE", "INVALID", "FIXED", "SPURIOUS")

"""What comes behind RET_PF_, by number."""
RET_PF_MAPPED = frozenset({RET_PF_FIXED, RET_PF_SPURIOUS})
"""What a fault answers that makes or finds a mapping."""

KVM_REQ_TLB_FLUSH = 1 << 0
KVM_REQ_MMU_FREE_OBSOLETE_ROOTS = 1 << 2
KVM_REQ_LOAD_MMU_PGD = 1 << 3
KVM_REQ_TLB_FLUSH_CURRENT = 1 << 4
KVM_REQ_APF_HALT = 1 << 5
KVM_REQ_UPDATE_CPU_DIRTY_LOGGING = 1 << 6
KVM_REQ_TLB_FLUSH_RANGE = 1 << 7
"""A ranged flush by the hypervisor below (Hyper-V's); not a request of the kernel's own."""


def answer_name(ret: int) -> str:
    """What a fault answered, in the kernel's words: a RET_PF_*, or -errno."""
    return RET_PF_NAMES[ret] if 0 <= ret < len(RET_PF_NAMES) else str(ret)
