# SPDX-License-Identifier: GPL-2.0-only
"""The figures of campaigns as Prometheus asks for them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..campaign.status import Status
from .campaigns import Campaign, Unreadable
from .figures import bugs_of, status_of

Values = Iterator[tuple[tuple[str, ...], float]]
"""Values of labels, the campaign's name left out, and the figure."""

METRICS: Final = (
    ("difffuzz_up", "gauge", "1: the campaign can be read", ()),
    ("difffuzz_running", "gauge", "1: a run works in it now", ()),
    ("difffuzz_running_seconds_total", "counter", "Seconds that it has run", ()),
    ("difffuzz_quiet_seconds", "gauge", "Seconds of running since something new", ()),
    ("difffuzz_sessions_total", "counter", "Runs", ()),
    ("difffuzz_corpus_entries", "gauge", "Programs of the corpus", ()),
    ("difffuzz_findings", "gauge", "Findings by state", ("state",)),
    ("difffuzz_bugs", "gauge", "Findings, sights of the same bug counted once", ()),
    ("difffuzz_workers", "gauge", "Workers of the newest run by state", ("state",)),
    ("difffuzz_executions_total", "counter", "Programs that were run", ("lane",)),
    ("difffuzz_operations_total", "counter", "Operations that were run", ("lane",)),
    ("difffuzz_cpu_seconds_total", "counter", "CPU time of workers", ("lane",)),
    ("difffuzz_restarts_total", "counter", "Workers that were started again", ("lane",)),
    ("difffuzz_branches", "gauge", "Branches that were taken", ("lane",)),
    ("difffuzz_states", "gauge", "States that were reached", ("lane",)),
    ("difffuzz_lane_share", "gauge", "Part of the time, 0 to 1", ("lane",)),
    ("difffuzz_lane_rate", "gauge", "New features a CPU second, of late", ("lane",)),
    ("difffuzz_inputs_total", "counter", "Programs by what made them", ("kind", "name")),
    ("difffuzz_earned_total", "counter", "Those that were new", ("kind", "name")),
    ("difffuzz_repeated_total", "counter", "Programs that were run again", ()),
    ("difffuzz_stable_total", "counter", "Those that reached the same again", ()),
    ("difffuzz_objections_total", "counter", "Times that an oracle objected", ("oracle",)),
    ("difffuzz_allowed_total", "counter", "Differences that a rule excused", ("rule",)),
)
"""Name, type, what it is, labels besides `campaign`."""


def metrics_text(campaigns: Sequence[Campaign]) -> bytes:
    """In Prometheus' text form."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(campaigns))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, campaigns: Sequence[Campaign]) -> None:
        self._campaigns = campaigns

    def collect(self) -> Iterable[Metric]:
        families = {
            name: (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(
                name, said, labels=["campaign", *labels]
            )
            for name, kind, said, labels in METRICS
        }
        for campaign in self._campaigns:
            for name, values in _figures(campaign).items():
                for labels, value in values:
                    families[name].add_metric([campaign.name, *labels], value)
        return families.values()


def _figures(campaign: Campaign) -> dict[str, Values]:
    try:
        status = status_of(campaign)
        records = campaign.records()
    except Unreadable:
        return {"difffuzz_up": _one(0)}
    states = Counter(one.state.value for one in records)
    repeated = [one for one in status.counts if one.kind == "stability"]
    workers = Counter(one.state for one in status.workers)
    return {
        "difffuzz_up": _one(1),
        "difffuzz_running": _one(status.state in ("running", "paused")),
        "difffuzz_running_seconds_total": _one(status.seconds),
        "difffuzz_quiet_seconds": _one(status.quiet_seconds),
        "difffuzz_sessions_total": _one(len(status.sessions)),
        "difffuzz_corpus_entries": _one(status.corpus),
        "difffuzz_findings": _named(states),
        "difffuzz_bugs": _one(bugs_of(records)),
        "difffuzz_workers": _named(workers),
        "difffuzz_executions_total": _lanes(status, "executions"),
        "difffuzz_operations_total": _lanes(status, "operations"),
        "difffuzz_cpu_seconds_total": _lanes(status, "cpu"),
        "difffuzz_restarts_total": _lanes(status, "restarts"),
        "difffuzz_branches": _lanes(status, "branches"),
        "difffuzz_states": _lanes(status, "states"),
        "difffuzz_lane_share": _lanes(status, "share"),
        "difffuzz_lane_rate": _lanes(status, "rate"),
        "difffuzz_inputs_total": _made(status, "n"),
        "difffuzz_earned_total": _made(status, "earned"),
        "difffuzz_repeated_total": _one(sum(one.n for one in repeated)),
        "difffuzz_stable_total": _one(sum(one.earned for one in repeated)),
        "difffuzz_objections_total": _of_kind(status, "oracle"),
        "difffuzz_allowed_total": _of_kind(status, "allowed"),
    }


def _one(value: float) -> Values:
    yield (), value


def _named(counts: Counter[str]) -> Values:
    return (((name,), count) for name, count in sorted(counts.items()))


def _lanes(status: Status, field: str) -> Values:
    return (((one.lane,), getattr(one, field)) for one in status.lanes)


def _made(status: Status, field: str) -> Values:
    kinds = ("operator", "phrase", "way")
    return (
        ((one.kind, one.name), getattr(one, field)) for one in status.counts if one.kind in kinds
    )


def _of_kind(status: Status, kind: str) -> Values:
    return (((one.name,), one.n) for one in status.counts if one.kind == kind)
