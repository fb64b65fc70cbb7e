# SPDX-License-Identifier: GPL-2.0-only
"""vmx.py: the CPU's log of dirty pages (PML) goes into the memslot's when it is full, or asked."""

from __future__ import annotations

import pytest

from difffuzz.kvm.vmx import PML_ENTITY_NUM, vmx_flush_pml_buffer, vmx_log_dirty_gpa

from .vm import Modelled, model

SLOT = "0 gfn=0x0 pages=0x400 area=1 flags=dirty"


def logged(side: Modelled) -> int:
    """Pages in the memslot's log."""
    bitmap = side.kvm.memslots[0].id_hash[0].dirty_bitmap
    assert bitmap is not None
    return sum(mask.bit_count() for mask in bitmap.values())


@pytest.mark.parametrize(
    ("pages", "told"), [(1, 0), (PML_ENTITY_NUM - 1, 0), (PML_ENTITY_NUM, PML_ENTITY_NUM)]
)
def test_vmx_log_dirty_gpa_leaves_the_guest_when_the_log_is_full(pages: int, told: int) -> None:
    side = model("dirty_mode=pml", SLOT)
    vcpu = side.kvm.vcpus[0]
    # kvm_mmu_update_cpu_dirty_logging() asked for it; a vCPU serves that when it enters.
    vcpu.pml_enabled = True
    for gfn in range(pages):
        vmx_log_dirty_gpa(vcpu, gfn << 12)
    assert logged(side) == told
    vmx_flush_pml_buffer(vcpu)
    assert logged(side) == pages
    assert vcpu.pml == []


def test_vmx_log_dirty_gpa_while_it_is_off() -> None:
    side = model("dirty_mode=pml", SLOT)
    vcpu = side.kvm.vcpus[0]
    vcpu.pml_enabled = False
    vmx_log_dirty_gpa(vcpu, 0x3000)
    vmx_flush_pml_buffer(vcpu)
    assert logged(side) == 0
