# SPDX-License-Identifier: GPL-2.0-only
"""A trace becomes programs, and a side that does the same agrees with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from difffuzz.cli import main
from difffuzz.engine.trace_agreement import agreement
from difffuzz.errors import UsageError
from difffuzz.program import Kind, parse, render
from difffuzz.program.limits import MAX_OPS
from difffuzz.sides import KvmFactory, open_side
from difffuzz.trace.placed import place
from difffuzz.trace.rebuild import Rebuild, rebuild
from difffuzz.trace.slots import TracedSlot, parse_slots
from difffuzz.trace.vmm import slots_told
from tests.docs.valid import valid

from .written import (
    HOST,
    MAIN,
    OTHER,
    VCPU,
    answer,
    changed,
    fault,
    leaf,
    mapping,
    read,
    requested,
    set_spte,
    text,
    unmap,
)

HVA = 0x7F0000000000
SLOT = TracedSlot(0, 0x200, HVA)
Events = list[tuple[str, str]]


def made(folder: Path, events: Events, slots: list[TracedSlot]) -> Rebuild:
    trace = read(folder, *events)
    return rebuild(trace, place(trace, slots, slots_told(trace.events)))


def operations(one: Rebuild) -> list[str]:
    lines = [line for it in one.programs for line in render(it.program).splitlines()]
    return [line for line in lines if line.startswith(("vcpu", "host", "vmm"))]


def agreed(one: Rebuild, side: str = "tdp") -> tuple[int, int]:
    factory = open_side(side)
    assert isinstance(factory, KvmFactory)
    results = [agreement(it, factory) for it in one.programs]
    return sum(it.agreed for it in results), sum(it.compared for it in results)


def unmapped(first: int, end: int, task: str = HOST) -> Events:
    return [(task, unmap(HVA + (first << 12), HVA + (end << 12)))]


def test_faults_and_an_invalidation(tmp_path: Path) -> None:
    events = [*mapping(3, 0x500), *unmapped(3, 4, MAIN), *mapping(3, 0x501)]
    one = made(tmp_path, events, [SLOT])
    assert operations(one) == [
        "vcpu0: write gfn=0x3",
        "host0: dontneed area=1 page=0x3 n=0x1",
        "vcpu0: write gfn=0x3",
    ]
    assert [(it.answers, it.level) for it in one.programs[0].expected] == [(("FIXED",), 1)] * 2
    assert agreed(one) == (2, 2)


def test_the_same_page_comes_again_after_a_bracket(tmp_path: Path) -> None:
    events = [*mapping(3, 0x500), *unmapped(3, 4), *mapping(3, 0x500)]
    assert "host0: invalidate area=1 page=0x3 n=0x1 whole" in operations(
        made(tmp_path, events, [SLOT])
    )


def test_a_side_that_does_otherwise_does_not_agree(tmp_path: Path) -> None:
    events = [*mapping(3, 0x500), *mapping(3, 0x500)]  # the second has nothing to fix
    one = made(tmp_path, events, [SLOT])
    assert agreed(one) == (1, 2)
    factory = open_side("tdp")
    assert isinstance(factory, KvmFactory)
    (found,) = agreement(one.programs[0], factory).differences
    assert (found.what, found.traced, found.replayed) == ("RET_PF", "FIXED", "no fault")
    assert found.line == 8


def test_a_fault_that_tries_again_was_parked(tmp_path: Path) -> None:
    events = [
        (VCPU, fault(3)), *unmapped(3, 4, MAIN), (VCPU, answer(1)),
        *mapping(3, 0x501),
    ]  # fmt: skip
    one = made(tmp_path, events, [SLOT])
    assert operations(one) == [
        "vcpu0: begin_fault gfn=0x3 access=write",
        "host0: dontneed area=1 page=0x3 n=0x1",
        "vcpu0: end_fault",
    ]
    assert one.programs[0].expected[0].answers == ("RETRY", "FIXED")
    assert agreed(one) == (1, 1)


def test_huge_pages_are_khugepageds_or_split(tmp_path: Path) -> None:
    huge = leaf(0x600, 2)
    faults = [
        fault(5),
        requested(5, 0x605, 2),
        changed(0, 0, huge, 2),
        set_spte(0, huge, 2),
        answer(4),
    ]
    mapped = [(VCPU, event) for event in faults]
    events = [*mapped, *unmapped(0, 0x200, MAIN), *mapping(5, 0x605), *unmapped(0, 0x200), *mapped]
    one = made(tmp_path, events, [SLOT])
    assert operations(one) == [
        "vcpu0: write gfn=0x5",
        "host0: thp_split area=0 page=0x0",
        "vcpu0: write gfn=0x5",
        "host0: thp_collapse area=0 page=0x0",
        "vcpu0: write gfn=0x5",
    ]
    assert [it.level for it in one.programs[0].expected] == [2, 1, 2]
    assert agreed(one) == (3, 3)


def test_aging_and_migration(tmp_path: Path) -> None:
    events = [
        *mapping(3, 0x500),
        (HOST, f"kvm_age_hva: mmu notifier age hva: {HVA + 0x3000:#x} -- {HVA + 0x4000:#x}"),
        (HOST, f"kvm_test_age_hva: mmu notifier test age hva: {HVA + 0x3000:#x}"),
        *unmapped(3, 4, "kcompactd0-40"),
    ]
    assert operations(made(tmp_path, events, [SLOT]))[1:] == [
        "host0: age area=1 page=0x3 n=0x1 flush=off",
        "host0: test_age area=1 page=0x3",
        "host0: migrate area=1 page=0x3",
    ]


def test_a_long_trace_becomes_several_programs(tmp_path: Path) -> None:
    count = MAX_OPS + 100
    events = [one for gfn in range(count) for one in mapping(gfn, 0x5000 + gfn)]
    one = made(tmp_path, events, [TracedSlot(0, 0x400, HVA)])
    assert [len(it.program.ops) for it in one.programs] == [MAX_OPS, 100]
    assert agreed(one) == (count, count)


def test_slots_are_guessed_from_gfns_and_zaps(tmp_path: Path) -> None:
    high = 0x123456
    events = [
        *mapping(3, 0x500), *mapping(high, 0x900),
        *unmapped(0x23456, 0x23457, MAIN), (MAIN, changed(high, leaf(0x900), 0)),
    ]  # fmt: skip
    trace = read(tmp_path, *events)
    placement = place(trace, [], [])
    low, up = placement.slots
    assert (low.traced.text, low.gfn) == ("0x0,0x200,unknown", 0)
    assert (up.traced.gfn, up.traced.npages) == (0x123400, 0x200)
    assert up.traced.hva == HVA + (0x23400 << 12)
    assert up.gfn % 0x200 == 0
    assert placement.gfn_of(high) == up.gfn + 0x56
    assert placement.gfn_of(0x7FFFFFFF) is None
    assert sum("guessed" in text for text in placement.notes) == 2
    assert operations(rebuild(trace, placement))[-1].startswith("host0: dontneed")


def test_more_tasks_than_vcpus_are_folded(tmp_path: Path) -> None:
    events = [one for n in range(6) for one in mapping(n, 0x500 + n, f"CPU {n}/KVM-{100 + n}")]
    one = made(tmp_path, events, [SLOT])
    assert one.vcpus == 4
    assert "6 tasks" in one.notes[0]
    assert {op.thread for op in one.programs[0].program.ops} == {0, 1, 2, 3}
    assert {op.kind for op in one.programs[0].program.ops} == {Kind.WRITE}


@pytest.mark.parametrize(
    ("slots", "says"),
    [
        (["0,1"], "expected GFN,PAGES,HVA"),
        (["0,0,0x1000"], "no such range"),
        (["0,1,0x1001"], "no such range"),
        (["0,2,0x1000", "1,1,0x9000"], "overlaps"),
        (["0,1,0x1000"] * 65, "at most 64"),
    ],
)
def test_slots_that_are_none(slots: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        parse_slots(slots)
    assert says in str(error.value)


def test_the_command_writes_programs_and_tells(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source, out = tmp_path / "pasted.txt", tmp_path / "out"
    source.write_text(
        text(*mapping(3, 0x500), *mapping(4, 0x501, OTHER), (MAIN, "sched_wakeup: x"))
    )
    line = ["corpus", "import", "--trace", str(source), "-o", str(out), "--slot", "0,0x200,0x10000"]
    sides = ["--side", "tdp", "--side", "legacy"]
    assert main([*line, *sides, "--json"]) == 0
    shown = capsys.readouterr()
    document: Any = valid("corpus import", json.loads(shown.out))
    assert [(it["side"], it["agreement"]) for it in document["traced"]["replayed"]] == [
        ("tdp", 1.0), ("legacy", 1.0),
    ]  # fmt: skip
    assert document["traced"]["skipped"] == {"sched_wakeup": 1}
    assert "1 sched_wakeup" in shown.err
    (path,) = out.iterdir()
    assert len(parse(path.read_text(), path.name).ops) == 2
    assert main(["replay", str(path)]) == 0
    capsys.readouterr()
    assert main(line) == 0
    assert "2 of 2 accesses end as in the trace (100.0 %)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "either a file"),
        (["it.tar.gz", "--trace", "it"], "either a file"),
        (["it.tar.gz", "--slot", "0,1,0"], "belong to --trace"),
        (["--trace", "nowhere"], "nowhere: No such file"),
        (["--trace", "TRACE", "--kernel", "new"], "expected a version"),
        (["--trace", "TRACE", "--side", "spec"], "no faults to compare"),
        (["--trace", "TRACE", "--slot", "0x4000,1,0"], "no fault of it is in a slot"),
    ],
)
def test_what_the_command_refuses(
    arguments: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(text((VCPU, fault(1 << 30)), (VCPU, answer(2))))
    line = [str(path) if word == "TRACE" else word for word in arguments]
    assert main(["corpus", "import", *line, "-o", str(tmp_path / "out")]) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert says in error
    assert not (tmp_path / "out").exists()


def test_judge_tells_and_ends_with_a_status(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "trace.txt"
    path.write_text(text(*mapping(3, 0x500)))
    assert main(["judge", str(path)]) == 0
    assert "0 proven wrong" in capsys.readouterr().out
    path.write_text(text((MAIN, changed(3, leaf(0x500), leaf(0x501)))))
    assert main(["judge", str(path), "--json"]) == 1
    document: Any = valid("judge", json.loads(capsys.readouterr().out))
    (found,) = [one for one in document["findings"] if one["proven"]]
    assert (found["rule"], found["lines"]) == ("pfn-changed-without-zap", [3])
    path.write_text("nothing of the kind\n")
    assert main(["judge", str(path)]) == 2
    assert "expected an ftrace text" in capsys.readouterr().err
