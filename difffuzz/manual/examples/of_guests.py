# SPDX-License-Identifier: GPL-2.0-only
"""Examples of guests with page tables of their own, which only the kernel's own code runs."""

from __future__ import annotations

from difffuzz.program.ops import Kind

from .example import Example

PAGING = "config guest=paging64\nslot 0 gfn=0x0 pages=0x200 area=0\n"
L1 = "config guest=ept12\nslot 0 gfn=0x0 pages=0x200 area=0\n"
NATIVE = "In programs without such a guest it does nothing. Models do not run such programs."
WALK = (
    "The legacy MMU shadows the guest's tables (`paging64_page_fault()`); under the TDP MMU the "
    "CPU walks them through KVM's."
)
INSIDE = (
    "L1 enters L2 if it does not run. `ept_page_fault()`, or `paging64_page_fault()` of an NPT."
)

EXAMPLES = {
    Kind.GVA_READ: Example(f"{PAGING}vcpu0: gva_read gva=0.0.0.0\n", WALK, NATIVE, ()),
    Kind.GVA_WRITE: Example(f"{PAGING}vcpu0: gva_write gva=0.0.0.0 by=user\n", WALK, NATIVE, ()),
    Kind.GVA_EXEC: Example(f"{PAGING}vcpu0: gva_exec gva=0.0.0.0 by=kernel\n", WALK, NATIVE, ()),
    Kind.PTE: Example(
        f"{PAGING}vcpu0: pte G.0 to=0x13 flags=p,w,u how=mov\nvcpu0: gva_read gva=0.0.0.0\n",
        "A write of a page that KVM shadows is emulated: `kvm_mmu_pte_write()`, later "
        "`kvm_mmu_track_write()`; `how=slowly`: `kvm_mmu_unprotect_page()`.",
        NATIVE,
        (),
    ),
    Kind.INVLPG: Example(
        f"{PAGING}vcpu0: pte G.0 to=0x13 flags=p,w,u\nvcpu0: invlpg gva=0.0.0.0\n"
        "vcpu0: gva_read gva=0.0.0.0\n",
        "`kvm_mmu_invlpg()`.",
        NATIVE,
        (),
    ),
    Kind.CR3: Example(
        f"{PAGING}vcpu0: cr3 B\nvcpu0: gva_read gva=1.0.0.0\n",
        "`kvm_set_cr3()`: `kvm_mmu_new_pgd()`, and a flush of the guest's TLB.",
        NATIVE,
        (),
    ),
    Kind.TOGGLE: Example(
        f"{PAGING}vcpu0: pte G.0 to=0x13 flags=p,u\nvcpu0: toggle wp\n"
        "vcpu0: gva_write gva=0.0.0.0\n",
        "`kvm_set_cr0()`, `kvm_set_cr4()` or `set_efer()`: another role, so another root.",
        NATIVE,
        (),
    ),
    Kind.DMA: Example(
        f"{PAGING}vmm: dma G.2 to=0x13 flags=p,w,u\nvcpu0: gva_read gva=0.0.0.2\n",
        "Memory changes and no CPU traps.",
        NATIVE,
        (),
    ),
}
NESTED = {
    Kind.GVA_READ: Example(f"{L1}vcpu0: l2_read gpa=0.0.0.0\n", INSIDE, sides=()),
    Kind.GVA_WRITE: Example(f"{L1}vcpu0: l2_write gpa=0.0.0.0\n", INSIDE, sides=()),
    Kind.GVA_EXEC: Example(f"{L1}vcpu0: l2_exec gpa=0.0.0.0\n", INSIDE, sides=()),
    Kind.INVLPG: Example(
        f"{L1}vcpu0: pte G.0 to=0x13 flags=p,w,u\nvcpu0: invept\nvcpu0: l2_read gpa=0.0.0.0\n",
        "`handle_invept()`; with `npt12` the next VMRUN flushes that ASID.",
        sides=(),
    ),
}
