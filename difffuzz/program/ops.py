# SPDX-License-Identifier: GPL-2.0-only
"""The table of operations: what each kind is called, who may run it, and what its arguments are.

Bytes form, text form, generator and mutators all read this table and know no operation by name, so
an operation is added here (at the end of `Kind`, with a line in `_TABLE`) and nowhere else in the
package.

Run-time rules that the table cannot express:

- A vCPU can hold one parked fault.  `begin_fault` on a vCPU that holds one, and `end_fault` on a
  vCPU that holds none, do nothing.
- Any other operation of a vCPU that holds a parked fault first ends that fault, as if `end_fault`
  stood before it; a fault still parked when the program ends is ended then.
- An operation whose target is missing (deletion of an absent slot, munmap of a hole) does what the
  kernel does: it fails or has no effect, and the program goes on.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, NamedTuple

from .fields import (
    ACCESS,
    AREA,
    AS_ID,
    BOOL,
    BRACKET,
    COUNT,
    CPL,
    ENTRY,
    FEW,
    FLAGS,
    GFN,
    GVA,
    HOST_COUNT,
    HOW,
    MMU_PAGES,
    PAGE,
    PROT,
    PTE_FLAGS,
    ROOT,
    SLOT,
    SWITCHED,
    TARGET,
    UFFD,
    Field,
    FieldType,
)
from .limits import (
    AREA_PAGES,
    GFN_LIMIT,
    HOST_THREADS,
    VCPU_THREADS,
    VMM_THREAD,
    WORKER_THREAD,
)


class Kind(IntEnum):
    """An operation's kind.  The name in the text form is the member's name in lower case."""

    READ = 0
    WRITE = 1
    EXEC = 2
    BEGIN_FAULT = 3
    END_FAULT = 4
    SMM = 5
    GUEST_MODE = 6
    RELOAD = 7

    MUNMAP = 8
    MMAP = 9
    DONTNEED = 10
    MPROTECT = 11
    FORK = 12
    COW_WRITE = 13
    MIGRATE = 14
    THP_COLLAPSE = 15
    THP_SPLIT = 16
    THP_ADVICE = 17
    SWAP_OUT = 18
    HWPOISON = 19
    KSM_MERGE = 20
    HOST_READ = 21
    HOST_WRITE = 22
    AGE = 23
    TEST_AGE = 24

    MEMSLOT_CREATE = 25
    MEMSLOT_DELETE = 26
    MEMSLOT_MOVE = 27
    MEMSLOT_FLAGS = 28
    DIRTY_GET = 29
    DIRTY_CLEAR = 30
    MMU_PAGES = 31
    TRACK_ADD = 32
    TRACK_REMOVE = 33
    NX = 34
    ZAP_GFN_RANGE = 35
    VCPU_CREATE = 36

    NX_RECOVER = 37

    SYNC = 38

    LAZY_FREE = 39
    WRITEBACK = 40

    COLD = 41
    PAGEOUT = 42
    COLLAPSE = 43
    PUNCH_HOLE = 44
    MREMAP = 45
    INVALIDATE = 46

    GVA_READ = 47
    GVA_WRITE = 48
    GVA_EXEC = 49
    PTE = 50
    INVLPG = 51
    CR3 = 52
    TOGGLE = 53
    DMA = 54

    UFFD = 55

    PREFAULT = 56


class OpSpec(NamedTuple):
    """One kind of operation: its name, its fields in the order of `Op.args`, its rules."""

    kind: Kind
    name: str
    threads: tuple[int, ...]
    """Indices in THREADS of the threads that may run it."""
    fields: tuple[Field, ...]
    spans: tuple[tuple[int, int, int], ...]
    """(base, count, limit): args[base] + args[count] <= limit, kept by shortening the count."""
    weight: int
    """How often a generator should pick it, relative to the others."""
    doc: str

    def position(self, field: str) -> int:
        """Position of the named field in `Op.args`; ValueError if the kind has no such field."""
        return [f.name for f in self.fields].index(field)


_GFN = Field("gfn", GFN)
_AREA = Field("area", AREA)
_PAGE = Field("page", PAGE)
_N = Field("n", COUNT)
_ON = Field("on", BOOL, bare=True)
_SLOT = Field("slot", SLOT)
_AS = Field("as_id", AS_ID, key="as", default=0)
_FLAGS = Field("flags", FLAGS, default=0)
_RANGE = (_AREA, _PAGE, Field("n", HOST_COUNT))
_ADDR = (_AREA, _PAGE)

_GVA = Field("gva", GVA)
_BY = Field("by", CPL, default=0)
_PTE = (Field("entry", ENTRY, bare=True), Field("to", TARGET), Field("flags", PTE_FLAGS, default=0))

_VMM = (VMM_THREAD,)
_WORKER = (WORKER_THREAD,)
_ANY_VMM = (VMM_THREAD, WORKER_THREAD)
"""What user space may do beside a change of memslots: a migration thread, who writes to sysfs."""

# fmt: off
_TABLE: Final[tuple[tuple[Kind, tuple[int, ...], tuple[Field, ...], int, str], ...]] = (
    (Kind.READ, VCPU_THREADS, (_GFN,), 10, "guest reads one word of the page"),
    (Kind.WRITE, VCPU_THREADS, (_GFN,), 12, "guest writes one word of the page"),
    (Kind.EXEC, VCPU_THREADS, (_GFN,), 5, "guest fetches an instruction from the page"),
    (Kind.BEGIN_FAULT, VCPU_THREADS, (_GFN, Field("access", ACCESS)), 9,
     "handle a fault up to the point where the pfn is known, and park it there"),
    (Kind.END_FAULT, VCPU_THREADS, (), 6, "go on with the parked fault: take mmu_lock and map"),
    (Kind.SMM, VCPU_THREADS, (_ON,), 2, "enter or leave SMM: the other address space, other root"),
    (Kind.GUEST_MODE, VCPU_THREADS, (_ON,), 2,
     "enter or leave L2 without nested paging: same gpa space, other root role"),
    (Kind.RELOAD, VCPU_THREADS, (), 2, "free the vCPU's root and load it again"),
    (Kind.MUNMAP, HOST_THREADS, _RANGE, 4, "munmap the range"),
    (Kind.MMAP, HOST_THREADS, _RANGE, 3, "mmap the range anew with the kind of its area"),
    (Kind.DONTNEED, HOST_THREADS, _RANGE, 8, "madvise(MADV_DONTNEED) on the range"),
    (Kind.MPROTECT, HOST_THREADS, (*_RANGE, Field("prot", PROT)), 4, "mprotect the range"),
    (Kind.FORK, HOST_THREADS, _RANGE, 3, "fork: the range becomes copy-on-write"),
    (Kind.COW_WRITE, HOST_THREADS, _ADDR, 4, "the host writes a copy-on-write page: a new frame"),
    (Kind.MIGRATE, HOST_THREADS, _ADDR, 5, "move the page to another frame"),
    (Kind.THP_COLLAPSE, HOST_THREADS, _ADDR, 4, "khugepaged makes one huge page of the 2M range"),
    (Kind.THP_SPLIT, HOST_THREADS, _ADDR, 4, "split the huge page that covers the page"),
    (Kind.THP_ADVICE, HOST_THREADS, (*_RANGE, _ON), 1, "MADV_HUGEPAGE or MADV_NOHUGEPAGE"),
    (Kind.SWAP_OUT, HOST_THREADS, _RANGE, 4,
     "reclaim the range's pages: what is dirty goes to swap, what is clean is dropped"),
    (Kind.HWPOISON, HOST_THREADS, _ADDR, 2, "the page's memory fails: unmap it, poison the frame"),
    (Kind.KSM_MERGE, HOST_THREADS, (*_ADDR, Field("other", PAGE)), 3,
     "merge the page with page `other` of its area: one read-only frame, by change_pte"),
    (Kind.HOST_READ, HOST_THREADS, _ADDR, 2, "the host reads the page"),
    (Kind.HOST_WRITE, HOST_THREADS, _ADDR, 3, "the host writes the page"),
    (Kind.AGE, HOST_THREADS, (*_RANGE, Field("flush", BOOL)), 3,
     "clear the range's accessed bits, with a TLB flush of young pages or without"),
    (Kind.TEST_AGE, HOST_THREADS, _ADDR, 2, "was the page accessed?"),
    (Kind.MEMSLOT_CREATE, _VMM,
     (_SLOT, _AS, _GFN, _N, _AREA, _PAGE, _FLAGS), 5, "add a memslot"),
    (Kind.MEMSLOT_DELETE, _VMM, (_SLOT, _AS), 4, "delete the memslot"),
    (Kind.MEMSLOT_MOVE, _VMM, (_SLOT, _AS, _GFN), 3, "move the memslot to another gfn"),
    (Kind.MEMSLOT_FLAGS, _VMM, (_SLOT, _AS, _FLAGS), 5, "change dirty logging or read-only"),
    (Kind.DIRTY_GET, _ANY_VMM, (_SLOT, _AS), 5,
     "read (and, without manual protect, clear) the log"),
    (Kind.DIRTY_CLEAR, _ANY_VMM, (_SLOT, _AS, Field("first", PAGE), _N), 4,
     "clear the log of n pages from page `first` of the slot"),
    (Kind.MMU_PAGES, _ANY_VMM, (Field("n", MMU_PAGES),), 2, "set the limit of MMU pages"),
    (Kind.TRACK_ADD, _ANY_VMM, (_AS, _GFN), 3, "write-track the gfn"),
    (Kind.TRACK_REMOVE, _ANY_VMM, (_AS, _GFN), 2, "stop tracking the gfn"),
    (Kind.NX, _ANY_VMM, (_ON,), 2, "switch the NX huge page mitigation"),
    (Kind.ZAP_GFN_RANGE, _VMM, (_GFN, _N), 2, "kvm_zap_gfn_range() of n pages from gfn"),
    (Kind.VCPU_CREATE, _VMM, (), 1, "create the next vCPU, while there are less than MAX_VCPUS"),
    (Kind.NX_RECOVER, _WORKER, (), 3, "one pass of the NX huge page recovery worker"),
    (Kind.SYNC, _VMM, (), 0,
     "all threads meet here: what stands before is over before what follows begins"),
    (Kind.LAZY_FREE, HOST_THREADS, _RANGE, 3,
     "madvise(MADV_FREE): reclaim may drop the pages until they are written again"),
    (Kind.WRITEBACK, HOST_THREADS, _RANGE, 2,
     "write dirty pages of a file to its disk: they become clean and read-only"),
    (Kind.COLD, HOST_THREADS, _RANGE, 1,
     "madvise(MADV_COLD): the host's entries and pages are old; KVM is not asked"),
    (Kind.PAGEOUT, HOST_THREADS, _RANGE, 2,
     "madvise(MADV_PAGEOUT): reclaim the range's pages that nobody else maps"),
    (Kind.COLLAPSE, HOST_THREADS, _RANGE, 2,
     "madvise(MADV_COLLAPSE): one huge page of each whole 2M of the range"),
    (Kind.PUNCH_HOLE, HOST_THREADS, _RANGE, 3,
     "fallocate(FALLOC_FL_PUNCH_HOLE) on the file behind the range: its pages are gone"),
    (Kind.MREMAP, HOST_THREADS, (*_RANGE, Field("to", PAGE), Field("keep", BOOL, default=0)), 3,
     "mremap the range to page `to` of its area; keep=on: MREMAP_DONTUNMAP"),
    (Kind.INVALIDATE, HOST_THREADS, (*_RANGE, Field("part", BRACKET, bare=True)), 1,
     "bracket the range and change nothing; a part of the bracket only with host_errs=on"),
    (Kind.GVA_READ, VCPU_THREADS, (_GVA, _BY), 0,
     "a guest with page tables, or an L2, reads by address"),
    (Kind.GVA_WRITE, VCPU_THREADS, (_GVA, _BY), 0,
     "a guest with page tables, or an L2, writes by address"),
    (Kind.GVA_EXEC, VCPU_THREADS, (_GVA, _BY), 0,
     "a guest with page tables, or an L2, fetches by address"),
    (Kind.PTE, VCPU_THREADS, (*_PTE, Field("how", HOW, default=0)), 0,
     "the guest writes an entry of its page tables, by MOV or by an instruction for which KVM "
     "unprotects the page"),
    (Kind.INVLPG, VCPU_THREADS, (_GVA,), 0, "the guest flushes one address; an L1 the EPT in use"),
    (Kind.CR3, VCPU_THREADS, (Field("root", ROOT, bare=True),), 0,
     "the guest loads a root; an L1 chooses an EPT"),
    (Kind.TOGGLE, VCPU_THREADS, (Field("what", SWITCHED, bare=True),), 0,
     "the guest switches CR0.WP, CR4.SMEP or EFER.NX"),
    (Kind.DMA, _VMM, _PTE, 0, "a device writes an entry of the page tables: KVM is not told"),
    (Kind.UFFD, HOST_THREADS, (*_RANGE, Field("what", UFFD, bare=True)), 4,
     "userfaultfd: register the range for faults of that kind, or off; fill it; protect it"),
    (Kind.PREFAULT, VCPU_THREADS, (_GFN, Field("n", FEW)), 2,
     "KVM_PRE_FAULT_MEMORY of n pages from gfn: up to the first that cannot be mapped"),
)
# fmt: on


def _spans(fields: tuple[Field, ...]) -> tuple[tuple[int, int, int], ...]:
    """Every pair of a start (gfn or page) and a count of pages, with the limit of their sum."""
    limits: dict[FieldType, int] = {
        GFN: GFN_LIMIT,
        PAGE: AREA_PAGES,
    }
    return tuple(
        (base, count, limits[fields[base].type])
        for count, count_field in enumerate(fields)
        if count_field.type in (COUNT, HOST_COUNT, FEW)
        for base, base_field in enumerate(fields)
        if base_field.type in limits
    )


HOST_KINDS: Final = frozenset(kind for kind, threads, *_ in _TABLE if threads == HOST_THREADS)
"""What the host does."""
GUEST_KINDS: Final = (
    Kind.GVA_READ,
    Kind.GVA_WRITE,
    Kind.GVA_EXEC,
    Kind.PTE,
    Kind.INVLPG,
    Kind.CR3,
    Kind.TOGGLE,
    Kind.DMA,
)
"""What guests with page tables of their own do; nothing in others."""
IS_HOST: Final = tuple(kind in HOST_KINDS for kind in Kind)
"""By kind: an index costs less than the hash of a member of an enumeration."""
OPS: Final[dict[Kind, OpSpec]] = {
    kind: OpSpec(kind, kind.name.lower(), threads, fields, _spans(fields), weight, doc)
    for kind, threads, fields, weight, doc in _TABLE
}
_GPA: Final = Field("gva", GVA, key="gpa")
_NESTED: Final[tuple[tuple[Kind, str, tuple[Field, ...], str], ...]] = (
    (Kind.GVA_READ, "l2_read", (_GPA,), "L2 reads by its gpa"),
    (Kind.GVA_WRITE, "l2_write", (_GPA,), "L2 writes by its gpa"),
    (Kind.GVA_EXEC, "l2_exec", (_GPA,), "L2 fetches by its gpa"),
    (Kind.INVLPG, "invept", (), "L1 flushes what is cached by the tables in use"),
)
NESTED_OPS: Final[dict[Kind, OpSpec]] = {
    kind: OPS[kind]._replace(name=name, fields=fields, doc=doc)
    for kind, name, fields, doc in _NESTED
}
"""What some kinds are called where an L1 runs an L2, with the fields that count there; the others
have their lowest values."""
BY_NAME: Final[dict[str, OpSpec]] = {
    spec.name: spec for spec in (*OPS.values(), *NESTED_OPS.values())
}
HONEST: Final[dict[Kind, tuple[tuple[int, int, int], ...]]] = {
    kind: tuple(
        (position, *((1, AREA_PAGES) if field.type is HOST_COUNT else (0, 0)))
        for position, field in enumerate(spec.fields)
        if field.type in (HOST_COUNT, BRACKET)
    )
    for kind, spec in OPS.items()
    if kind in HOST_KINDS
}
"""By kind: (position, low, high) of arguments where a host that does not err is held to less."""
SLOT_FIELDS: Final = (
    Field("slot", SLOT, bare=True),
    _AS,
    _GFN,
    Field("npages", COUNT, key="pages"),
    _AREA,
    Field("page", PAGE, default=0),
    _FLAGS,
)
"""The fields of a SlotSpec, in its order."""
SLOT_SPANS: Final = _spans(SLOT_FIELDS)
