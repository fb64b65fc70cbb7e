# SPDX-License-Identifier: GPL-2.0-only
"""The limits of every program: named once, here.

gfn and page numbers count 4 KiB pages; addresses (hva) are bytes.  Every form of a program
(objects, bytes, text) and every tool that makes one (generator, mutators, minimiser) keeps to these
numbers, so whatever runs a program may rely on them.
"""

from __future__ import annotations

from typing import Final

MAX_OPS: Final = 512
"""Operations of a program."""
MAX_VCPUS: Final = 4
"""vCPUs of a program, those included that it makes."""
MAX_SLOTS: Final = 8
"""Slot ids are 0..MAX_SLOTS-1 in each address space; at most MAX_SLOTS exist at the start."""
N_AS: Final = 2
"""Address spaces: 0 is the ordinary one, 1 is what a vCPU in SMM sees."""

N_AREAS: Final = 4
"""Host memory areas."""
AREA_PAGES: Final = 0x80000
"""Pages of one host memory area (2 GiB)."""
LOW_GFNS: Final = 0x100000
"""gfns below 4 GiB: where generated programs are, and all that a guest without paging addresses."""
USUAL_BITS: Final = 46
"""Physical address bits of a CPU, unless a program says otherwise."""
LEAST_BITS: Final = 45
"""The host's memory needs so many (machine/frames.py, machine/spt.py)."""
MOST_BITS: Final = 52
"""An entry of a page table has room for so many."""
FOUR_LEVEL_BITS: Final = 48
"""So many are mapped by four levels of tables."""
VCPU_SETS: Final = 1 << MAX_VCPUS
"""Sets of vCPUs, as numbers: bit n is vCPU n."""
PAGE_BITS: Final = 12
"""Of an address in a page; a gfn has the others."""
FOUR_LEVEL_GFNS: Final = 1 << FOUR_LEVEL_BITS - PAGE_BITS
"""gfns that four levels of tables map."""
GFN_LIMIT: Final = 1 << MOST_BITS - PAGE_BITS
"""First gfn that nothing names: entries of page tables have no such address."""

MAX_MMU_PAGES: Final = 0xFFFFF
"""Largest value of the MMU page limit; 0 leaves the kernel's default."""

MAX_PREFAULT: Final = 0x400
"""Pages that one operation faults in beforehand: each may take a fault of its own."""

MAX_SCHEDULE: Final = 1024
"""Places where a schedule says who goes on."""
MAX_STEP: Final = 1 << 20
"""Steps of a schedule are 0..MAX_STEP-1."""

MAX_BYTES: Final = 16384
"""The bytes form is never longer; the decoder reads no further."""
MAX_TEXT: Final = 1 << 18
"""Largest text form in characters, comments included."""
MAX_LINE: Final = 1 << 15
"""Longest line of a text form in characters."""

THREADS: Final = ("vcpu0", "vcpu1", "vcpu2", "vcpu3", "host0", "host1", "vmm", "worker")
BUFFERS: Final = tuple(f"{thread}.buffer" for thread in THREADS)
"""The store buffers of the CPUs that the threads run on."""
SCHEDULED: Final = (*THREADS, *BUFFERS)
"""What a schedule names: who goes on, or whose store is delayed or becomes visible."""
VCPU_THREADS: Final = (0, 1, 2, 3)
HOST_THREADS: Final = (4, 5)
VMM_THREAD: Final = 6
WORKER_THREAD: Final = 7

MAX_ATTEMPTS: Final = 12
"""Attempts after which an access with all else at rest counts as never completing."""
GUEST_ATTEMPTS: Final = 4 * MAX_ATTEMPTS
"""The same of one by address: each table on its way may take some."""
FEATURES: Final = 1 << 16
"""Ids of the state features of a run are 0..FEATURES-1."""


def area_base(area: int) -> int:
    """The hva (bytes) at which host memory area number `area` starts: 1 TiB apart, none at zero."""
    return (area + 1) << 40
