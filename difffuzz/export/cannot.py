# SPDX-License-Identifier: GPL-2.0-only
"""What a program of user space cannot do or see that a program of difffuzz can, and why."""

from __future__ import annotations

from ..program import Config, Kind
from ..program.ops import GUEST_KINDS
from ..program.text_render import spell_choice
from .reproducer import Reproducer

OPERATIONS: dict[Kind, str] = {
    Kind.SMM: "the guest has no handler of system management mode to enter it and leave it by",
    Kind.GUEST_MODE: "the guest has no guest of its own",
    Kind.TRACK_ADD: "write tracking has no user in user space: KVMGT uses it inside the kernel",
    Kind.TRACK_REMOVE: "write tracking has no user in user space",
    Kind.ZAP_GFN_RANGE: "kvm_zap_gfn_range() is called for non-coherent DMA, APICv, MTRRs once",
    Kind.INVALIDATE: "an invalidation around nothing is the kernel's own: no call makes one",
    Kind.UFFD: "nobody would answer the faults: what is exported has no monitor",
    Kind.KSM_MERGE: "which pages ksmd merges, and when, is its own choice",
    **dict.fromkeys(GUEST_KINDS, "the guest that is exported runs without page tables of its own"),
}
"""Operations that are left out."""

WEAKER: dict[Kind, str] = {
    Kind.MIGRATE: "needs a second node of memory, else it is skipped",
    Kind.SWAP_OUT: "anonymous memory goes to swap only if there is some",
    Kind.PAGEOUT: "anonymous memory goes to swap only if there is some",
    Kind.PUNCH_HOLE: "hugetlb memory has no file there: its pages go by MADV_DONTNEED",
    Kind.AGE: "page idle tracking asks without a flush; its answer is not judged",
    Kind.TEST_AGE: "reading the bit of page idle tracking; its answer is not judged",
    Kind.BEGIN_FAULT: "it waits in userfaultfd, before its pfn is known; not in hugetlb or files",
    Kind.MMU_PAGES: "the kernel's least is 64 pages",
    Kind.PREFAULT: "skipped by kernels without KVM_PRE_FAULT_MEMORY; its answer is not judged",
    Kind.NX_RECOVER: "the worker is woken by its parameters, and given 0.2 s",
}
"""Operations that are done in another way than difffuzz does them."""

ORACLES: dict[str, str] = {
    "level": "sizes of mappings: the statistics pages_4k, pages_2m, pages_1g of the VM",
    "retry": "RET_PF_*: a return probe on kvm_tdp_page_fault",
    "answers": "what KVM tells of aging: tracing of the mmu notifiers' callbacks",
    "emptied": "SPTEs that should be gone: tracing of kvmmmu",
    "permission": "permissions of SPTEs: tracing of kvmmmu; only writes to read-only memory show",
    "accounting": "counters of the MMU: the VM's statistics",
    "leak": "pages that stay: CONFIG_DEBUG_KMEMLEAK, or memory that shrinks",
    "lock": "the kernel's log, with CONFIG_PROVE_LOCKING",
    "rcu": "the kernel's log, with CONFIG_PROVE_RCU",
    "uaf": "the kernel's log, with CONFIG_KASAN",
    "warn": "the kernel's log",
    "deadlock": "the kernel's log, with CONFIG_PROVE_LOCKING; or a step that does not end",
    "crash": "the kernel's log",
}
"""Oracles that user space cannot have, and where what they report may be seen."""

_CONFIG: dict[str, str] = {
    "paging": "load kvm-intel with ept=0, or kvm-amd with npt=0",
    "layout": "that of the processor: EPT on Intel, NPT on AMD",
    "ad": "load kvm-intel with eptad=0",
    "root_level": "five levels are used where the processor's physical addresses need them",
    "max_level": "no parameter of KVM says it: memory that is no larger backs the guest",
    "mmio_caching": "load kvm with mmio_caching=0",
    "dirty_mode": "load kvm-intel with pml=0 or 1",
    "async_pf": "the guest would have to ask for it",
    "range_flush": "only on Hyper-V",
    "seq_bias": "2^31 invalidations before the first step",
    "exit_races": "what is exported ends when all of its threads have",
    "maxphyaddr": "that of the processor: QEMU's -cpu phys-bits= where the kernel runs under it",
    "recovery_ratio": "what is exported recovers all of them",
    "host_errs": "the kernel of the host does not err so; empty ranges do nothing",
    "slot_zap_all": "what is exported leaves the quirk as it is",
    "guest": "the guest that is exported has no page tables of its own",
    "gen_bias": "as many changes of memslots before the first step as make the generation wrap",
}
FOUR_LEVELS = (
    "set by CPUID; roots of other vCPUs have five levels on a processor with five-level EPT and "
    "more than 48 address bits only"
)
AREAS: dict[str, str] = {
    "pfnmap": "there is no device whose memory could be mapped: 4K pages are",
    "shmem_thp": "huge if /sys/kernel/mm/transparent_hugepage/shmem_enabled says so",
    "pfnmap_tails": "there is no driver whose pages could be mapped: 4K pages are",
}
"""Memory of other kinds than it should be."""


def remarks(one: Reproducer) -> list[str]:
    """What gets lost, a line each; in a comment of the file, and said when it is made."""
    config, said = one.program.config, []
    for key, why in _CONFIG.items():
        value = getattr(config, key)
        if value != getattr(Config(), key):
            said.append(f"{key}={value} is not set: {why}")
    if config.four_levels:
        vcpus = spell_choice("four_levels", config.four_levels)
        said.append(f"four_levels={vcpus}: {FOUR_LEVELS}")
    for kind in sorted({op.kind for op in one.program.ops}):
        if kind in OPERATIONS:
            said.append(f"{kind.name.lower()} is skipped: {OPERATIONS[kind]}")
        elif kind in WEAKER:
            said.append(f"{kind.name.lower()}: {WEAKER[kind]}")
    said += [f"area {kind}: {why}" for kind, why in AREAS.items() if kind in config.areas]
    if one.oracle in ORACLES:
        said.append(f"user space does not see {one.oracle!r}; look at {ORACLES[one.oracle]}")
    if one.concurrent:
        said.append("the schedule becomes chance: threads race, in rounds, with a rate")
    return said
