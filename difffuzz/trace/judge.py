# SPDX-License-Identifier: GPL-2.0-only
"""What a trace alone proves wrong: all rules over it."""

from __future__ import annotations

from itertools import islice
from typing import Final, NamedTuple

from . import answers, chains, invalidated, sptes, under_huge
from .events import PageFault
from .reading import Trace
from .slots import TracedSlot
from .told import Finding, Rule

MAX_FINDINGS: Final = 1000
"""Of a rule: what a trace shows more often is the same."""
RULES: Final[tuple[Rule, ...]] = (
    *invalidated.RULES,
    *sptes.RULES,
    *under_huge.RULES,
    *answers.RULES,
    *chains.RULES,
)
"""All rules; docs/trace.md has a row for each."""


class Judgement(NamedTuple):
    """What came of a trace.  `not_judged`: rules that could not be, with what the trace lacks."""

    findings: list[Finding]
    judged: list[str]
    not_judged: list[tuple[str, str]]


def judge(trace: Trace, slots: list[TracedSlot]) -> Judgement:
    """All rules; findings in the order of the trace's lines."""
    several = several_vms(trace)
    findings: list[Finding] = []
    judged: list[str] = []
    not_judged: list[tuple[str, str]] = []
    for rule in RULES:
        lacks = rule.needs(trace, slots)
        if lacks:
            not_judged.append((rule.name, lacks))
            continue
        judged.append(rule.name)
        for finding in islice(rule.judge(trace, slots), MAX_FINDINGS):
            if several and rule.one_vm and finding.proven:
                text = f"{finding.text}; but there is more than one VM: {several}"
                findings.append(finding._replace(proven=False, text=text))
            else:
                findings.append(finding)
    findings.sort(key=lambda one: (one.lines, one.rule))
    return Judgement(findings, judged, not_judged)


def several_vms(trace: Trace) -> str:
    """What shows that more than one VM was traced; empty: nothing does."""
    tasks: dict[int, int] = {}
    for event in trace.events:
        if isinstance(event, PageFault) and event.vcpu >= 0:
            pid = tasks.setdefault(event.vcpu, event.line.pid)
            if pid != event.line.pid:
                return f"vCPU {event.vcpu} runs in tasks {pid} and {event.line.pid}"
    return ""
