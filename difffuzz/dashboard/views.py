# SPDX-License-Identifier: GPL-2.0-only
"""What there is to see of a campaign: for each view its path, its document and its template."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request

from ..campaign.history import POINTS
from ..campaign.status import Count, Status
from . import corpus, findings, sources
from .campaigns import Campaign, NotThere, Unreadable
from .figures import (
    CURVES,
    KINDS,
    OBJECTIONS,
    Curves,
    LaneReason,
    Shares,
    counts_of,
    curves_of,
    events_of,
    lanes_of,
    shares_of,
    stability_of,
    status_of,
)
from .sources import Covers


class Asked(NamedTuple):
    """What somebody wants to see."""

    campaign: Campaign
    campaigns: Sequence[Campaign]
    covers: Covers
    request: Request

    def text(self, name: str) -> str:
        """A value of the query, "" if it is not there."""
        return self.request.query_params.get(name, "")

    def number(self, name: str, default: float = 0.0) -> float:
        """The same as a number.  HTTPException: it is none."""
        text = self.text(name)
        try:
            value = float(text) if text else default
        except ValueError:
            value = float("nan")
        if not abs(value) < 1e19:
            raise HTTPException(400, f"{name}: expected a number")
        return value


class View(NamedTuple):
    """`path`: below the campaign's; no `template`: there is JSON only."""

    name: str
    path: str
    make: Callable[[Asked], object]
    template: str = ""


class Summary(msgspec.Struct):
    """A campaign among others; `error`: why there is no more of it."""

    number: int
    name: str
    folder: str
    error: str
    status: Status | None
    curves: Curves | None


class Overview(msgspec.Struct):
    """All campaigns."""

    campaigns: list[Summary]
    charts: list[tuple[str, str]]


class Whole(msgspec.Struct):
    """One campaign."""

    status: Status
    stability: str
    """How many of the programs that were run again reached the same."""
    curves: Curves
    charts: list[tuple[str, str]]


class Lanes(msgspec.Struct):
    """Lanes, and their figures over time."""

    lanes: list[LaneReason]
    curves: list[Curves]
    shares: Shares
    charts: list[tuple[str, str]]


class Table(msgspec.Struct):
    """Counts of a kind; `best`: the largest part of inputs that earned something."""

    kind: str
    title: str
    what: str
    counts: list[Count]
    best: float


class Effect(msgspec.Struct):
    """What makes programs, and what judges them."""

    makers: list[Table]
    judges: list[Table]


def overview(campaigns: Sequence[Campaign]) -> Overview:
    """Never an error: a campaign that cannot be read says so in its place."""
    return Overview([_summary(one) for one in campaigns], list(CURVES))


def _summary(campaign: Campaign) -> Summary:
    names = campaign.number, campaign.name, str(campaign.folder)
    try:
        return Summary(*names, "", status_of(campaign), curves_of(campaign))
    except Unreadable as error:
        return Summary(*names, str(error), None, None)


def _whole(asked: Asked) -> Whole:
    status = status_of(asked.campaign)
    return Whole(status, stability_of(status), curves_of(asked.campaign), list(CURVES))


def _history(asked: Asked) -> Curves:
    return curves_of(
        asked.campaign,
        asked.text("lane"),
        asked.number("begin"),
        asked.number("end", 1e18),
        int(asked.number("points", POINTS)),
    )


def _lanes(asked: Asked) -> Lanes:
    status = status_of(asked.campaign)
    lanes = lanes_of(asked.campaign, status)
    curves = [curves_of(asked.campaign, one.lane) for one in lanes]
    charts = [one for one in CURVES if one[0] not in ("findings", "corpus")]
    return Lanes(lanes, curves, shares_of(asked.campaign), charts)


def _findings(asked: Asked) -> findings.Page:
    state, oracle, text = (asked.text(name) for name in ("state", "oracle", "text"))
    return findings.page_of(asked.campaign, state, oracle, text, int(asked.number("page")))


def _finding(asked: Asked) -> findings.One:
    return findings.one_of(asked.campaign, asked.request.path_params["id"])


def _corpus(asked: Asked) -> corpus.Page:
    words = (asked.text(name) for name in ("name", "lane", "operator", "before"))
    return corpus.page_of(asked.campaign, *words)


def _entry(asked: Asked) -> corpus.Lineage:
    name = asked.request.path_params["name"]
    if not corpus.NAME.fullmatch(name):
        raise NotThere("no such name has a program of the corpus")
    return corpus.lineage_of(asked.campaign, name)


def _source(asked: Asked) -> sources.Files:
    return asked.covers.files(asked.campaign, asked.text("lane"), asked.text("since"))


def _lines(asked: Asked) -> sources.SourceFile:
    words = (asked.text(name) for name in ("tree", "file", "lane", "since"))
    return asked.covers.file(asked.campaign, *words)


def _effect(asked: Asked) -> Effect:
    counts = counts_of(asked.campaign)

    def table(kind: str, title: str, what: str = "") -> Table:
        found = [one for one in counts if one.kind == kind]
        if not what:
            found.sort(key=lambda one: -one.n)
        best = max((one.earned / one.n for one in found if one.n), default=0.0)
        return Table(kind, title, what, found, best or 1.0)

    return Effect([table(*one) for one in KINDS], [table(*one) for one in OBJECTIONS])


def _events(asked: Asked) -> object:
    return events_of(asked.campaign, int(asked.number("before")))


VIEWS: Final = (
    View("campaign", "", _whole, "campaign"),
    View("lanes", "/lanes", _lanes, "lanes"),
    View("findings", "/findings", _findings, "findings"),
    View("finding", "/findings/{id}", _finding, "finding"),
    View("corpus", "/corpus", _corpus, "corpus"),
    View("entry", "/corpus/{name}", _entry, "entry"),
    View("source", "/source", _source, "source"),
    View("lines", "/source/lines", _lines, "lines"),
    View("effect", "/effect", _effect, "effect"),
    View("events", "/events", _events, "events"),
    View("history", "/history", _history),
    View("shares", "/shares", lambda asked: shares_of(asked.campaign)),
)
"""All of one campaign."""
