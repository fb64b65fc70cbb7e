# SPDX-License-Identifier: GPL-2.0-only
"""A program's operations as calls of the C below them, each with its number and a comment."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from typing import NamedTuple

from ..program import OPS, Kind, Op, Program, render_op
from ..program.limits import area_base
from ..program.model import DIRTY_LOG, READONLY
from ..program.ops import IS_HOST
from ..sides.memory_map import MIN_MMU_PAGES, MemoryMap
from .cannot import OPERATIONS

_ACCESSES = ("LOAD", "STORE", "FETCH")
_PROTECTIONS = ("PROT_NONE", "PROT_READ", "PROT_READ | PROT_WRITE")
_TAGGED = (Kind.WRITE, Kind.HOST_WRITE, Kind.COW_WRITE, Kind.BEGIN_FAULT)
_RETURNS = (
    Kind.MEMSLOT_CREATE,
    Kind.MEMSLOT_DELETE,
    Kind.MEMSLOT_MOVE,
    Kind.MEMSLOT_FLAGS,
    Kind.DIRTY_GET,
    Kind.DIRTY_CLEAR,
    Kind.MMU_PAGES,
)
_OF_A_VCPU = frozenset({*(kind for kind in Kind if kind <= Kind.RELOAD), Kind.PREFAULT})
"""Operations that one vCPU does or that are done to it: its number is their first argument."""
_IN_SMM = frozenset({*(kind for kind in Kind if kind <= Kind.BEGIN_FAULT), Kind.PREFAULT})
"""Operations of a vCPU that concern the memory of the address space that it is in."""
_FUNCTIONS = {
    Kind.READ: "guest_read",
    Kind.WRITE: "guest_write",
    Kind.EXEC: "guest_exec",
    Kind.MMU_PAGES: "set_mmu_pages",
    Kind.NX: "set_nx",
    Kind.VCPU_CREATE: "add_vcpu",
    Kind.HOST_READ: "host_read",
    Kind.HOST_WRITE: "host_write",
}
_PIECES = {
    "add_vcpu": "guest",
    "begin_fault": "park",
    "end_fault": "park",
    "memslot_create": "slots",
}
"""Of functions that have no piece of their own."""
LEAST_MMU_PAGES = 64
"""KVM_MIN_ALLOC_MMU_PAGES; the least of difffuzz is smaller."""


class Step(NamedTuple):
    """One operation.  Its lines of C stand in the function of its thread."""

    number: int
    thread: int
    text: str
    """The operation in the text form."""
    comment: str
    calls: tuple[str, ...]
    pieces: tuple[str, ...]
    meets: bool = False
    """All threads meet here."""


def steps(program: Program, concurrent: bool) -> Iterator[Step]:
    """The operations, in program order."""
    known = MemoryMap(program.config)
    ends = _ends(program, concurrent)
    for number, op in enumerate(program.ops, 1):
        yield _step(number, op, known, concurrent, ends[number - 1])
        known.apply(op, None)


def last_calls(program: Program, concurrent: bool) -> list[str]:
    """Ends the faults that are parked when the program is over."""
    return _ends(program, concurrent)[-1]


def _ends(program: Program, concurrent: bool) -> list[list[str]]:
    """For each operation, and the end: calls that end parked faults before it.

    Where threads race, none is parked.
    """
    known = MemoryMap(program.config)
    parked: set[int] = set()
    ends = []
    for op in program.ops:
        ended: list[int] = []
        if Kind.MEMSLOT_CREATE <= op.kind <= Kind.MEMSLOT_FLAGS:
            ended = sorted(parked)  # a memslot update waits for faults in flight
        elif op.kind in _OF_A_VCPU and op.thread in parked and op.kind != Kind.BEGIN_FAULT:
            ended = [op.thread]
        parked.difference_update(ended)
        ends.append([f"end_fault({vcpu})" for vcpu in ended])
        if op.kind == Kind.BEGIN_FAULT and not concurrent and not known.smm[op.thread]:
            parked.add(op.thread)
        known.apply(op, None)
    return [*ends, [f"end_fault({vcpu})" for vcpu in sorted(parked)]]


def _step(number: int, op: Op, known: MemoryMap, concurrent: bool, before: list[str]) -> Step:
    kind, thread, _ = op
    calls, comment = list(before), _comment(op, known, concurrent)
    pieces = ["park"] if before else []
    reason = OPERATIONS.get(kind)
    if kind in _IN_SMM and known.smm[thread]:
        reason = "this vCPU would be in system management mode"
    meets = kind == Kind.SYNC
    if reason is not None:
        calls.append(f'skip("{reason}")')
    elif kind == Kind.END_FAULT:
        comment += "" if before else "; there is none"
    elif not meets:
        function, arguments = _call(number, op, concurrent)
        call = f"{function}({', '.join(arguments)})"
        if kind in _RETURNS:
            call = f"returns({_returned(op, known)}, {call})"
        calls.append(call)
        pieces.append(_PIECES.get(function, function))
    return Step(number, thread, render_op(op), comment, tuple(calls), tuple(pieces), meets)


def _call(number: int, op: Op, concurrent: bool) -> tuple[str, list[str]]:
    """The function and its arguments in C."""
    kind, thread, args = op
    if kind == Kind.BEGIN_FAULT and concurrent:  # others run meanwhile in any case
        return _call(number, Op(Kind(args[1]), thread, args[:1]), concurrent)
    name = OPS[kind].name
    function = _FUNCTIONS.get(kind) or (f"host_{name}" if IS_HOST[kind] else name)
    arguments = [str(thread)] if kind in _OF_A_VCPU else []
    for field, value in zip(OPS[kind].fields, args, strict=True):
        if field.name == "access":
            arguments.append(_ACCESSES[value])
        elif field.name == "prot":
            arguments.append(_PROTECTIONS[value])
        elif field.name == "flags":
            arguments.append(slot_flags(value))
        elif field.name == "n" and kind == Kind.MMU_PAGES:
            arguments.append(str(mmu_pages(value)))
        elif field.name != "flush":
            arguments.append(f"{value:#x}" if field.type.base == 16 else str(value))
    if kind in _TAGGED:
        arguments.append(f"{1 + number % 255:#x}")
    return function, arguments


def slot_flags(flags: int) -> str:
    """Flags of a memslot in C."""
    words = [
        word
        for bit, word in ((DIRTY_LOG, "KVM_MEM_LOG_DIRTY_PAGES"), (READONLY, "KVM_MEM_READONLY"))
        if flags & bit
    ]
    return " | ".join(words) or "0"


def mmu_pages(n: int) -> int:
    """A limit of MMU pages that the kernel takes where difffuzz takes it."""
    return max(n, LEAST_MMU_PAGES) if n >= MIN_MMU_PAGES else n


def _returned(op: Op, known: MemoryMap) -> str:
    """What the call has to return, from what the memory map is before it."""
    if op.kind == Kind.MMU_PAGES:
        op = op._replace(args=(mmu_pages(op.args[0]),))
    value = known.copy().apply(op, None)
    return f"-{errno.errorcode[-value]}" if value < 0 else str(value)


def _comment(op: Op, known: MemoryMap, concurrent: bool) -> str:
    """What the operation is, and which gfns lie behind host memory that it names."""
    spec = OPS[op.kind]
    if not IS_HOST[op.kind] or concurrent:
        return spec.doc
    area, page = op.args[:2]
    start = area_base(area) + (page << 12)
    pages = op.args[2] if len(spec.fields) > 2 and spec.fields[2].name == "n" else 1
    behind = [
        f"{first:#x}..{end - 1:#x}" if end - first > 1 else f"{first:#x}"
        for slot in known.slots_over(start, start + (pages << 12))
        for first, end in [slot.gfns_of(start, start + (pages << 12))]
    ]
    return f"{spec.doc}: gfn {', '.join(behind)}" if behind else f"{spec.doc}: no memslot is there"
