# SPDX-License-Identifier: GPL-2.0-only
"""arch/x86/kvm/vmx/vmx.c: page modification logging."""

from __future__ import annotations

from .kvm_host import KvmVcpu
from .memslots import kvm_vcpu_mark_page_dirty

PML_ENTITY_NUM = 512


def vmx_log_dirty_gpa(vcpu: KvmVcpu, gpa: int) -> None:
    """The CPU set a dirty bit: it logs the page, and leaves the guest when the log is full."""
    if not vcpu.pml_enabled:
        return
    vcpu.pml.append(gpa)
    if len(vcpu.pml) == PML_ENTITY_NUM:
        vmx_flush_pml_buffer(vcpu)


def vmx_flush_pml_buffer(vcpu: KvmVcpu) -> None:
    """Marks the logged pages dirty."""
    for gpa in vcpu.pml:
        kvm_vcpu_mark_page_dirty(vcpu, gpa >> 12)
    vcpu.pml.clear()


def vmx_update_cpu_dirty_logging(vcpu: KvmVcpu) -> None:
    """Switches the log on or off.  L2 runs without it: its gpas would be logged."""
    vcpu.pml_enabled = bool(vcpu.kvm.cpu_dirty_logging_count) and not vcpu.guest_mode
