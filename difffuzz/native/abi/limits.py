# SPDX-License-Identifier: GPL-2.0-only
"""Numbers that both sides know.  What Python has a place for comes from there."""

from __future__ import annotations

from typing import Final

from difffuzz.facts import kvm, paging, spte
from difffuzz.kvm import vm, vmx
from difffuzz.machine import age, frames, pageformat, pte, spt, vma
from difffuzz.program.guest_tables import (
    DIRECT_BASE,
    DIRECT_INDEX,
    DIRECT_PMDS,
    DIRECT_PUD,
    ENTRIES,
    FLAG_WORDS,
    GVAS,
    LATE_GFN,
    ROOTS,
    TABLES,
    TARGETS,
    entry_gpa,
)
from difffuzz.program.limits import (
    AREA_PAGES,
    FEATURES,
    GUEST_ATTEMPTS,
    HOST_THREADS,
    MAX_ATTEMPTS,
    MAX_SCHEDULE,
    MAX_SLOTS,
    N_AREAS,
    N_AS,
    THREADS,
    VCPU_THREADS,
)
from difffuzz.program.model import DIRTY_LOG, GUESTS, READONLY
from difffuzz.sched.choice import NO_STEP
from difffuzz.sched.core import STEP_LIMIT

TASKS: Final = 16
"""Tasks of the library: the threads of a program, MAIN_TASK, and room."""
MAIN_TASK: Final = len(THREADS)
"""The task that runs what no thread of a program does."""
VCPUS: Final = 8
STORES: Final = 64
"""Stores of a task that may wait, as in a CPU: about so many have room there."""
PAGES: Final = 1 << 16
"""Pages for page tables."""
GUARDS: Final = 1 << 17
"""Places in a library's code that it can tell of, and more."""
PAGES_PA: Final = spt.PT_PFN_BASE << 12
"""Physical address of the first."""

CHANGE_NEW: Final = 1024
"""Index of a Change: the table was not seen before."""
CHANGE_GONE: Final = 1025
"""Index of a Change: the table was freed."""
NOTHING_RETURNED: Final = -(1 << 40)
"""In FaultRets: that handler was not called."""

POOL: Final = 4096
"""Operations of programs that were varied before, from which others take."""
GAPS: Final = (20, 0, 5, 60)
"""Steps between two preemptions, about, one walk after the other; 0: partial order sampling."""
VARIANTS_KEPT: Final = 4
"""Variants of one program that are kept, at most."""

CR: Final = {"CR0": 0, "CR3": 3, "CR4": 4, "EFER": 5}
"""Registers of `set_cr`."""
EMULATED_DONE, EMULATED_MMIO, EMULATED_FAULT = 0, 1, 2
"""What `emulate` answers, besides -errno."""

LARGE_ENTRY: Final = paging.PT_PRESENT_MASK | paging.PT_PAGE_SIZE_MASK
TABLE_ENTRY: Final = (
    paging.PT_PRESENT_MASK
    | paging.PT_WRITABLE_MASK
    | paging.PT_ACCESSED_MASK
    | paging.PT_DIRTY_MASK
)
"""Entries of the upper levels of the host's page table as the CPU has them, without address."""

BOTH: Final = {
    "NATIVE_TASKS": TASKS,
    "NATIVE_VCPUS": VCPUS,
    "NATIVE_PAGES": PAGES,
    "NATIVE_STORES": STORES,
    "NATIVE_PAGES_PA": PAGES_PA,
    "NATIVE_FRAMES": frames.BASE_DEVICE,
    "MAXPHYADDR": paging.MAXPHYADDR,
    "FOUR_LEVEL_BITS": paging.FOUR_LEVEL_BITS,
    "MAIN_TASK": MAIN_TASK,
    "CHANGE_NEW": CHANGE_NEW,
    "CHANGE_GONE": CHANGE_GONE,
    "NOTHING_RETURNED": NOTHING_RETURNED,
    **{f"NATIVE_{name}": number for name, number in CR.items()},
    "NATIVE_GUEST_PAGING64": GUESTS.index("paging64"),
    "NATIVE_GUEST_EPT12": GUESTS.index("ept12"),
    "NATIVE_GUEST_NPT12": GUESTS.index("npt12"),
    "NATIVE_EMULATED_DONE": EMULATED_DONE,
    "NATIVE_EMULATED_MMIO": EMULATED_MMIO,
    "NATIVE_EMULATED_FAULT": EMULATED_FAULT,
    "HM_AREAS": N_AREAS,
    "HM_AREA_PAGES": AREA_PAGES,
    "HM_PMDS": AREA_PAGES // pte.PMD_PAGES,
    "HM_PUDS": AREA_PAGES // pte.PUD_PAGES,
    "HM_ZERO_PFN": frames.ZERO_PFN,
    "HOST_YOUNG": age.HOST_YOUNG,
    "KVM_YOUNG": age.KVM_YOUNG,
    "PAGE_YOUNG": age.PAGE_YOUNG,
    "NR_AS": N_AS,
    "NATIVE_GUARDS": GUARDS,
    "NATIVE_GAPS": len(GAPS),
    "NATIVE_POOL": POOL,
    "NATIVE_VARIANTS_KEPT": VARIANTS_KEPT,
    "MAX_ATTEMPTS": MAX_ATTEMPTS,
    "GUEST_ATTEMPTS": GUEST_ATTEMPTS,
    **{f"NATIVE_RET_PF_{name}": number for number, name in enumerate(kvm.RET_PF_NAMES)},
    "MIN_MMU_PAGES": vm.MIN_REQUESTED_MMU_PAGES,
    "PML_ENTRIES": vmx.PML_ENTITY_NUM,
}
"""For all of the library's C, by their names there."""


def _named(module: object, *names: str) -> dict[str, int]:
    return {name: getattr(module, name) for name in names}


MACHINE: Final = {
    "STEP_LIMIT": STEP_LIMIT,
    "NO_STEP": NO_STEP,
    "FEATURES": FEATURES,
    "MAX_SCHEDULE": MAX_SCHEDULE,
    "NR_THREADS": len(THREADS),
    "NR_VCPU_THREADS": len(VCPU_THREADS),
    "FIRST_HOST_THREAD": HOST_THREADS[0],
    "LAST_HOST_THREAD": HOST_THREADS[-1],
    "MOST_SLOTS": N_AS * MAX_SLOTS,
    "SLOT_DIRTY_LOG": DIRTY_LOG,
    "SLOT_READONLY": READONLY,
    "LARGE_ENTRY": LARGE_ENTRY,
    "TABLE_ENTRY": TABLE_ENTRY,
    **_named(vma, *(name for name in vars(vma) if name.startswith(("VM_", "UFFD_")))),
    **_named(pageformat, "PERM_R", "PERM_W", "PERM_X"),
    **_named(frames, "FREED_DATA"),
    **_named(kvm, *(f"RET_PF_{name}" for name in kvm.RET_PF_NAMES)),
    **_named(paging, *(name for name in vars(paging) if name.startswith("PFERR_"))),
}
"""For harness/native/machine, which knows no header of the kernel."""

MACHINE_BITS: Final = {
    **_named(pte, *(name for name in vars(pte) if name.startswith("PTE_"))),
    **_named(pte, "PMD_PAGES", "PUD_PAGES"),
    **_named(paging, "ENTRY_ADDR_MASK", "PT64_NX_MASK"),
    **_named(paging, *(name for name in vars(paging) if name.startswith(("PT_", "VMX_EPT_")))),
    **_named(spte, "SPTE_MMU_PRESENT_MASK", "SPTE_BASE_ADDR_MASK"),
    **_named(frames, "BASE_4K", "BASE_2M", "BASE_1G", "BASE_TAILS", "BASE_DEVICE"),
}
"""Numbers of the machine's by their own names; of C's type unsigned long, however small."""

NO_TARGET: Final = (1 << 64) - 1
MACHINE_GUEST: Final = {
    "GUEST_LATE_GFN": LATE_GFN,
    "GUEST_DIRECT_BASE": DIRECT_BASE,
    "GUEST_DIRECT_INDEX": DIRECT_INDEX,
    "GUEST_DIRECT_PUD": DIRECT_PUD,
    "GUEST_FLAG_NX": FLAG_WORDS.index("nx"),
    "GUEST_NO_TARGET": NO_TARGET,
}
"""Of guests with page tables: program/guest_tables.py; of type unsigned long."""
MACHINE_LISTS: Final = {
    "GUEST_GVAS": GVAS,
    "GUEST_TABLES": tuple(TABLES.values()),
    "GUEST_ROOTS": tuple(TABLES[letter] for letter in ROOTS),
    "GUEST_DIRECT_PMDS": DIRECT_PMDS,
    "GUEST_LOOKED_AT": (*TABLES.values(), DIRECT_PUD, *DIRECT_PMDS),
    "GUEST_ENTRIES": tuple(entry_gpa(number) for number in range(len(ENTRIES))),
    "GUEST_TARGETS": tuple(NO_TARGET if gfn < 0 else gfn for gfn in TARGETS),
}
"""The same, in rows: what C puts between braces."""
