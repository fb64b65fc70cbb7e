# SPDX-License-Identifier: GPL-2.0-only
"""A recording as a Perfetto trace: TrackEvents, a process for each side, a track for each thread.

Operations, locks, RCU sections and waits are slices of their thread, which nest; where one ends out
of order it has a track below.  A lock that goes to a thread that waited for it is a flow.
"""

from __future__ import annotations

from collections.abc import Iterable

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TracePacket, TrackEvent

from difffuzz.report import spans
from difffuzz.report.clock import STEP_NS, times
from difffuzz.report.recording import Change, Event, Recording, What
from difffuzz.report.spans import Span

SEQUENCE = 1
INSTANTS = frozenset({What.SPTE, What.TABLE, What.OWED, What.GOES_ON})
ARGS_OF_CHANGES = 8
"""Changes of an event that are told apart."""


def trace_of(recording: Recording) -> bytes:
    """The trace, serialised."""
    data: bytes = _Writer(recording).write().SerializeToString()
    return data


class _Writer:
    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        times_ = times(recording)
        self._times = [*times_, max(times_, default=0) + STEP_NS]
        self._trace = Trace()
        self._packets: list[tuple[int, int, int, TracePacket]] = []
        self._tracks = 0
        self._leads: dict[int, list[int]] = {}
        self._follows: dict[int, list[int]] = {}

    def write(self) -> Trace:
        recording = self._recording
        for number in range(len(recording.sides)):
            for before, after in spans.hand_overs(recording, number):
                flow = after + 1
                self._leads.setdefault(before, []).append(flow)
                self._follows.setdefault(after, []).append(flow)
        for number in range(len(recording.sides)):
            self._side(number)
        for _, _, _, packet in sorted(self._packets, key=lambda one: one[:3]):
            self._trace.packet.append(packet)
        return self._trace

    def _side(self, number: int) -> None:
        recording = self._recording
        side = recording.sides[number]
        process = self._track(f"{('left', 'right')[number]}: {side.name}", pid=number + 1)
        if recording.concurrent:
            self._lanes("which thread runs", process, spans.runs(recording, number))
        for thread in side.threads:
            name = recording.threads[thread]
            of_thread = list(spans.of_thread(recording, number, thread))
            first, *others = spans.lanes(of_thread) or [[]]
            track = self._track(name, process, pid=number + 1, tid=(number + 1) * 100 + thread + 1)
            self._slices(track, first)
            for lane in others:
                self._slices(self._track(f"{name}, out of order", track), lane)
            for at, event in spans.events_of(recording, number):
                if event.thread == thread and event.what in INSTANTS:
                    self._instant(track, at, event)
        self._lanes("invalidations", process, spans.windows(recording, number))
        for vcpu in range(side.vcpus):
            cached = spans.tlbs(recording, number, vcpu)
            self._lanes(f"TLB of {recording.threads[vcpu]}", process, cached)
        found = [one for one in spans.events_of(recording, number) if one[1].what is What.FOUND]
        if found:
            track = self._track("oracles", process)
            for at, event in found:
                self._instant(track, at, event)

    def _track(self, name: str, parent: int = 0, pid: int = 0, tid: int = 0) -> int:
        self._tracks += 1
        packet = TracePacket()
        packet.trusted_packet_sequence_id = SEQUENCE
        if self._tracks == 1:
            packet.sequence_flags = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
        track = packet.track_descriptor
        track.uuid = self._tracks
        if parent:
            track.parent_uuid = parent
        if tid:
            track.thread.pid, track.thread.tid, track.thread.thread_name = pid, tid, name
        elif pid:
            track.process.pid, track.process.process_name = pid, name
        else:
            track.name = name
        self._packets.append((-1, 0, self._tracks, packet))
        return self._tracks

    def _lanes(self, name: str, process: int, found: Iterable[Span]) -> None:
        for lane in spans.lanes(found):
            self._slices(self._track(name, process), lane)

    def _slices(self, track: int, lane: list[Span]) -> None:
        for depth, span in enumerate(lane):
            begin = self._event(track, span.begin, TrackEvent.TYPE_SLICE_BEGIN, depth)
            begin.name = span.name
            begin.categories.append(span.what.value)
            begin.flow_ids.extend(self._leads.get(span.begin, []))
            begin.terminating_flow_ids.extend(self._follows.get(span.begin, []))
            self._args(begin, self._recording.events[span.begin])
            # At one time the inner slice ends first: it began last.
            self._event(track, span.end, TrackEvent.TYPE_SLICE_END, -depth - 1)

    def _instant(self, track: int, at: int, event: Event) -> None:
        instant = self._event(track, at, TrackEvent.TYPE_INSTANT, 0)
        instant.name = self._title(event)
        instant.categories.append(event.what.value)
        self._args(instant, event)
        for change in event.changes[:ARGS_OF_CHANGES]:
            key = _gfns(change)
            self._arg(instant, f"{key} before", self._entry(change.old))
            self._arg(instant, f"{key} after", self._entry(change.new))

    def _event(self, track: int, at: int, kind: int, order: int) -> TrackEvent:
        packet = TracePacket()
        packet.trusted_packet_sequence_id = SEQUENCE
        packet.timestamp = self._times[at]
        event: TrackEvent = packet.track_event
        event.track_uuid = track
        event.type = kind
        self._packets.append((self._times[at], order, len(self._packets), packet))
        return event

    def _args(self, track_event: TrackEvent, event: Event) -> None:
        recording = self._recording
        if event.op >= 0:
            self._arg(track_event, "operation", recording.operations[event.op])
        if event.functions:
            self._arg(track_event, "functions", " < ".join(event.functions))
        if event.text:
            self._arg(track_event, "text", event.text)
        self._arg(track_event, "step", str(event.step))

    @staticmethod
    def _arg(track_event: TrackEvent, name: str, value: str) -> None:
        annotation = track_event.debug_annotations.add()
        annotation.name, annotation.string_value = name, value

    def _title(self, event: Event) -> str:
        if event.changes:
            change = event.changes[0]
            entries = self._recording.entries
            kinds = f"{entries[change.old].kind} -> {entries[change.new].kind}"
            return f"SPTE of {_gfns(change)}, level {change.level}: {kinds}"
        if event.what is What.OWED:
            name = self._recording.threads[event.vcpu]
            return f"{name} owes {', '.join(event.owed) or 'nothing'}"
        if event.what is What.TABLE:
            return "page table written" if event.tables else "page table freed"
        return event.text or event.what.value

    def _entry(self, number: int) -> str:
        entry = self._recording.entries[number]
        pfn = [f"pfn {entry.pfn}"] if entry.pfn else []
        return f"{entry.value} ({', '.join([entry.kind, *pfn, *entry.bits])})"


def _gfns(change: Change) -> str:
    smm = " of SMM" if change.smm else ""
    if change.count == 1:
        return f"gfn {change.gfn:#x}{smm}"
    last = change.gfn + (change.count - 1 << 9 * (change.level - 1))
    return f"gfns {change.gfn:#x} to {last:#x}{smm}"
