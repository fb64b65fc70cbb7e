# SPDX-License-Identifier: GPL-2.0-only
"""Calls into the library and back: its functions, what it asks of the host, what it exports."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import NamedTuple

from .describe import CStruct, Long, Text, described

FUNCTIONS: dict[str, tuple[str, ...]] = {
    "init": (),
    "create_vm": ("params",),
    "create_vcpu": (),
    "destroy_vm": (),
    "enter_guest": ("vcpu",),
    "leave_guest": ("vcpu",),
    "vcpu_srcu_lock": ("vcpu",),
    "vcpu_srcu_unlock": ("vcpu",),
    "page_fault": ("vcpu", "gpa", "error_code", "rets", "park"),
    "emulated_hva": ("vcpu", "gpa", "write"),
    "mark_dirty": ("vcpu", "gfn"),
    "prefault": ("vcpu", "gfn", "npages"),
    "smm": ("vcpu", "on"),
    "guest_mode": ("vcpu", "on"),
    "reset_context": ("vcpu",),
    "set_memory_region": ("as_id", "slot", "gfn", "npages", "hva", "flags"),
    "get_dirty_log": ("as_id", "slot", "bitmap"),
    "clear_dirty_log": ("as_id", "slot", "bitmap", "first", "npages"),
    "set_nr_mmu_pages": ("pages",),
    "page_track": ("as_id", "gfn", "add"),
    "set_nx": ("on",),
    "recover_nx": (),
    "zap_gfn_range": ("gfn", "npages"),
    "invalidate_range_start": ("start", "end", "blockable"),
    "invalidate_range_end": ("start", "end"),
    "change_pte": ("hva", "pte"),
    "clear_flush_young": ("start", "end"),
    "clear_young": ("start", "end"),
    "test_young": ("hva",),
    "release": (),
    "end_operation": (),
    "set_cr": ("vcpu", "which", "value"),
    "invlpg": ("vcpu", "gva"),
    "set_cpl": ("vcpu", "cpl"),
    "emulate": ("vcpu", "gva", "access", "word"),
    "unprotect": ("vcpu", "gva"),
    "take_page_fault": ("vcpu",),
    "enter_l2": ("vcpu", "root", "ad"),
    "leave_l2": ("vcpu",),
    "invept": ("vcpu", "root"),
    "take_l2_fault": ("vcpu",),
    "litmus": ("code", "nr", "seen"),
}
"""What the library can be asked to do as a task, and with what: all longs; buffers are addresses.

The order gives each its number.
"""
FN = {name: number for number, name in enumerate(FUNCTIONS)}
CALL_ARGS = 6
"""Longs that a call carries."""


class Request(IntEnum):
    """What the kernel's code asks of the host and of the scheduler; the comment says with what."""

    POINT = 0  # (address, Point): a preemption point that the strategy waits for; 1: store later
    WAIT = 1  # (Wait, object): until native_ready() says so
    PARK = 2  # (): a fault that is to be parked has its pfn
    GUP_FAST = 3  # (hva, write): pfn or -1
    GUP = 4  # (hva, write, nowait): pfn or -errno
    FOLLOW_PTE = 5  # (hva): x86 PTE or 0
    FIXUP_FAULT = 6  # (hva, write): 0 or -errno; 1: mmap_lock was dropped
    VMA = 7  # (hva): VM_* flags as the kernel's or -1; also vma_start, vma_end of Control
    MMAP_LOCK = 8  # (release): of the host's mmap_lock for read
    POISONED = 9  # (hva): 1 if the page there is poisoned
    PUT_PAGE = 10  # (pfn): the last reference of this side goes
    DIRTY_PAGE = 11  # (pfn): SetPageDirty()
    PAGE_COUNT = 12  # (pfn): 0 if the host has taken the page back
    ACCESSED_PAGE = 13  # (pfn): mark_page_accessed()
    SIGBUS = 14  # (hva): the vCPU thread gets a memory failure signal
    LOCKED = 15  # (LockEvent): mmu_lock was taken or released
    FLUSH = 16  # (vcpu): the CPU drops what its TLB caches
    QUEUE_FLUSH = 17  # (gfn, pages): every CPU is to drop what it caches of them
    FLUSH_RANGES = 18  # (vcpu): now
    DIRTY_LOGGING = 19  # (vcpu, on): the CPU's log of dirty pages
    YIELD = 20  # (): cpu_relax() of a task that waits for another
    USER_LOAD = 21  # (hva, atomic): 0 and `loaded` of Control, or -errno
    USER_STORE = 22  # (hva, word): 0 or -errno
    USER_CMPXCHG = 23  # (hva, old, new): 0; 1: it is `loaded`; or -errno
    FLUSH_GVA = 24  # (vcpu, gva): the CPU drops what it caches of that address
    FENCE = 25  # (point): all see what the task stored; with a point, others may run before
    RELEASE = 26  # (address): a store that releases a lock waits behind others


class Point(IntEnum):
    """What a task does behind a preemption point, and to a store buffer."""

    LOAD = 0
    LOCKED = 1
    """A locked instruction."""
    STORE = 2
    """A plain store, which may wait."""
    MADE = 3
    """A plain store that was made before the point."""


class Litmus(IntEnum):
    """An instruction of a litmus test."""

    STORE = 0
    LOAD = 1
    PLAIN_LOAD = 2
    FENCE = 3
    ADD = 4
    LOCK = 5
    UNLOCK = 6
    SLEEPING_LOCK = 7
    SLEEPING_UNLOCK = 8
    PLAIN_STORE = 9


class LockEvent(IntEnum):
    """What happened to mmu_lock."""

    LOCKED_READ = 0
    LOCKED_WRITE = 1
    UNLOCKED_READ = 2
    UNLOCKED_WRITE = 3


class Wait(IntEnum):
    """What a task can wait for."""

    READ = 0
    WRITE = 1
    SPIN = 2
    MUTEX = 3
    SRCU = 4
    RCU = 5
    IPI = 6
    WAKE = 7


class PageState(IntEnum):
    """What a page for page tables is."""

    UNUSED = 0
    LIVE = 1
    FREED = 2


@described
class Control(CStruct):
    """What survives a reset, and both sides read and write."""

    c_name = "native_control"
    budget: Long
    """Preemption points left before the host is asked (Request.POINT)."""
    concurrent: Long
    """Tasks run at once: Request.LOCKED is told."""
    frees_early: Long
    """RCU callbacks run as soon as they may."""
    vma_start: Long
    vma_end: Long
    """What Request.VMA answers besides the flags."""
    loaded: Long
    """What Request.USER_LOAD and USER_CMPXCHG answer besides."""
    failed: Long
    """Python raised in a callback."""
    nr_splats: Long
    """WARN()s since the last reset."""
    splats: Text
    """Their places, one a line."""
    died: Text
    """Oracle, place and text of what ended a call, one a line."""


@described
class Instruction(CStruct):
    """Of a litmus test: `what` of Litmus, to the word or lock of that number."""

    c_name = "native_instruction"
    what: Long
    at: Long
    value: Long


@described
class FaultRets(CStruct):
    """What the handlers of one fault returned: RET_PF_*, -errno or NOTHING_RETURNED."""

    c_name = "native_rets"
    mmio: Long
    fault: Long


HOST_FN = ctypes.PYFUNCTYPE(ctypes.c_long, *[ctypes.c_long] * 4)
"""How the library asks: a Request and its three longs."""


class Export(NamedTuple):
    """A function that Python calls directly; it needs no task.  In C it has native_ before it."""

    name: str
    args: str = ""
    """As C declares them: longs and addresses."""
    returns: str = "void"
    looks: bool = False
    """It follows pointers of the kernel's, which may be broken: it is called by way of `look`."""

    def argtypes(self) -> list[type]:
        """The same for ctypes; an address is a number."""
        return [_ctype(arg) for arg in self.args.split(", ") if arg]


def _ctype(arg: str) -> type:
    if "*" in arg or arg.startswith("native_look_fn "):
        return ctypes.c_void_p
    return HOST_FN if arg.startswith("native_host_fn ") else ctypes.c_long


EXPORTS = (
    Export("abi", "", "long"),
    Export("start", "native_host_fn host", "struct native_control *"),
    Export("map_memory"),
    Export("snapshot"),
    Export("reset"),
    Export(
        "run",
        "long task, long fn, long *died, long a, long b, long c, long d, long e, long f",
        "long",
    ),
    Export("look", "native_look_fn look, long *died, long a, long b, long c", "long"),
    Export("watch"),
    Export("play", "const struct config *program", "long"),
    Export("played", "struct native_played *out"),
    Export("variants", "struct native_variants *asked"),
    Export("walks", "struct native_walks *asked", "long"),
    Export("ready_now", "long kind, const void *object", "long", looks=True),
    Export("vm_numbers", "struct native_vm *out", looks=True),
    Export("vcpu_numbers", "long vcpu, struct native_vcpu *out", looks=True),
    Export("shadow_page", "long number, struct native_sp *out", "long", looks=True),
    Export("memslot", "long as_id, long id, struct native_slot *out", "long", looks=True),
    Export("masks", "struct native_masks *out"),
    Export("counts", "struct native_counts *out", looks=True),
    Export("leaks", "struct native_left *out", looks=True),
    Export("tdp_roots", "long *out, long max", "long", looks=True),
    Export("active_pages", "long *out, long max", "long", looks=True),
    Export("nx_pages", "long *out, long max", "long", looks=True),
    Export("mmu_lock", "", "long"),
    Export("may_wait", "const void *at", "long"),
    Export("commit", "long number", looks=True),
    Export("request_bit", "", "long"),
    Export("changes", "struct native_change *out, long max", "long", looks=True),
    Export("page_memory", "struct native_page_memory *out"),
    Export("host_tables", "struct native_host_tables *out"),
    Export("take_guards", "unsigned int *out, long max", "long"),
    Export("take_passed", "unsigned int *out, long max", "long"),
)
"""Every symbol that the library shows; `look` before those that are called by way of it."""
