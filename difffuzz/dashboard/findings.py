# SPDX-License-Identifier: GPL-2.0-only
"""The findings of a campaign, by pages, as far as they may be shown."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Final

import msgspec

from ..triage.record import ID_DIGITS, Record, State
from ..triage.transfer import public
from .campaigns import Campaign, NotThere

A_PAGE: Final = 100
ID: Final = re.compile(f"[0-9a-f]{{{ID_DIGITS}}}")
IN_A_LIST: Final = ("id", "signature", "oracle", "state", "sides", "first_seen", "last_seen", "bug",
                    "reliability", "mode")  # fmt: skip

Finding = dict[str, object]
"""As `findings show --json` has it."""


class Page(msgspec.Struct):
    """Findings, other sights of a bug below it; `page` counts from 0."""

    findings: list[Finding]
    page: int
    pages: int
    count: int
    """Of those that were asked for."""
    states: dict[str, int]
    oracles: dict[str, int]
    """How many there are of each, whatever was asked for."""


class One(msgspec.Struct):
    """A finding, and others that are the same bug."""

    finding: Finding
    others: list[Finding]


def page_of(
    campaign: Campaign, state: str = "", oracle: str = "", text: str = "", page: int = 0
) -> Page:
    """Those of a state, of an oracle, with a text in what may be shown of them.  Unreadable."""
    records = campaign.records()
    found = [
        one
        for one in records
        if state in ("", one.state.value)
        and oracle in ("", one.oracle)
        and (not text or _has(one, text))
    ]
    _sort(found)
    pages = max(-(-len(found) // A_PAGE), 1)
    page = min(max(page, 0), pages - 1)
    return Page(
        findings=[_short(one) for one in found[page * A_PAGE : (page + 1) * A_PAGE]],
        page=page,
        pages=pages,
        count=len(found),
        states=_counts([one.state.value for one in records]),
        oracles=_counts([one.oracle for one in records]),
    )


def one_of(campaign: Campaign, name: str) -> One:
    """NotThere; Unreadable."""
    records = campaign.records()
    record = _named(records, name)
    others = [
        _short(one)
        for one in records
        if not record.hidden and one.id != name and one.bug == record.bug and not one.hidden
    ]
    return One(public(record), others)


def shown_record(campaign: Campaign, name: str) -> Record:
    """A finding that nothing is hidden of.  NotThere; Unreadable."""
    record = _named(campaign.records(), name)
    if record.hidden:
        raise NotThere(f"finding {name} is {State.EMBARGOED.value}")
    return record


def _named(records: Sequence[Record], name: str) -> Record:
    found = next((one for one in records if one.id == name), None)
    if found is None:
        raise NotThere(f"there is no finding {name}")
    return found


def _sort(records: list[Record]) -> None:
    """The newest bug first, other sights of it below it.  An embargoed one is a bug of its own."""

    def bug(record: Record) -> str:
        return record.id if record.hidden else record.bug

    seen: dict[str, str] = {}
    for one in records:
        seen[bug(one)] = min(one.first_seen, seen.get(bug(one), one.first_seen))
    records.sort(key=lambda one: (one.id != bug(one), one.first_seen, one.id))
    records.sort(key=lambda one: (seen[bug(one)], bug(one)), reverse=True)


def _short(record: Record) -> Finding:
    every = public(record)
    return {name: every[name] for name in IN_A_LIST if name in every}


def _has(record: Record, text: str) -> bool:
    every = public(record)
    return any(
        text.lower() in str(every.get(name, "")).lower()
        for name in ("id", "signature", "oracle", "sides", "detail", "program")
    )


def _counts(names: Sequence[str]) -> dict[str, int]:
    return dict(sorted(Counter(names).items()))
