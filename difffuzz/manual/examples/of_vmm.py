# SPDX-License-Identifier: GPL-2.0-only
"""Examples of what user space does: memslots, dirty logs, limits, module parameters."""

from __future__ import annotations

from difffuzz.program.ops import Kind

from .example import HUGE, LOGGED, SMALL, Example

READ = "vcpu0: read gfn=0x3\n"
ABSENT = "No memslot has that number: it does nothing."

EXAMPLES = {
    Kind.MEMSLOT_CREATE: Example(
        f"{READ}vmm: memslot_create slot=0 gfn=0x0 n=0x8 area=1 page=0x0\n{READ}",
        "KVM_SET_USER_MEMORY_REGION with KVM_MR_CREATE. MMIO SPTEs of older generations are "
        "stale from then on.",
        "Its gfns are another memslot's: -EEXIST. The number is taken: the ioctl changes that "
        "memslot, or is -EINVAL.",
    ),
    Kind.MEMSLOT_DELETE: Example(
        f"{SMALL}{READ}vmm: memslot_delete slot=0\n{READ}",
        "KVM_MR_DELETE: `kvm_invalidate_memslot()`, `kvm_arch_flush_shadow_memslot()`, then the "
        "memslots without it. Parked faults end first.",
        "No memslot has that number: -EINVAL.",
    ),
    Kind.MEMSLOT_MOVE: Example(
        f"{SMALL}vcpu0: write gfn=0x3\nvmm: memslot_move slot=0 gfn=0x1000\n"
        "vcpu0: read gfn=0x1003\n",
        "KVM_MR_MOVE: as a deletion, then the memslot elsewhere.",
        f"{ABSENT} Its new gfns are another memslot's: -EEXIST.",
    ),
    Kind.MEMSLOT_FLAGS: Example(
        f"{HUGE}vcpu0: write gfn=0x3\nvmm: memslot_flags slot=0 flags=dirty\n"
        "vcpu0: write gfn=0x3\n",
        "KVM_MR_FLAGS_ONLY: `kvm_mmu_slot_apply_flags()` splits and write-protects, or clears "
        "dirty bits, or zaps what can be huge again.",
        f"{ABSENT} Read-only can not be changed: -EINVAL.",
    ),
    Kind.DIRTY_GET: Example(
        f"{LOGGED}vcpu0: write gfn=0x3\nvmm: dirty_get slot=0\nvmm: dirty_get slot=0\n",
        "KVM_GET_DIRTY_LOG: `kvm_get_dirty_log_protect()` takes the bitmap and "
        "`kvm_arch_mmu_enable_log_dirty_pt_masked()` protects its pages again.",
        "The memslot has no log: -ENOENT.",
    ),
    Kind.DIRTY_CLEAR: Example(
        f"config manual_protect=on\n{LOGGED}vcpu0: write gfn=0x3\n"
        "vmm: dirty_clear slot=0 first=0x0 n=0x40\nvmm: dirty_get slot=0\n",
        "KVM_CLEAR_DIRTY_LOG: `kvm_clear_dirty_log_protect()`.",
        "Without a log: -ENOENT. `first` must be a multiple of 64, and `n` too or reach the "
        "memslot's end: else -EINVAL.",
    ),
    Kind.MMU_PAGES: Example(
        f"{SMALL}{READ}vmm: mmu_pages n=8\n{READ}",
        "KVM_SET_NR_MMU_PAGES: `kvm_mmu_change_mmu_pages()` zaps what is beyond, oldest first. "
        "The TDP MMU's pages do not count.",
        "Less than 8: -EINVAL (64 in the kernel).",
    ),
    Kind.TRACK_ADD: Example(
        f"{HUGE}vcpu0: write gfn=0x3\nvmm: track_add gfn=0x3\nvcpu0: write gfn=0x3\n",
        "`kvm_slot_page_track_add_page()`: writes of the page are emulated, "
        "`page_fault_handle_page_track()`.",
        "No memslot has the gfn: the answer is 0.",
    ),
    Kind.TRACK_REMOVE: Example(
        f"{SMALL}vmm: track_add gfn=0x3\nvmm: track_remove gfn=0x3\nvcpu0: write gfn=0x3\n",
        "`kvm_slot_page_track_remove_page()`.",
        "The gfn is not tracked: the answer is 0.",
    ),
    Kind.NX: Example(
        f"{HUGE}vcpu0: read gfn=0x3\nvmm: nx on\nvcpu0: exec gfn=0x3\n",
        "A write of the module parameter `nx_huge_pages`: a change is `kvm_mmu_zap_all_fast()`.",
        "It is so already: it does nothing.",
    ),
    Kind.ZAP_GFN_RANGE: Example(
        f"{SMALL}{READ}vmm: zap_gfn_range gfn=0x0 n=0x8\n{READ}",
        "`kvm_zap_gfn_range()`, as when MTRRs or APICv change: an invalidation of its own.",
    ),
    Kind.VCPU_CREATE: Example(
        f"{SMALL}vmm: vcpu_create\nvcpu1: write gfn=0x3\n",
        "KVM_CREATE_VCPU: `kvm_mmu_create()`.",
        "Four exist: it does nothing.",
    ),
    Kind.NX_RECOVER: Example(
        f"config nx=on\n{HUGE}vcpu0: exec gfn=0x3\nworker: nx_recover\n{READ}",
        "`kvm_recover_nx_huge_pages()` zaps tables that NX splits made, so that huge pages come "
        "back.",
    ),
    Kind.SYNC: Example(
        f"config vcpus=2\n{SMALL}vcpu0: write gfn=0x3\nvmm: sync\nvcpu1: read gfn=0x3\n",
        "Nothing runs. Between two of them threads run at once, in a concurrent run.",
    ),
}
