# SPDX-License-Identifier: GPL-2.0-only
"""What a probe on kvm_vm_ioctl() tells: memslots and dirty logs are operations of the program."""

from __future__ import annotations

from pathlib import Path

from difffuzz.program import render
from difffuzz.trace.events import Ends, VmIoctl
from difffuzz.trace.placed import place
from difffuzz.trace.rebuild import Rebuild, rebuild
from difffuzz.trace.slots import TracedSlot
from difffuzz.trace.vmm import slots_told

from .test_rebuild import agreed, operations
from .written import ENDS, MAIN, VCPU, answer, fault, read, requested, set_spte

HVA = 0x7F0000000000
FIXED = 5
Events = list[tuple[str, str]]


def vm(number: int, size: int, a: int, b: int = 0, c: int = 0, d: int = 0) -> tuple[str, str]:
    command = 0x4000AE00 | size << 16 | number
    words = f"a={a:#x} b={b:#x} c={c:#x} d={d:#x}"
    return MAIN, f"vm: (kvm_vm_ioctl+0x4/0x1470 [kvm]) cmd={command:#x} {words}"


def region(slot: int, gfn: int, pages: int, flags: int = 0, hva: int = HVA) -> tuple[str, str]:
    return vm(0x46, 0x20, slot | flags << 32, gfn << 12, pages << 12, hva)


def get_log(slot: int) -> tuple[str, str]:
    return vm(0x42, 0x10, slot)


def clear_log(slot: int, first: int, n: int) -> tuple[str, str]:
    return vm(0xC0, 0x18, slot | n << 32, first)


def written(gfn: int) -> Events:
    """A write that sets a leaf of 4K."""
    spte = 0x9000 << 12 | 0xE67
    events = (fault(gfn), requested(gfn, 0x9000), set_spte(gfn, spte), answer(FIXED))
    return [(VCPU, event) for event in events]


def made(folder: Path, events: Events) -> Rebuild:
    trace = read(folder, *events)
    return rebuild(trace, place(trace, [], slots_told(trace.events)))


def test_the_event_is_read_whole_or_not(tmp_path: Path) -> None:
    name, good = region(0, 0x10, 0x20)
    broken = [
        good.replace(" d=0x7f0000000000", ""),
        good.replace("a=0x0", "a=(fault)"),
        good.replace("cmd=0x4020ae46", "cmd=0x40205401"),
        good.replace("kvm_vm_ioctl", "kvm_vcpu_ioctl"),
        good.replace("+0x4/", "+0x40/"),
    ]
    trace = read(tmp_path, (name, good), *((name, one) for one in broken), *written(0x10))
    [event] = [event for event in trace.events if isinstance(event, VmIoctl)]
    assert (event.number, event.size) == (0x46, 0x20)
    assert event.words == (0, 0x10000, 0x20000, HVA)


def test_a_probe_is_behind_endbr64_or_not(tmp_path: Path) -> None:
    for text in (ENDS, ENDS.replace("+0x0/", "+0x4/")):
        trace = read(tmp_path, (MAIN, text), *written(0))
        assert sum(isinstance(event, Ends) for event in trace.events) == 1


def test_slots_before_the_first_fault_are_those_of_the_program(tmp_path: Path) -> None:
    one = made(tmp_path, [region(7, 0x10, 0x20, flags=1), *written(0x11)])
    [program] = one.programs
    assert "slot 0 as=0 gfn=0x10 pages=0x20 area=1 page=0x0 flags=dirty" in render(program.program)
    assert operations(one) == ["vcpu0: write gfn=0x11"]
    assert agreed(one) == (1, 1)


def test_logs_and_flags_are_operations_where_they_were(tmp_path: Path) -> None:
    """Without them the model knows of no second fault of the page."""
    logged = [
        region(7, 0x10, 0x20, flags=1),
        *written(0x11),
        get_log(7),
        *written(0x11),
        region(7, 0x10, 0x20),
        region(7, 0x10, 0x20, flags=1),
        *written(0x11),
    ]
    one = made(tmp_path, logged)
    assert operations(one) == [
        "vcpu0: write gfn=0x11",
        "vmm: dirty_get slot=0 as=0",
        "vcpu0: write gfn=0x11",
        "vmm: memslot_flags slot=0 as=0 flags=none",
        "vmm: memslot_flags slot=0 as=0 flags=dirty",
        "vcpu0: write gfn=0x11",
    ]
    assert agreed(one) == (3, 3)
    silent = [event for event in logged if event != get_log(7)]
    assert agreed(made(tmp_path, silent)) == (2, 3)


def test_a_log_that_is_cleared_by_hand(tmp_path: Path) -> None:
    cap = vm(0xA3, 0x68, 168, 3)
    events = [cap, region(1, 0, 0x80, flags=1), *written(2), clear_log(1, 0, 0x40), *written(2)]
    one = made(tmp_path, events)
    assert "vmm: dirty_clear slot=0 as=0 first=0x0 n=0x40" in operations(one)
    config = one.programs[0].program.config
    assert (config.manual_protect, config.init_set) == (True, True)
    assert agreed(one)[1] == 2


def test_a_slot_that_comes_and_goes(tmp_path: Path) -> None:
    other = HVA + (1 << 30)
    events = [
        region(0, 0, 0x20),
        *written(1),
        region(5, 0x40, 1, hva=other),
        region(5, 0x40, 0, hva=other),
        *written(1),
    ]
    assert operations(made(tmp_path, events)) == [
        "vcpu0: write gfn=0x1",
        "vmm: memslot_create slot=1 as=0 gfn=0x40 n=0x1 area=0 page=0x0 flags=none",
        "vmm: memslot_delete slot=1 as=0",
        "vcpu0: write gfn=0x1",
    ]


def test_another_vm_is_another_program(tmp_path: Path) -> None:
    other = HVA + (1 << 30)
    events = [region(0, 0, 0x20), *written(1), region(0, 0x80, 0x40, hva=other), *written(0x81)]
    one = made(tmp_path, events)
    assert [len(it.program.config.slots) for it in one.programs] == [1, 1]
    assert operations(one) == ["vcpu0: write gfn=0x1", "vcpu0: write gfn=0x81"]


def test_what_is_told_of_slots(tmp_path: Path) -> None:
    slot = TracedSlot(0x10, 0x20, HVA)
    for event, told in (
        (region(0, 0x10, 0x20), [slot]),
        (region(1 << 16, 0x10, 0x20), []),
        (region(0, 0x10, 0), []),
        (region(0, 0x10, 0x20, hva=HVA + 8), []),
        (vm(0x46, 0x18, 0, 0x10000, 0x20000, HVA), []),
        (vm(0x49, 0xA0, 0, 0x10000, 0x20000, HVA), [slot]),
    ):
        assert slots_told(read(tmp_path, event, *written(0)).events) == told
    overlapping = [region(0, 0x10, 0x20), region(1, 0x2F, 4), region(2, 0x30, 4), *written(0)]
    told = slots_told(read(tmp_path, *overlapping).events)
    assert [one.gfn for one in told] == [0x10, 0x30]
