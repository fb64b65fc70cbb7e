# SPDX-License-Identifier: GPL-2.0-only
"""Pages from templates: whatever they are given is text, and nothing of it steers a reader.

Markup is escaped, control characters and those that turn text around are shown as escapes, what is
far too long is cut.  Data for scripts is JSON in which no tag can begin or end.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from ..files.printable import json_escaped, printable
from ..report.page import ESCAPES
from .assets import Asset

MOST_TEXT: Final = 1 << 20
SHORT: Final = 160
"""Characters of a name, where a page has many."""


def environment(assets: Mapping[str, Asset]) -> Environment:
    """The templates, with the filters they use."""
    made = Environment(
        loader=PackageLoader("difffuzz.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    made.filters.update(
        short=_short, number=_number, percent=_percent, date=_date, iso=_iso, span=span, data=_data
    )
    made.globals["asset"] = lambda name: f"/static/{name}?{assets[name].version}"
    return made


def span(seconds: float) -> str:
    """Hours, minutes and seconds."""
    hours, rest = divmod(int(seconds), 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"


def _shown(value: object) -> object:
    return value if isinstance(value, Markup) else printable(_short(str(value), MOST_TEXT))


def _short(text: object, most: int = SHORT) -> str:
    text = str(text)
    if len(text) <= most:
        return text
    return f"{text[:most]}… ({len(text) - most:,} characters more)"


def _number(value: object) -> str:
    return f"{value:,.1f}" if isinstance(value, float) else f"{value:,}"


def _percent(value: float) -> str:
    return f"{value:.1%}"


def _date(at: float | None) -> str:
    """UTC; "-" if there is none."""
    if at is None or at == 0:
        return "-"
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return "-"


def _iso(at: object) -> str:
    """UTC as the store has it, as pages show it."""
    return str(at)[:19].replace("T", " ")


def _data(document: object) -> Markup:
    text = json_escaped(msgspec.json.encode(document).decode())
    for character, escaped in ESCAPES.items():
        text = text.replace(character, escaped)
    return Markup(text)
