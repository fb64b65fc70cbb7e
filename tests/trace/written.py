# SPDX-License-Identifier: GPL-2.0-only
"""Writes ftrace texts: one event a line, a line a microsecond, as `trace` has them."""

from __future__ import annotations

from pathlib import Path

from difffuzz.trace.reading import Trace, read_trace

VCPU = "CPU 0/KVM-100"
OTHER = "CPU 1/KVM-101"
HOST = "khugepaged-77"
MAIN = "qemu-system-x86-99"
AMD = 1 << 32
"""PFERR_GUEST_FINAL."""
WRITE, PRESENT, FETCH = 2, 1, 16
FROZEN = 0x5A0
LOST = ("", "CPU:1 [LOST 7 EVENTS]")
ROOT = "kvm_mmu_get_page: sp gen 0 gfn 0 l4 8-byte q0 direct wux nxe ad root 0 sync new"


def leaf(pfn: int, level: int = 1, writable: bool = True, dirty: bool = False) -> int:
    """A leaf of NPT: host-writable, MMU-writable."""
    large = 0x80 if level > 1 else 0
    return pfn << 12 | 0xE25 | large | 2 * writable | 0x40 * dirty


def table(pfn: int) -> int:
    """A page table of NPT."""
    return pfn << 12 | 0x827


def fault(gfn: int, code: int = WRITE, vcpu: int = 0) -> str:
    return (
        f"kvm_page_fault: vcpu {vcpu} rip 0x10 address {gfn << 12:#018x} error_code {AMD | code:#x}"
    )


def requested(gfn: int, pfn: int, level: int = 1) -> str:
    return f"kvm_mmu_spte_requested: gfn {gfn:x} pfn {pfn:x} level {level}"


def changed(gfn: int, old: int, new: int, level: int = 1) -> str:
    return (
        f"kvm_tdp_mmu_spte_changed: as id 0 gfn {gfn:x} level {level} old_spte {old:x} "
        f"new_spte {new:x}"
    )


def set_spte(gfn: int, spte: int, level: int = 1) -> str:
    return f"kvm_mmu_set_spte: gfn {gfn:x} spte {spte:x} (rwxu) level {level} at 1000"


def answer(ret: int) -> str:
    return f"pf: (kvm_mmu_page_fault+0x1a2/0x5f0 [kvm] <- kvm_tdp_page_fault) ret={ret}"


def zap_page(gfn: int, level: int) -> str:
    return (
        f"kvm_mmu_prepare_zap_page: sp gen 0 gfn {gfn:x} l{level} 8-byte q0 direct wux nxe ad "
        "root 0 sync"
    )


def unmap(start: int, end: int) -> str:
    return f"kvm_unmap_hva_range: mmu notifier unmap range: {start:#016x} -- {end:#016x}"


BEGAN = "begun: (mn_start+0x5/0x9 <- kvm_mmu_notifier_invalidate_range_start)"
ENDS = "ends: (kvm_mmu_notifier_invalidate_range_end+0x0/0x70 [kvm])"


def text(*events: tuple[str, str]) -> str:
    """(task, event) each."""
    lines = ["# tracer: nop", "#"]
    for number, (task, event) in enumerate(events):
        if (task, event) == LOST:
            lines.append(event)
            continue
        lines.append(f" {task}     [002] .....  1404.{number:06}: {event}")
    return "\n".join(lines) + "\n"


def mapping(gfn: int, pfn: int, task: str = VCPU) -> list[tuple[str, str]]:
    """A write fault that maps a 4K page."""
    spte = leaf(pfn)
    events = (
        fault(gfn),
        requested(gfn, pfn),
        changed(gfn, 0, spte),
        set_spte(gfn, spte),
        answer(4),
    )
    return [(task, event) for event in events]


def read(folder: Path, *events: tuple[str, str]) -> Trace:
    """What a file of these events is read as."""
    path = folder / "trace.txt"
    path.write_text(text(*events))
    return read_trace(path)


STALE = text(
    (VCPU, fault(0x24D)),
    (VCPU, requested(0x24D, 0x64D, 2)),
    (VCPU, changed(0x200, table(9), leaf(0x600, 2), 2)),
    (VCPU, zap_page(0x200, 1)),
    (VCPU, changed(0x200, leaf(0x777), FROZEN)),
    (VCPU, set_spte(0x200, leaf(0x600, 2), 2)),
)
"""A huge page comes where a small one of another pfn still was."""
