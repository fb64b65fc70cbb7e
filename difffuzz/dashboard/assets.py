# SPDX-License-Identifier: GPL-2.0-only
"""What a page loads: own style and scripts, and dygraphs as its package ships it; nothing else.

A fixed table of names: no path of a request is ever one of a file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from typing import Final

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_OWN: Final = ("dashboard.css", "charts.js", "live.js", "source.js", "icon.svg")
_CHARTS: Final = {"dygraph.js": "dygraph-combined.js"}
"""Of the package dygraphs, MIT."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file as it is served; `version` changes with its content."""

    content: bytes
    media_type: str
    version: str


def load_assets() -> Mapping[str, Asset]:
    """Every asset by its name."""
    own = files(__package__).joinpath("static")
    charts = files("dygraphs").joinpath("assets")
    every = {name: own.joinpath(name).read_bytes() for name in _OWN}
    every |= {name: charts.joinpath(there).read_bytes() for name, there in _CHARTS.items()}
    return {
        name: Asset(content, _TYPES[name.rpartition(".")[2]], sha256(content).hexdigest()[:12])
        for name, content in every.items()
    }
