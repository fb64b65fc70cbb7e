# SPDX-License-Identifier: GPL-2.0-only
"""What a booted kernel can be made to do of a program, and what not, with the reason."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from difffuzz.errors import UsageError
from difffuzz.program import Config, Kind, Op, Program
from difffuzz.program.limits import VMM_THREAD
from difffuzz.program.room import code_gfn

LEAST_MMU_PAGES: Final = 64
"""KVM_MIN_ALLOC_MMU_PAGES."""
LEAST_ACCEPTED: Final = 8
"""What the models take for their least; below, both refuse."""
HAS_ZAP_QUIRK: Final = (6, 12)
"""KVM_X86_QUIRK_SLOT_ZAP_ALL, in Debian's 6.12 and newer."""

CANNOT: Final[dict[Kind, str]] = {
    Kind.GUEST_MODE: "the guest has no guest of its own",
    Kind.TRACK_ADD: "write tracking has no user in user space",
    Kind.TRACK_REMOVE: "write tracking has no user in user space",
    Kind.ZAP_GFN_RANGE: "kvm_zap_gfn_range() is not for user space",
    Kind.KSM_MERGE: "which pages ksmd merges, and when, is its own choice",
    Kind.SWAP_OUT: "the machine has no swap",
    Kind.PAGEOUT: "the machine has no swap",
    Kind.INVALIDATE: "no call of user space brackets a range and changes nothing",
    Kind.WRITEBACK: "the machine has no disk with files",
}
"""Operations that are left out."""
NEW: Final = "nobody has taught the agent yet"
"""Why one is left out that is in none of these tables."""
DONE: Final = frozenset(
    {
        *(Kind.READ, Kind.WRITE, Kind.EXEC, Kind.END_FAULT, Kind.MUNMAP, Kind.MMAP),
        *(Kind.DONTNEED, Kind.MPROTECT, Kind.FORK, Kind.THP_COLLAPSE, Kind.THP_ADVICE),
        *(Kind.HOST_READ, Kind.HOST_WRITE, Kind.MEMSLOT_CREATE, Kind.MEMSLOT_DELETE),
        *(Kind.MEMSLOT_MOVE, Kind.MEMSLOT_FLAGS, Kind.DIRTY_GET, Kind.DIRTY_CLEAR, Kind.NX),
        *(Kind.VCPU_CREATE, Kind.SYNC, Kind.LAZY_FREE, Kind.COLD, Kind.COLLAPSE),
        *(Kind.PUNCH_HOLE, Kind.MREMAP, Kind.PREFAULT),
    }
)
"""Operations that are done as they are."""

OTHERWISE: Final[dict[Kind, str]] = {
    Kind.BEGIN_FAULT: "by userfaultfd: only in an area of 4K pages, at a page that is not there",
    Kind.SMM: "by KVM_SET_VCPU_EVENTS",
    Kind.RELOAD: "by a bit of CR4",
    Kind.MIGRATE: "by move_pages(), to the other of two nodes of memory",
    Kind.COW_WRITE: "where pagemap says that the page is there and mapped by others too",
    Kind.THP_SPLIT: "by a VMA that ends inside of it for a moment",
    Kind.AGE: "by page idle tracking, without a flush",
    Kind.TEST_AGE: "by page idle tracking, which ages what it finds idle",
    Kind.NX_RECOVER: "the worker is woken by its parameters and given 60 ms",
    Kind.HWPOISON: "by MADV_HWPOISON, which faults the page in first",
    Kind.MMU_PAGES: "the kernel's least is 64 pages",
    Kind.UFFD: "a thread is the monitor; not in hugetlb memory, nor `wp` of shared memory",
}
"""Operations that are done in another way than the models do them."""

ONLY: Final[dict[str, tuple[Any, str]]] = {
    "layout": ("npt", "QEMU's TCG has SVM, no VMX"),
    "ad": (True, "nested page tables of SVM have accessed and dirty bits"),
    "root_level": (4, "the machine has no la57"),
    "four_levels": (0, "the machine has no la57"),
    "exit_races": (False, "a program ends when all of its threads have"),
    "maxphyaddr": (46, "QEMU's CPU has its own"),
    "max_level": (3, "no parameter of KVM says it"),
    "mmio_caching": (True, "it is set when kvm is loaded"),
    "dirty_mode": ("wrprot", "PML is of VMX"),
    "async_pf": (False, "the guest would have to ask for it"),
    "range_flush": (False, "only on Hyper-V"),
    "seq_bias": (0, "2^31 invalidations before the first operation"),
    "gen_bias": (0, "as many changes of memslots before the first operation"),
    "recovery_ratio": (1, "the worker is given all of them"),
}
"""Settings that a program gets whatever it says."""
AREAS: Final[dict[str, tuple[str, str]]] = {
    "hugetlb1g": ("hugetlb2m", "the machine has 1 GiB of memory"),
    "pfnmap": ("4k", "no device whose memory could be mapped"),
    "shmem_thp": ("shared", "shmem is mounted without huge pages"),
    "pfnmap_tails": ("4k", "no driver whose pages could be mapped"),
    "file": ("shared", "the machine has no disk with files"),
}
"""Areas of another kind than the program says."""


class Adapted(NamedTuple):
    """A program as a booted kernel can run it; the same numbers of operations."""

    program: Program
    remarks: tuple[str, ...]
    """What is not as it was."""
    skipped: dict[int, str]
    """Operations, by index, that do nothing, with the reason."""
    code_gfn: int
    kernel: tuple[int, int]
    """Whose version it is for."""


def is_done(kind: Kind) -> bool:
    """The agent does it, as it is or in another way."""
    return kind in DONE or kind in OTHERWISE


def nothing() -> Op:
    """What stands for an operation that is left out."""
    return Op(Kind.SYNC, VMM_THREAD, ())


def adapted(program: Program, kernel: tuple[int, int]) -> Adapted:
    """The program for a kernel of that version.

    UsageError: nothing of its sort can be run, or it leaves no gfn free for the guest's code.
    """
    if program.config.paging != "tdp":
        raise UsageError("a nonpaging guest under shadow paging is not run on a booted kernel")
    if program.config.guest != "none":
        raise UsageError("a guest with page tables of its own is not run on a booted kernel")
    if program.config.host_errs:
        raise UsageError("the host of a booted kernel does not err (host_errs=on)")
    config, remarks = _config(program.config, kernel)
    skipped = {
        i: CANNOT.get(op.kind, NEW) for i, op in enumerate(program.ops) if not is_done(op.kind)
    }
    ops = tuple(nothing() if i in skipped else _operation(op) for i, op in enumerate(program.ops))
    for kind in sorted({op.kind for op in program.ops}):
        if not is_done(kind):
            remarks.append(f"{kind.name.lower()} is left out: {CANNOT.get(kind, NEW)}")
    changed = Program(config, ops)
    return Adapted(changed, tuple(remarks), skipped, code_gfn(changed), kernel)


def _config(config: Config, kernel: tuple[int, int]) -> tuple[Config, list[str]]:
    remarks: list[str] = []
    for field, (value, why) in ONLY.items():
        if getattr(config, field) != value:
            # layout=ept is the default of the language: no remark that every program would have.
            if getattr(config, field) != getattr(Config(), field):
                remarks.append(f"{field} is {value}: {why}")
            config = config._replace(**{field: value})
    if not config.slot_zap_all and kernel < HAS_ZAP_QUIRK:
        config = config._replace(slot_zap_all=True)
        remarks.append("slot_zap_all is on: this kernel has no other way")
    for kind, (other, why) in AREAS.items():
        if kind in config.areas:
            remarks.append(f"area {kind} is {other}: {why}")
            areas = tuple(other if one == kind else one for one in config.areas)
            config = config._replace(areas=areas)
    if config.mmu_pages:
        config = config._replace(mmu_pages=max(config.mmu_pages, LEAST_MMU_PAGES))
    return config, remarks


def _operation(op: Op) -> Op:
    if op.kind == Kind.MMU_PAGES and op.args[0] >= LEAST_ACCEPTED:
        return op._replace(args=(max(op.args[0], LEAST_MMU_PAGES),))
    return op
