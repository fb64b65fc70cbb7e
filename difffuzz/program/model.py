# SPDX-License-Identifier: GPL-2.0-only
"""What a program is: configuration, operations of several threads, a schedule.

All four types are named tuples: immutable, hashable, cheap to make and to compare.  They may hold
any ints; `normalise` (normalise.py) gives the nearest program that keeps every rule, and all other
parts of difffuzz take and make normalised programs only.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from .limits import LEAST_BITS, MAX_STEP, MOST_BITS, THREADS, USUAL_BITS, VCPU_SETS
from .ops import OPS, Kind, OpSpec

__all__ = [
    "AREA_KINDS",
    "CONFIG_CHOICES",
    "DEFAULT_AREAS",
    "DIRTY_LOG",
    "OPS",
    "READONLY",
    "THREADS",
    "Config",
    "Kind",
    "Op",
    "OpSpec",
    "Program",
    "SlotSpec",
]

DIRTY_LOG: Final = 1
"""Slot flag: log dirty pages (KVM_MEM_LOG_DIRTY_PAGES)."""
READONLY: Final = 2
"""Slot flag: guest writes are MMIO (KVM_MEM_READONLY)."""

AREA_KINDS: Final = (
    "thp",
    "4k",
    "hugetlb2m",
    "hugetlb1g",
    "shared",
    "pfnmap",
    "file",
    "pfnmap_tails",
    "shmem_thp",
)
GUESTS: Final = ("none", "paging64", "ept12", "npt12")
NESTED: Final = frozenset({"ept12", "npt12"})
"""Guests that are an L1 with an L2."""
DEFAULT_AREAS: Final = ("thp", "4k", "hugetlb2m", "shared")


class Op(NamedTuple):
    """One operation: kind, index in THREADS of its thread, arguments as in OPS[kind].fields."""

    kind: Kind
    thread: int
    args: tuple[int, ...] = ()


class SlotSpec(NamedTuple):
    """A memslot that exists when the program starts; gfn, npages and page count 4K pages."""

    slot: int
    as_id: int
    gfn: int
    npages: int
    area: int
    page: int
    flags: int = 0


class Config(NamedTuple):
    """The machine and the VM that a program runs on."""

    vcpus: int = 1
    """vCPUs at the start; `vcpu_create` makes more."""
    paging: str = "tdp"
    """"tdp", or "nonpaging": a guest with paging off under shadow paging, PAE roots."""
    layout: str = "ept"
    """PTE format: "ept" or "npt" (ordinary x86 entries with NX)."""
    ad: bool = True
    """Hardware sets accessed and dirty bits."""
    root_level: int = 4
    """Levels of a page table: five where MAXPHYADDR is above 48, with EPT only there."""
    max_level: int = 3
    """Largest page KVM may map: 1 = 4K, 2 = 2M, 3 = 1G."""
    nx: bool = False
    """NX huge pages mitigation at the start."""
    mmio_caching: bool = True
    """MMIO SPTEs are made."""
    eager_split: bool = True
    """Huge pages are split when dirty logging begins, not at the first write."""
    dirty_mode: str = "wrprot"
    """"wrprot", or "pml" (page modification logging)."""
    manual_protect: bool = False
    """The log is cleared by `dirty_clear` only (KVM_CAP_MANUAL_DIRTY_LOG_PROTECT2)."""
    init_set: bool = False
    """New dirty bitmaps start full (KVM_DIRTY_LOG_INITIALLY_SET)."""
    mmu_pages: int = 0
    """Limit of MMU pages; 0: the kernel's default."""
    async_pf: bool = False
    """The guest takes asynchronous page faults."""
    range_flush: bool = False
    """Hyper-V's ranged remote TLB flush is there."""
    seq_bias: int = 0
    """Start of mmu_invalidate_seq: 0 is zero, 1..3 a few steps before 2^31."""
    gen_bias: int = 0
    """Start of the memslot generation: 0 is zero, 1..3 a few steps before the MMIO one wraps."""
    recovery_ratio: int = 1
    """NX recovery zaps one in so many of the tables that NX splits made, rounded up
    (nx_huge_pages_recovery_ratio)."""
    slot_zap_all: bool = True
    """Deleting or moving a memslot zaps everything (KVM_X86_QUIRK_SLOT_ZAP_ALL), not the slot's
    leaves only; kernels before 6.12 always do."""
    host_errs: bool = False
    """The host may err: ranges of no page (n=0x0), which it brackets, and parts of a bracket
    (`invalidate`).  KVM warns, or never maps again; no generator makes such programs."""
    guest: str = "none"
    """Page tables of the guest's own: "none"; "paging64" (4 levels; shadowed by the legacy MMU,
    walked by the CPU under the TDP MMU); "ept12", "npt12" (an L1 that runs an L2 under an EPT or
    NPT, which both shadow).  The kernel's own code only."""
    maxphyaddr: int = USUAL_BITS
    """Physical address bits of the CPU, the host's and the guest's."""
    exit_races: bool = False
    """The process that owns the VM exits while others write nx_huge_pages: what `worker` does of
    that in the last phase of a concurrent program it does beside the exit.  Nothing in lockstep."""
    four_levels: int = 0
    """The vCPUs, bit n for vCPU n, whose CPUID says 48 physical address bits: their roots have four
    levels, those of the others five.  Such programs name no gfn that four levels do not map."""
    areas: tuple[str, ...] = DEFAULT_AREAS
    """Kind of each host memory area."""
    slots: tuple[SlotSpec, ...] = ()
    """The memslots at the start."""


class Program(NamedTuple):
    """A fuzzer input.  `ops` is in program order; a thread is the operations in it that name it."""

    config: Config = Config()
    ops: tuple[Op, ...] = ()
    schedule: tuple[tuple[int, int], ...] = ()
    """(step, thread): at that preemption point go on with that thread.  Steps ascend.

    An index in SCHEDULED: a store buffer takes the store that its thread is about to make, or, if
    one waits in it, makes the oldest visible.
    """


def levels_differ(config: Config) -> bool:
    """True if some vCPUs have roots of four levels and others, perhaps later ones, of five."""
    return 0 < config.four_levels < VCPU_SETS - 1


RUN_TO_BLOCK: Final = ((MAX_STEP - 1, 0),)
"""A schedule that departs nowhere: one that is empty leaves the choice to who runs the program."""

CONFIG_CHOICES: Final[dict[str, tuple[int | str, ...]]] = {
    "vcpus": (1, 2, 3, 4),
    "paging": ("tdp", "nonpaging"),
    "layout": ("ept", "npt"),
    "ad": (True, False),
    "root_level": (4, 5),
    "max_level": (3, 2, 1),
    "nx": (False, True),
    "mmio_caching": (True, False),
    "eager_split": (True, False),
    "dirty_mode": ("wrprot", "pml"),
    "manual_protect": (False, True),
    "init_set": (False, True),
    "async_pf": (False, True),
    "range_flush": (False, True),
    "seq_bias": (0, 1, 2, 3),
    "gen_bias": (0, 1, 2, 3),
    "recovery_ratio": (1, 2, 60),
    "slot_zap_all": (True, False),
    "host_errs": (False, True),
    "guest": GUESTS,
    "maxphyaddr": (
        USUAL_BITS,
        *(bits for bits in range(LEAST_BITS, MOST_BITS + 1) if bits != USUAL_BITS),
    ),
    "exit_races": (False, True),
    "four_levels": tuple(range(VCPU_SETS)),
}
"""The legal values of every Config field that has a list of them; the default stands first."""
DELIBERATE: Final = frozenset(
    {"paging", "host_errs", "guest", "maxphyaddr", "exit_races", "four_levels"}
)
"""Of those what is not drawn with the others, field by field."""
