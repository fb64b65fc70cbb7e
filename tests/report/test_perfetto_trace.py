# SPDX-License-Identifier: GPL-2.0-only
"""The Perfetto trace, read back with Perfetto's own classes."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

from difffuzz.cli import main
from difffuzz.report.clock import times
from difffuzz.report.perfetto_trace import trace_of
from difffuzz.report.recording import What
from difffuzz.variants.catalogue import find

from ..native.kernel import built
from .recorded import recorded

BEGIN, END = TrackEvent.TYPE_SLICE_BEGIN, TrackEvent.TYPE_SLICE_END
LOCKSTEP = ("47b0c2e4c220", "524a1e4e381f", "817fa998362d", "ba6e3fe25543", "f9b84e19221e",
            "own-notifier-skips-smm")  # fmt: skip
CONCURRENT = ("21a36ac6b6c7", "4a42d848db95", "7cca2d0b7e7d", "e0c378684b65")


class Read:
    """A trace: its packets of events in order, its tracks by uuid."""

    def __init__(self, data: bytes) -> None:
        trace = Trace.FromString(data)
        packets: list[Any] = list(trace.packet)
        self.tracks = {
            one.track_descriptor.uuid: one.track_descriptor
            for one in packets
            if one.HasField("track_descriptor")
        }
        self.events = [one for one in packets if one.HasField("track_event")]

    def slices(self) -> list[tuple[str, str, Any]]:
        """Track, category and begin of every slice; they nest, and each has its end."""
        found = []
        open_: dict[int, int] = {}
        for packet in self.events:
            event = packet.track_event
            if event.type == BEGIN:
                open_[event.track_uuid] = open_.get(event.track_uuid, 0) + 1
                found.append((self.name(event.track_uuid), event.categories[0], event))
            elif event.type == END:
                open_[event.track_uuid] -= 1
                assert open_[event.track_uuid] >= 0
        assert not any(open_.values())
        return found

    def name(self, uuid: int) -> str:
        track = self.tracks[uuid]
        return str(track.thread.thread_name or track.process.process_name or track.name)


@pytest.mark.parametrize("name", [*LOCKSTEP, *CONCURRENT])
def test_a_trace_holds_what_was_recorded(name: str) -> None:
    recording = recorded(name)
    read = Read(trace_of(recording))
    told = Counter(event.what.value for event in recording.events)
    slices = read.slices()
    drawn = Counter(category for _, category, _ in slices)
    for what in (What.BEGINS, What.LOCK, What.RCU, What.WAITS, What.INVALIDATES):
        assert drawn[what.value] == told[what.value]
    instants = Counter(
        packet.track_event.categories[0]
        for packet in read.events
        if packet.track_event.type == TrackEvent.TYPE_INSTANT
    )
    for what in (What.SPTE, What.TABLE, What.OWED, What.GOES_ON, What.FOUND):
        assert instants[what.value] == told[what.value]
    stamps = [packet.timestamp for packet in read.events]
    assert stamps == sorted(stamps)
    assert all(packet.track_event.track_uuid in read.tracks for packet in read.events)


def test_sides_are_processes_and_their_threads_have_tracks() -> None:
    recording = recorded("4a42d848db95")
    tracks = Read(trace_of(recording)).tracks
    processes = {one.process.pid: uuid for uuid, one in tracks.items() if one.process.pid}
    assert set(processes) == {1, 2}
    for number, side in enumerate(recording.sides):
        names = {
            one.thread.thread_name
            for one in tracks.values()
            if one.parent_uuid == processes[number + 1] and one.thread.tid
        }
        assert names == {recording.threads[thread] for thread in side.threads}


def test_spte_changes_have_arguments() -> None:
    read = Read(trace_of(recorded("47b0c2e4c220")))
    event = next(
        packet.track_event
        for packet in read.events
        if packet.track_event.categories[:1] == [What.SPTE.value]
    )
    args = {one.name: one.string_value for one in event.debug_annotations}
    assert any(key.endswith(" after") and "pfn 0x" in value for key, value in args.items())
    assert "functions" in args


def test_a_lock_that_goes_to_a_waiter_is_a_flow() -> None:
    read = Read(trace_of(recorded("e0c378684b65")))
    begins = [event for _, category, event in read.slices() if category == What.LOCK.value]
    sources = {flow: event for event in begins for flow in event.flow_ids}
    targets = {flow: event for event in begins for flow in event.terminating_flow_ids}
    assert sources.keys() == targets.keys() != set()
    for flow, source in sources.items():
        target = targets[flow]
        assert source.name.split()[0] == target.name.split()[0] == "mmu_lock"
        assert source.track_uuid != target.track_uuid


def test_the_clock_of_a_side_never_stands_and_lockstep_begins_together() -> None:
    recording = recorded("524a1e4e381f")
    found = list(zip(times(recording), recording.events, strict=True))
    for side in (0, 1):
        own = [at for at, event in found if event.side == side]
        assert all(one < other for one, other in pairwise(own))
    begins = [(at, event.op) for at, event in found if event.what is What.BEGINS]
    assert all(one == other for one, other in zip(begins[::2], begins[1::2], strict=True))


def test_explain_writes_a_trace_of_the_kernels_own_code(tmp_path: Path) -> None:
    bug = find("ba6e3fe25543")
    (tmp_path / "it").write_text(bug.program)
    side = f"native:{built()}"
    words = ["explain", str(tmp_path / "it"), "--trace", str(tmp_path / "new" / "it.pftrace")]
    assert main([*words, "--left", f"{side}:legacy", "--right", f"{side}:tdp"]) == 0
    read = Read((tmp_path / "new" / "it.pftrace").read_bytes())
    assert {What.BEGINS.value, What.TLB.value} <= {one for _, one, _ in read.slices()}
