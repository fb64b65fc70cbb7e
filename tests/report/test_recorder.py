# SPDX-License-Identifier: GPL-2.0-only
"""What is recorded of a run is what happened, and recording changes nothing."""

from __future__ import annotations

from collections import Counter

import pytest

from difffuzz.engine import lockstep
from difffuzz.program import Config, parse
from difffuzz.report import side_notes
from difffuzz.report.recorder import Recorder
from difffuzz.report.recording import Event, Recording, What
from difffuzz.running.runner import Runner
from difffuzz.sched import Scheduler
from difffuzz.sched.interleave import Interleaver
from difffuzz.sides import KvmFactory, SideFactory, open_side
from difffuzz.sides.base import Side
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.machine import PLAIN, Machine
from difffuzz.variants.catalogue import catalogue, find

from ..native.kernel import built

# One that loops without end would take long; the limit has a test of its own.
BUGS = [bug.id for bug in catalogue() if bug.is_on("") and bug.id != "ed5e484b79e8"][::3]
LOCKSTEP = """\
difffuzz program v1
config vcpus=2
slot 0 gfn=0x0 pages=0x400 area=0 page=0x0
vcpu0: read gfn=0x1
vcpu1: write gfn=0x201
vmm: memslot_flags slot=0 as=0 flags=dirty
host0: dontneed area=0 page=0x1 n=0x1
vcpu0: write gfn=0x1
vmm: memslot_delete slot=0
"""
RACE = f"{LOCKSTEP}schedule 30:host0 60:vmm\n"


def recorded(text: str, left: str, right: str) -> Recording:
    program = parse(text)
    recorder = Recorder()
    verdict = Runner(left, right)(program, trace=True, notes=recorder)
    return recorder.recording("it", program, (left, right), verdict)


class Keeping(Recorder):
    """Keeps the sides, to compare with what was noted of them."""

    def __init__(self) -> None:
        super().__init__()
        self.sides: dict[int, KvmSide] = {}

    def start(self, number: int, factory: SideFactory, config: Config) -> Side:
        """As ever."""
        side = super().start(number, factory, config)
        assert isinstance(side, KvmSide)
        self.sides[number] = side
        return side


@pytest.mark.parametrize("name", BUGS)
def test_recording_changes_nothing(name: str) -> None:
    bug = find(name)
    run = Runner(*bug.sides())
    program = parse(bug.program)
    recorder = Recorder()
    plain, noted = run(program, trace=True), run(program, trace=True, notes=recorder)
    assert plain.divergences == noted.divergences
    assert (plain.steps, plain.features) == (noted.steps, noted.features)
    recording = recorder.recording(name, program, bug.sides(), noted)
    assert [one.signature for one in recording.objections] == [
        one.signature for one in plain.divergences
    ]
    assert recording.events[-1].what is What.FOUND


@pytest.mark.parametrize("text", [LOCKSTEP, RACE], ids=["lockstep", "race"])
def test_recording_the_kernels_own_code_changes_nothing(text: str) -> None:
    side = f"native:{built()}"
    run = Runner(f"{side}:legacy", f"{side}:tdp")
    plain = run(parse(text), trace=True)
    noted = run(parse(text), trace=True, notes=Recorder())
    assert (plain.divergences, plain.steps) == (noted.divergences, noted.steps)
    assert plain.features == noted.features


def tables_noted(events: list[Event], recording: Recording, side: int) -> Counter[tuple[str, int]]:
    """Entries that are not absent, by value and index: how many tables have them at the end."""
    now: dict[int, int] = {}
    for event in events:
        if event.side == side:
            for state in event.tables:
                now[recording.states[state].table] = state
            for table in event.gone:
                del now[table]
    found: Counter[tuple[str, int]] = Counter()
    for state in now.values():
        for row in recording.states[state].rows:
            entry = recording.entries[row.entry]
            step = 1 << 12 + 9 * (recording.states[state].level - 1) if entry.kind == "leaf" else 0
            for index in range(row.first, row.last + 1):
                found[hex(int(entry.value, 16) + (index - row.first) * step), index] += 1
    return found


@pytest.mark.parametrize("native", [False, True])
def test_the_tables_noted_are_those_there_are(native: bool) -> None:
    side = f"native:{built()}:" if native else ""
    program = parse(LOCKSTEP.replace("vmm: memslot_delete slot=0\n", ""))
    keeping = Keeping()
    verdict = lockstep.Lockstep(
        program.config,
        open_side(f"{side}legacy"),
        open_side(f"{side}tdp"),
        notes=keeping,
    )
    for op in program.ops:
        assert verdict.step(op)
    recording = keeping.recording("it", program, ("legacy", "tdp"), verdict.verdict)
    for number, one in keeping.sides.items():
        there = Counter(
            (hex(value), index)
            for page in one.kvm.mem.pages.values()
            for index, value in page.ent.items()
        )
        assert there
        assert tables_noted(recording.events, recording, number) == there


def sections(recording: Recording) -> dict[tuple[int, int, str], list[What]]:
    found: dict[tuple[int, int, str], list[What]] = {}
    for event in recording.events:
        if event.what in (What.LOCK, What.UNLOCK):
            found.setdefault((event.side, event.thread, event.lock), []).append(event.what)
        elif event.what in (What.RCU, What.RCU_ENDS):
            found.setdefault((event.side, event.thread, ""), []).append(event.what)
    return found


@pytest.mark.parametrize("text", [LOCKSTEP, RACE], ids=["lockstep", "race"])
def test_every_section_that_opens_closes(text: str) -> None:
    recording = recorded(text, "legacy", "tdp")
    found = sections(recording)
    assert any(lock == "mmu_lock" for _, _, lock in found)
    assert any(side == 1 and not lock for side, _, lock in found)
    for (_, _, lock), events in found.items():
        kinds = [What.LOCK, What.UNLOCK] if lock else [What.RCU, What.RCU_ENDS]
        assert events == kinds * (len(events) // 2)


def test_windows_tlb_and_spte_of_a_fault_and_a_zap() -> None:
    recording = recorded(LOCKSTEP, "legacy", "tdp")
    told = [event for event in recording.events if event.side == 1]
    windows = [one.text for one in told if one.what is What.INVALIDATES]
    split = "area=0 page=0x0 n=0x200"  # of the THP, before the page goes
    assert windows == ["area=0 page=0x1 n=0x1", split]
    assert [one.what for one in told].count(What.INVALIDATED) == 2
    first = next(one for one in told if one.what is What.TLB)
    assert (first.vcpu, first.thread, first.op) == (0, 0, 0)
    assert first.tlb[0].startswith("gfn 0x")
    made = [one for one in told if one.what is What.SPTE and one.op == 0][-1]
    assert recording.entries[made.changes[-1].old].kind in ("absent", "frozen")
    assert "tdp_mmu_map_handle_target_level" in made.functions
    assert "kvm_tdp_mmu_map" in made.functions


def test_a_switch_tells_who_stands_where() -> None:
    recording = recorded(RACE, "legacy", "tdp")
    assert recording.concurrent
    switches = [one for one in recording.events if one.what is What.GOES_ON]
    assert any("stands before" in one.text for one in switches)
    assert {one.side for one in switches} == {0, 1}


def test_an_endless_loop_is_cut_and_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side_notes, "MOST_EVENTS", 50)
    recording = recorded(LOCKSTEP, "legacy", "tdp")
    assert len(recording.events) == 50


def test_the_specification_tells_what_it_has() -> None:
    recording = recorded(LOCKSTEP, "spec", "tdp")
    assert recording.sides[0].untold
    told = {event.what for event in recording.events if event.side == 0}
    assert {What.BEGINS, What.ENDS, What.INVALIDATES} <= told
    assert not told & {What.SPTE, What.TLB}


def test_without_notes_a_run_has_the_schedulers_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those whose points ask nobody: fuzzing pays nothing for what can be recorded."""
    seen: list[Scheduler | None] = []
    start = KvmFactory.start

    def noting(
        self: KvmFactory, config: Config, sched: Scheduler | None = None, machine: Machine = PLAIN
    ) -> KvmSide:
        assert machine is PLAIN
        seen.append(sched)
        return start(self, config, sched, machine)

    monkeypatch.setattr(KvmFactory, "start", noting)
    run = Runner("legacy", "tdp")
    run(parse(RACE))
    run(parse(LOCKSTEP))
    assert {type(sched) for sched in seen} == {Interleaver, type(None)}


def test_the_kernels_own_code_changes_sptes_under_its_lock() -> None:
    side = f"native:{built()}"
    recording = recorded(RACE, f"{side}:legacy", f"{side}:tdp")
    held: dict[int, bool] = {}
    seen = set()
    for event in recording.events:
        if event.side == 0 and event.lock == "mmu_lock":
            if event.what is What.LOCK:
                held[event.thread] = event.exclusive
            elif event.what is What.UNLOCK:
                del held[event.thread]
        elif event.side == 0 and event.what is What.SPTE and event.op >= 0:
            kinds = {recording.entries[one.new].kind for one in event.changes}
            before = {recording.entries[one.old].kind for one in event.changes}
            if kinds | before == {"absent", "leaf"}:
                assert held == {event.thread: True}
                seen |= kinds
    assert seen == {"absent", "leaf"}
