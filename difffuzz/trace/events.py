# SPDX-License-Identifier: GPL-2.0-only
"""Events of KVM as structures (arch/x86/kvm/{trace.h,mmu/mmutrace.h}, trace/events/kvm.h).

gfns and pfns count 4K pages, addresses are bytes, an end is the first byte behind.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

from .lines import Line


class PageFault(NamedTuple):
    """kvm_page_fault.  `vcpu` is -1 in traces of kernels before 6.2 or so that do not tell it.

    `code`: a PFERR_* of AMD, or EPT's exit qualification of Intel.
    """

    line: Line
    vcpu: int
    address: int
    code: int


class Requested(NamedTuple):
    """kvm_mmu_spte_requested: the level that a fault wants, and the 4K page's pfn."""

    line: Line
    gfn: int
    pfn: int
    level: int


class SpteSet(NamedTuple):
    """kvm_mmu_set_spte, of both MMUs.  `spte` was read when the event was written."""

    line: Line
    gfn: int
    spte: int
    level: int


class Changed(NamedTuple):
    """kvm_tdp_mmu_spte_changed."""

    line: Line
    as_id: int
    gfn: int
    level: int
    old: int
    new: int


class PageEvent(NamedTuple):
    """kvm_mmu_get_page, or kvm_mmu_prepare_zap_page (`zapped`)."""

    line: Line
    gfn: int
    level: int
    zapped: bool
    new: bool


class FastFault(NamedTuple):
    """fast_page_fault."""

    line: Line
    gpa: int
    old: int
    new: int
    fixed: bool


class Answer(NamedTuple):
    """What a return probe on the fault handler says: RET_PF_* as that kernel counts, or -errno."""

    line: Line
    ret: int


class Unmap(NamedTuple):
    """kvm_unmap_hva_range: kvm_mmu_notifier_invalidate_range_start() begins."""

    line: Line
    start: int
    end: int


class Began(NamedTuple):
    """A return probe: kvm_mmu_notifier_invalidate_range_start() is over, the count is up."""

    line: Line


class Ends(NamedTuple):
    """A probe: kvm_mmu_notifier_invalidate_range_end() begins, the count is still up."""

    line: Line


class Aged(NamedTuple):
    """kvm_age_hva, or kvm_test_age_hva (`tested`)."""

    line: Line
    start: int
    end: int
    tested: bool


class VcpuEvent(NamedTuple):
    """kvm_entry, kvm_exit: whatever fault there was is over."""

    line: Line


class VmIoctl(NamedTuple):
    """A probe on kvm_vm_ioctl(): which one, and four words of 64 bits of what it was given."""

    line: Line
    number: int
    """Within KVM's."""
    size: int
    """Of its structure, in bytes."""
    words: tuple[int, int, int, int]


Event = (
    PageFault
    | Requested
    | SpteSet
    | Changed
    | PageEvent
    | FastFault
    | Answer
    | Unmap
    | Began
    | Ends
    | Aged
    | VcpuEvent
    | VmIoctl
)
_HANDLERS: Final = ("kvm_tdp_page_fault", "direct_page_fault")
_START: Final = "kvm_mmu_notifier_invalidate_range_start"
_END: Final = "kvm_mmu_notifier_invalidate_range_end"
_RETURNED: Final = re.compile(r"<-\s*(\w+)(?:\+\w+/\w+)?\)(?:.*\bret=(-?\w+))?")
_PROBED: Final = re.compile(r"^\((\w+)\+0x[04]/")
"""The entry of a function, or what is behind its endbr64."""
_VM_IOCTL: Final = "kvm_vm_ioctl"
_IOCTL: Final = re.compile(
    r"\) cmd=0x([0-9a-f]{1,8}) a=0x([0-9a-f]{1,16}) b=0x([0-9a-f]{1,16}) c=0x([0-9a-f]{1,16})"
    r" d=0x([0-9a-f]{1,16})$"
)
_KVMIO: Final = 0xAE
_RANGE: Final = re.compile(r"(?:0x)?([0-9a-f]+) -- (?:0x)?([0-9a-f]+)")
_HVA: Final = re.compile(r"hva: (?:0x)?([0-9a-f]+)")
_H: Final = r"(?:0x)?([0-9a-f]+)"
_FAULT: Final = re.compile(rf"address {_H} error_code {_H}")
_VCPU: Final = re.compile(r"vcpu (\d{1,9}) ")
_REQUESTED: Final = re.compile(rf"gfn {_H} pfn {_H} level (\d)")
_SET: Final = re.compile(rf"gfn {_H} spte {_H} \([^)]*\) level (\d)")
_CHANGED: Final = re.compile(rf"as id (\d+) gfn {_H} level (\d) old_spte {_H} new_spte {_H}")
_PAGE: Final = re.compile(rf"gfn {_H} l?(\d)\b")
_FAST: Final = re.compile(rf"gva {_H} .* old {_H} new {_H} spurious \d fixed (\d)")


def _hex(*words: str) -> tuple[int, ...]:
    return tuple(int(word, 16) for word in words)


def _page_fault(line: Line) -> Event | None:
    found = _FAULT.search(line.text)
    if not found:
        return None
    vcpu = _VCPU.match(line.text)
    return PageFault(line, int(vcpu[1]) if vcpu else -1, *_hex(found[1], found[2]))


def _requested(line: Line) -> Event | None:
    found = _REQUESTED.search(line.text)
    if not found:
        return None
    return Requested(line, int(found[1], 16), int(found[2], 16), int(found[3]))


def _set(line: Line) -> Event | None:
    found = _SET.search(line.text)
    if not found:
        return None
    return SpteSet(line, int(found[1], 16), int(found[2], 16), int(found[3]))


def _changed(line: Line) -> Event | None:
    found = _CHANGED.search(line.text)
    if not found:
        return None
    gfn, old, new = _hex(found[2], found[4], found[5])
    return Changed(line, int(found[1]), gfn, int(found[3]), old, new)


def _page(line: Line) -> Event | None:
    found = _PAGE.search(line.text)
    if not found:
        return None
    zapped = line.event == "kvm_mmu_prepare_zap_page"
    new = line.text.endswith(" new") or line.text.startswith("new ")
    return PageEvent(line, int(found[1], 16), int(found[2]), zapped, new)


def _fast(line: Line) -> Event | None:
    found = _FAST.search(line.text)
    if not found:
        return None
    gpa, old, new = _hex(found[1], found[2], found[3])
    return FastFault(line, gpa, old, new, found[4] == "1")


def _unmap(line: Line) -> Event | None:
    found = _RANGE.search(line.text)
    return Unmap(line, *_hex(found[1], found[2])) if found else None


def _age(line: Line) -> Event | None:
    found = _RANGE.search(line.text)
    if found:
        return Aged(line, int(found[1], 16), int(found[2], 16), False)
    one = _HVA.search(line.text)
    if not one:
        return None
    (hva,) = _hex(one[1])
    return Aged(line, hva, hva + 0x1000, line.event == "kvm_test_age_hva")


_KNOWN: Final[dict[str, Callable[[Line], Event | None]]] = {
    "kvm_page_fault": _page_fault,
    "kvm_mmu_spte_requested": _requested,
    "kvm_mmu_set_spte": _set,
    "kvm_tdp_mmu_spte_changed": _changed,
    "kvm_mmu_get_page": _page,
    "kvm_mmu_prepare_zap_page": _page,
    "fast_page_fault": _fast,
    "kvm_unmap_hva_range": _unmap,
    "kvm_age_hva": _age,
    "kvm_test_age_hva": _age,
    "kvm_entry": VcpuEvent,
    "kvm_exit": VcpuEvent,
}


def event_of(line: Line) -> Event | None:
    """The event of a line; None for one that is not known or not whole."""
    reads = _KNOWN.get(line.event)
    if reads is not None:
        return reads(line)
    if line.function:
        return Ends(line) if line.event == _END else None
    returned = _RETURNED.search(line.text)
    if returned is not None:
        if returned[1] == _START:
            return Began(line)
        if returned[1] in _HANDLERS and returned[2] is not None:
            try:
                return Answer(line, int(returned[2], 0))
            except ValueError:
                return None
    probed = _PROBED.match(line.text)
    if probed is not None and probed[1] == _VM_IOCTL:
        return _vm_ioctl(line)
    return Ends(line) if probed is not None and probed[1] == _END else None


def _vm_ioctl(line: Line) -> Event | None:
    found = _IOCTL.search(line.text)
    if found is None:
        return None
    command, *words = _hex(*found.groups())
    if command >> 8 & 0xFF != _KVMIO:
        return None
    a, b, c, d = words
    return VmIoctl(line, command & 0xFF, command >> 16 & 0x3FFF, (a, b, c, d))


def known(name: str) -> bool:
    """True if events of that name are read."""
    return name in _KNOWN
