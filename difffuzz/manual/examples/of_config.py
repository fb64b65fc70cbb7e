# SPDX-License-Identifier: GPL-2.0-only
"""Examples of lines that are no operations: configuration, areas, memslots, schedules."""

from __future__ import annotations

from .example import HUGE, LOGGED, SMALL, THP, Example
from .of_guests import PAGING

READ = "vcpu0: read gfn=0x3\n"
WRITE = "vcpu0: write gfn=0x3\n"

CONFIG = {
    "vcpus": Example(
        f"config vcpus=2\n{SMALL}{WRITE}vcpu1: read gfn=0x3\n",
        "KVM_CREATE_VCPU; vCPUs of one role share a root in the TDP MMU.",
    ),
    "paging": Example(
        f"config paging=nonpaging\n{SMALL}{READ}",
        "`nonpaging_page_fault()` in the place of `kvm_tdp_page_fault()`: the legacy MMU alone "
        "runs it, the other side is `spec`.",
        sides=("legacy", "spec"),
    ),
    "layout": Example(f"config layout=npt\n{SMALL}{READ}", "`kvm_mmu_reset_all_pte_masks()`."),
    "ad": Example(
        f"config ad=off\n{SMALL}{READ}host0: age area=1 page=0x3 n=0x1 flush=on\n{READ}",
        "`kvm_ad_enabled()`: without it pages are aged by `mark_spte_for_access_track()`.",
    ),
    "root_level": Example(f"config root_level=5\n{SMALL}{READ}", "`kvm_mmu_get_tdp_level()`."),
    "max_level": Example(f"config max_level=2M\n{HUGE}{READ}", "`max_huge_page_level`."),
    "nx": Example(
        f"config nx=on\n{HUGE}vcpu0: exec gfn=0x3\n", "The module parameter `nx_huge_pages`."
    ),
    "mmio_caching": Example(
        f"config mmio_caching=off\n{SMALL}vcpu0: read gfn=0x400\n",
        "The module parameter `mmio_caching`.",
    ),
    "eager_split": Example(
        f"config eager_split=off\n{HUGE}{WRITE}"
        f"vmm: memslot_flags slot=0 flags=dirty\n{READ}{WRITE}",
        "The module parameter `eager_page_split`.",
    ),
    "dirty_mode": Example(
        f"config dirty_mode=pml\n{LOGGED}{WRITE}vmm: dirty_get slot=0\n",
        "`cpu_dirty_log_size`: `vmx_flush_pml_buffer()`.",
    ),
    "manual_protect": Example(
        f"config manual_protect=on\n{LOGGED}{WRITE}vmm: dirty_get slot=0\nvmm: dirty_get slot=0\n",
        "`kvm_get_dirty_log_protect()` copies the log and clears nothing.",
    ),
    "init_set": Example(
        f"config init_set=on\n{LOGGED}vmm: dirty_get slot=0\n",
        "`kvm_dirty_log_manual_protect_and_init_set()`.",
    ),
    "mmu_pages": Example(f"config mmu_pages=8\n{SMALL}{READ}", "`n_max_mmu_pages`."),
    "async_pf": Example(
        f"config async_pf=on\n{SMALL}{WRITE}host0: swap_out area=1 page=0x3 n=0x1\n{READ}",
        "`kvm_can_do_async_pf()`, `kvm_arch_setup_async_pf()`.",
    ),
    "range_flush": Example(
        f"config range_flush=on\n{SMALL}{WRITE}host0: dontneed area=1 page=0x3 n=0x1\n{READ}",
        "`kvm_available_flush_tlb_with_range()`.",
    ),
    "seq_bias": Example(
        f"config seq_bias=1\n{SMALL}vcpu0: begin_fault gfn=0x3 access=read\n"
        "host0: dontneed area=1 page=0x3 n=0x1\nvcpu0: end_fault\n",
        "The retry protocol where a signed number would overflow.",
    ),
    "gen_bias": Example(
        f"config gen_bias=1\n{SMALL}vcpu0: read gfn=0x400\n"
        "vmm: memslot_create slot=1 gfn=0x400 n=0x8 area=1 page=0x0\nvcpu0: read gfn=0x400\n",
        "`kvm_mmu_invalidate_mmio_sptes()` zaps all MMIO SPTEs when the generation wraps.",
    ),
    "recovery_ratio": Example(
        f"config nx=on recovery_ratio=2\n{HUGE}vcpu0: exec gfn=0x3\nvcpu0: exec gfn=0x203\n"
        "worker: nx_recover\nvcpu0: read gfn=0x3\nvcpu0: read gfn=0x203\n",
        "The module parameter `nx_huge_pages_recovery_ratio`.",
    ),
    "slot_zap_all": Example(
        f"config slot_zap_all=off\n{SMALL}{READ}vmm: memslot_delete slot=0\n{READ}",
        "`kvm_arch_flush_shadow_memslot()`.",
    ),
    "host_errs": Example(
        f"config host_errs=on\n{SMALL}host0: invalidate area=1 page=0x3 n=0x1 start\n"
        "host0: invalidate area=1 page=0x3 n=0x1 end\n" + READ,
        "`kvm_mmu_notifier_invalidate_range_start()` without its end, or the reverse.",
    ),
    "guest": Example(
        f"{PAGING}vcpu0: gva_read gva=0.0.0.0\n",
        "`init_kvm_softmmu()` or `init_kvm_tdp_mmu()`; `kvm_init_shadow_ept_mmu()` and "
        "`kvm_init_shadow_npt_mmu()` for an L2.",
        sides=(),
    ),
    "maxphyaddr": Example(
        "config maxphyaddr=48\nslot 0 gfn=0xffffffff8 pages=0x8 area=1\n"
        "vcpu0: write gfn=0xfffffffff\nvcpu0: read gfn=0x1000000000\n",
        "`kvm_mmu_max_gfn()`.",
    ),
    "four_levels": Example(
        f"config vcpus=2 root_level=5 maxphyaddr=52 four_levels=vcpu1\n{SMALL}{WRITE}"
        "vcpu1: read gfn=0x3\n",
        "CPUID 0x80000008 of each vCPU: `kvm_mmu_get_tdp_level()`, `cpuid_maxphyaddr()`.",
    ),
    "exit_races": Example(
        f"config exit_races=on\n{SMALL}{WRITE}vmm: sync\nworker: nx on\n",
        "`kvm_mmu_notifier_release()` beside `set_nx_huge_pages()`.",
    ),
}
AREAS = {
    "thp": Example(f"area 0 thp\n{THP}{WRITE}", "Private anonymous memory, MADV_HUGEPAGE."),
    "4k": Example(f"area 1 4k\n{SMALL}{WRITE}", "Private anonymous memory of 4K pages."),
    "hugetlb2m": Example(f"area 2 hugetlb2m\n{HUGE}{WRITE}", "MAP_HUGETLB, pages of 2M."),
    "hugetlb1g": Example(
        "area 2 hugetlb1g\nslot 0 gfn=0x0 pages=0x40000 area=2\n" + WRITE,
        "MAP_HUGETLB, pages of 1G.",
    ),
    "shared": Example(
        "area 3 shared\nslot 0 gfn=0x0 pages=0x8 area=3\n" + WRITE, "shmem, MAP_SHARED, 4K pages."
    ),
    "pfnmap": Example(
        f"area 1 pfnmap\n{SMALL}{WRITE}",
        "VM_PFNMAP without reference counts: `hva_to_pfn_remapped()`.",
    ),
    "file": Example(f"area 1 file\n{SMALL}{WRITE}", "A file's pages, MAP_SHARED: clean or dirty."),
    "pfnmap_tails": Example(
        f"area 1 pfnmap_tails\n{SMALL}{WRITE}",
        "VM_PFNMAP of pages whose count is 0: `kvm_try_get_pfn()` refuses them up to 6.12.",
    ),
    "shmem_thp": Example(f"area 0 shmem_thp\n{THP}{WRITE}", "shmem with huge=always, MAP_SHARED."),
}
LINES = {
    "config": Example(f"config vcpus=2 nx=on\nconfig ad=off\n{SMALL}vcpu1: exec gfn=0x3\n"),
    "area": Example(f"area 1 shared\narea 2 hugetlb1g\n{SMALL}{WRITE}"),
    "slot": Example(
        "slot 0 gfn=0x0 pages=0x200 area=1\nslot 1 as=0 gfn=0x200 pages=0x10 area=1 page=0x200 "
        "flags=dirty,readonly\nslot 0 as=1 gfn=0x0 pages=0x10 area=1 page=0x0\n"
        f"{WRITE}vcpu0: read gfn=0x203\n"
    ),
    "schedule": Example(
        f"config vcpus=2\n{SMALL}vcpu0: write gfn=0x3\nvcpu1: write gfn=0x3\n"
        "schedule 12:vcpu1 40:vcpu0\n",
        "One operation at a time nothing is scheduled; `explore`, `fuzz` and `replay` of a "
        "program with threads go by it.",
    ),
}
