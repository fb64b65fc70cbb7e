# SPDX-License-Identifier: GPL-2.0-only
"""Rules over faults: what the handler answered, asked for and set has to fit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from .events import Changed, SpteSet
from .faults import Fault
from .layout import leaf, pages, pfn, present, same_pfn, tracked, writable
from .reading import Trace
from .slots import TracedSlot
from .told import Finding, Rule, found


def _faults(trace: Trace) -> Iterator[Fault]:
    """Whole ones whose address is the guest page that is mapped: an L2's is not."""
    for fault in trace.faults:
        if fault.whole and (fault.requested is None or fault.requested.gfn == fault.gfn):
            yield fault


def _above_requested(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    for fault in _faults(trace):
        done = fault.set_for_it()
        if fault.requested and done and done.level > fault.requested.level:
            yield found(
                "level-above-requested", [fault.requested, done],
                f"gfn {fault.gfn:#x}: level {fault.requested.level} was asked for, "
                f"level {done.level} was set",
            )  # fmt: skip


def _wrong_pfn(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    for fault in _faults(trace):
        asked = fault.requested
        if asked is None:
            continue
        change = _change_of(fault)
        # Other tasks may change an SPTE of the TDP MMU before kvm_mmu_set_spte reads it.
        done = change or (None if trace.tdp else fault.set_for_it())
        if done is None:
            continue
        spte = done.new if isinstance(done, Changed) else done.spte
        wanted = asked.pfn & -pages(done.level)
        if present(spte) and not same_pfn(pfn(spte), wanted):
            yield found(
                "wrong-pfn", [asked, done],
                f"gfn {fault.gfn:#x}: pfn {wanted:#x} was asked for, {pfn(spte):#x} was set",
            )  # fmt: skip


def _change_of(fault: Fault) -> Changed | None:
    """The leaf of the TDP MMU that the fault made for its page."""
    for event in fault.changes:
        if leaf(event.new, event.level) and fault.covers(event.gfn, event.level):
            return event
    return None


def _retry_but_set(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    for fault in _faults(trace):
        done = fault.set_for_it()
        if done and fault.ret is not None and trace.answer(fault.ret) == "RETRY":
            yield found(
                "retry-but-set", [fault.first, done],
                f"gfn {fault.gfn:#x}: RET_PF_RETRY in line {fault.ret_line}, but an SPTE was set",
            )  # fmt: skip


def _fixed_but_not_set(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    for fault in _faults(trace):
        if fault.requested and fault.ret is not None and trace.answer(fault.ret) == "FIXED":
            if fault.set_for_it() is None:
                yield found(
                    "fixed-but-not-set", [fault.first, fault.requested],
                    f"gfn {fault.gfn:#x}: RET_PF_FIXED in line {fault.ret_line}, "
                    "but no SPTE was set",
                )  # fmt: skip


def _write_without_write(trace: Trace, slots: list[TracedSlot]) -> Iterator[Finding]:
    for fault in _faults(trace):
        if fault.access(trace.intel) != "write" or fault.ret is None:
            continue
        change = _change_of(fault)
        if trace.answer(fault.ret) != "FIXED" or change is None or tracked(change.new):
            continue
        if not writable(change.new):
            yield found(
                "write-fixed-without-write", [fault.first, change],
                f"gfn {fault.gfn:#x}: RET_PF_FIXED in line {fault.ret_line} for a write, "
                "but the SPTE is not writable",
            )  # fmt: skip


def _needs_sets(trace: Trace, slots: list[TracedSlot]) -> str:
    if not any(fault.requested for fault in trace.faults):
        return "kvm_page_fault and kvm_mmu_spte_requested"
    if not any(isinstance(event, SpteSet) for event in trace.events):
        return "kvm_mmu_set_spte"
    return ""


def _needs_answers(trace: Trace, slots: list[TracedSlot]) -> str:
    if not any(fault.ret is not None for fault in trace.faults):
        return "a return probe on kvm_tdp_page_fault, as docs/trace.md sets one"
    return _needs_sets(trace, slots)


RULES: Final = (
    Rule(
        "level-above-requested",
        "a fault maps at no higher level than it asked for",
        "kvm_tdp_mmu_map(), direct_map()",
        _needs_sets,
        _above_requested,
    ),
    Rule(
        "wrong-pfn",
        "a fault maps the pfn that it asked for",
        "make_spte()",
        _needs_sets,
        _wrong_pfn,
    ),
    Rule(
        "retry-but-set",
        "a fault that answers RETRY has set no leaf",
        "kvm_tdp_mmu_map(), direct_page_fault()",
        _needs_answers,
        _retry_but_set,
    ),
    Rule(
        "fixed-but-not-set",
        "a fault that asked for a level and answers FIXED has set a leaf",
        "tdp_mmu_map_handle_target_level(), mmu_set_spte()",
        _needs_answers,
        _fixed_but_not_set,
    ),
    Rule(
        "write-fixed-without-write",
        "a write fault that answers FIXED leaves a writable leaf",
        "tdp_mmu_map_handle_target_level()",
        _needs_answers,
        _write_without_write,
    ),
)
