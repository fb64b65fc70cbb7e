# SPDX-License-Identifier: GPL-2.0-only
"""Examples of what vCPUs do: accesses, the two halves of a fault, changes of their root."""

from __future__ import annotations

from difffuzz.program.ops import Kind

from .example import HUGE, SMALL, THP, Example

EXAMPLES = {
    Kind.READ: Example(
        f"{SMALL}vcpu0: write gfn=0x3\nvcpu0: read gfn=0x3\nvcpu0: read gfn=0x400\n",
        "The CPU walks KVM's tables. What they do not allow is an exit, which "
        "`kvm_mmu_page_fault()` handles until the access is done or emulated.",
        "No memslot has the gfn: the answer is `mmio`. The gfn is beyond `maxphyaddr`: `fault`.",
    ),
    Kind.WRITE: Example(
        "slot 0 gfn=0x0 pages=0x8 area=1 flags=dirty\n"
        "vcpu0: write gfn=0x3\nvmm: dirty_get slot=0\nvcpu0: write gfn=0x3\n",
        "As `read`. Where only the W bit is missing, `fast_page_fault()` gives it back without "
        "`mmu_lock`. It writes the operation's number, counted from 1.",
        "The memslot is read-only: the answer is `mmio`.",
    ),
    Kind.EXEC: Example(
        f"config nx=on\n{HUGE}vcpu0: read gfn=0x3\nvcpu0: exec gfn=0x3\n",
        "As `read`. Under the NX mitigation the huge page is split here: "
        "`disallowed_hugepage_adjust()`.",
    ),
    Kind.BEGIN_FAULT: Example(
        f"{SMALL}vcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: dontneed area=1 page=0x3 n=0x1\nvcpu0: end_fault\n",
        "`kvm_faultin_pfn()` has read `mmu_invalidate_seq` and has the pfn; `mmu_lock` is not "
        "taken yet.",
        "The vCPU holds a parked fault already: it does nothing. The access needs no fault: it "
        "is made by `end_fault`.",
    ),
    Kind.END_FAULT: Example(
        f"{SMALL}vcpu0: begin_fault gfn=0x3 access=write\nvmm: nx on\nvcpu0: end_fault\n",
        "`is_page_fault_stale()` under `mmu_lock`, then `direct_map()` or `kvm_tdp_mmu_map()`. "
        "After RETRY the access begins anew.",
        "The vCPU holds no parked fault: it does nothing.",
    ),
    Kind.SMM: Example(
        f"{SMALL}slot 0 as=1 gfn=0x0 pages=0x8 area=1 page=0x8\n"
        "vcpu0: write gfn=0x8\nvcpu0: smm on\nvcpu0: read gfn=0x0\nvcpu0: smm off\n",
        "`kvm_smm_changed()` resets the MMU: the role of its root has `smm`, its memslots are "
        "those of address space 1.",
    ),
    Kind.GUEST_MODE: Example(
        f"{SMALL}vcpu0: write gfn=0x3\nvcpu0: guest_mode on\nvcpu0: read gfn=0x3\n",
        "`kvm_mmu_new_pgd()` finds the other root among the cached ones, or frees the vCPU's.",
    ),
    Kind.RELOAD: Example(
        f"{SMALL}vcpu0: write gfn=0x3\nvcpu0: reload\nvcpu0: read gfn=0x3\n",
        "`kvm_mmu_reset_context()`: `kvm_mmu_unload()`, and `kvm_mmu_load()` at the next entry.",
    ),
    Kind.PREFAULT: Example(
        f"{THP}vcpu0: prefault gfn=0x0 n=0x8\nvcpu0: read gfn=0x3\n",
        "The ioctl KVM_PRE_FAULT_MEMORY: `kvm_arch_vcpu_pre_fault_memory()` for each page.",
        "Kernels before 6.11, and the base's model, answer -EINVAL; `legacy@v6.12` has it.",
        ("legacy@v6.12", "tdp@v6.12"),
    ),
}
