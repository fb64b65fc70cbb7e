# SPDX-License-Identifier: GPL-2.0-only
"""Lines as ftrace, trace-cmd and mails have them; what is no trace is one clear line."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.trace.events import Changed, PageFault, Requested, Unmap
from difffuzz.trace.lines import Lost, read_lines
from difffuzz.trace.reading import read_trace

from .written import AMD, HOST, MAIN, VCPU, answer, changed, fault, leaf, mapping, read, unmap

FAULT = "vcpu 1 rip 0x10 address 0x000000000084d000 error_code 0x182"


@pytest.mark.parametrize(
    "line",
    [
        f"     qemu-8397    [002] .....  1404.389384: kvm_page_fault: {FAULT}",
        f"     qemu-8397    (   8397) [002] d..2.  1404.389384: kvm_page_fault: {FAULT}",
        f"       qemu-8397  [002]  1404.389384: kvm_page_fault:       {FAULT}",
        f"> >  qemu-8397    [002] .....  1404.389384: kvm_page_fault: {FAULT}\r",
        f"  CPU 0/KVM-8397  [002] ....1  52342: kvm_page_fault: {FAULT}",
        f"  a-b c-d-8397    [002] .N.1.  1404.389384: kvm_page_fault: {FAULT}",
        "> qemu-8397 [002] ..... 1404.389384: kvm_page_fault: vcpu 1 rip 0x10\n"
        "> address 0x000000000084d000 error_code 0x182",
    ],
)
def test_a_fault_is_read(line: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(f"# tracer: nop\n\n{line}\n")
    (event,) = read_trace(path).events
    assert isinstance(event, PageFault)
    assert (event.vcpu, event.address >> 12, event.code) == (1, 0x84D, 0x182)
    assert event.line.pid == 8397


def test_faults_of_old_kernels_do_not_tell_the_vcpu(tmp_path: Path) -> None:
    trace = read(tmp_path, (VCPU, "kvm_page_fault: address 84d000 error_code 6"))
    (event,) = trace.events
    assert isinstance(event, PageFault)
    assert (event.vcpu, event.address, event.code) == (-1, 0x84D000, 6)


def test_versions_differ_in_what_is_behind(tmp_path: Path) -> None:
    event = "kvm_mmu_spte_requested: gfn 84d pfn 100b4a4d level 2 access 7"
    (one,) = read(tmp_path, (VCPU, event)).events
    assert isinstance(one, Requested)
    assert one[1:] == (0x84D, 0x100B4A4D, 2)


def test_what_is_not_known_is_counted_and_what_is_broken_is_named(tmp_path: Path) -> None:
    trace = read(
        tmp_path,
        (MAIN, "sched_switch: prev_comm=a"), (MAIN, "sched_switch: prev_comm=b"),
        (MAIN, "kvm_page_fault: vcpu"), (HOST, unmap(0x1000, 0x2000)),
    )  # fmt: skip
    assert dict(trace.skipped) == {"sched_switch": 2}
    assert trace.broken == [5]
    assert [type(event) for event in trace.events] == [Unmap]


def test_endless_lines_cost_nothing(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    start = " a-1 [000] .... 1.0: kvm_page_fault: "
    wrapped = "address \n" * 50_000
    good = f"{start}{FAULT}\n"
    path.write_text(f"{start}{'address ' * 500_000}\n{start}{wrapped}{good}")
    trace = read_trace(path)
    assert [fault.first.line.number for fault in trace.faults] == [50_002]
    assert trace.broken == [2]


def test_gaps_stand_where_they_are() -> None:
    text = (
        "# entries-in-buffer/entries-written: 10/20   #P:2\n"
        " a-1 [000] .... 1.0: kvm_exit: x\nCPU:0 [LOST 3 EVENTS]\n"
        " a-1 [000] .... 1.1: kvm_entry: x\nCPU:1 [12 EVENTS DROPPED]\n"
    )
    found = [isinstance(line, Lost) for line in read_lines(text)]
    assert found == [True, False, True, False, True]
    whole = "# entries-in-buffer/entries-written: 20/20   #P:2\n"
    assert list(read_lines(whole)) == []


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"int main(void)\n{\n}\n", "a C file"),
        (b"\x7fELF\x00", "expected an ftrace text, this is"),
        (b" a-1 [000] .... 1.0: sched_switch: x\n", "it has sched_switch"),
        (b" a-1 [000] .... 1.0: kvm_page_fault: x\n", "line 1: an event of KVM that is not whole"),
        (b"\xff\xfe\n", "byte 1: expected UTF-8 text"),
    ],
)
def test_what_is_no_trace_is_one_line(content: bytes, says: str, tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(content)
    with pytest.raises(UsageError) as error:
        read_trace(path)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_numbers_of_ret_pf_are_those_of_the_kernel(tmp_path: Path) -> None:
    old = read(tmp_path, *mapping(3, 0x500))
    assert old.answer(4) == "FIXED"
    events = [one if one[1] != answer(4) else (VCPU, answer(5)) for one in mapping(3, 0x500)]
    new = read(tmp_path, *events)
    assert (new.kernel, new.answer(5), new.answer(3)) == ((6, 12), "FIXED", "WRITE_PROTECTED")
    assert any("RET_PF" in guess for guess in new.guesses)
    told = read_trace(Path(new.path), (6, 1))
    assert (told.answer(5), told.guesses) == ("SPURIOUS", [])


def test_error_codes_are_of_amd_or_of_intel(tmp_path: Path) -> None:
    amd = read(tmp_path, (VCPU, fault(3, 16)))
    assert (amd.intel, amd.faults[0].access(amd.intel)) == (False, "exec")
    intel = read(tmp_path, (VCPU, fault(3, 0x184).replace(f"{AMD | 0x184:#x}", "0x184")))
    assert (intel.intel, intel.faults[0].access(intel.intel)) == (True, "exec")
    assert "exit qualifications" in intel.guesses[0]


def test_leaves_tell_their_format(tmp_path: Path) -> None:
    layout = read(tmp_path, (VCPU, changed(3, 0, leaf(0x500)))).layout
    assert layout is not None
    assert layout.name == "npt"
    ept = 0x500 << 12 | 3 << 57 | 0xB37
    assert (layout := read(tmp_path, (VCPU, changed(3, 0, ept))).layout) is not None
    assert layout.name == "ept"
    assert read(tmp_path, (VCPU, changed(3, 0, 0x7))).layout is None


def test_changes_are_read_whole(tmp_path: Path) -> None:
    (event,) = read(tmp_path, (VCPU, changed(0x800, 0x827, 0x5A0, 2))).events
    assert isinstance(event, Changed)
    assert event[1:] == (0, 0x800, 2, 0x827, 0x5A0)
