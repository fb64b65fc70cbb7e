# SPDX-License-Identifier: GPL-2.0-only
"""Series give a strategy to each of many runs of one program, and learn from what the runs did."""

from .base import Followed, MakeSeries, Series
from .known import Known
from .portfolio import Portfolio
from .reads_from import ReadsFroms
from .sampled import PartialOrders, Pcts, Selective, Walks

SERIES: dict[str, MakeSeries] = {
    "random": Walks,
    "pct": Pcts,
    "pos": PartialOrders,
    "surw": Selective,
    "reads-from": ReadsFroms,
    "portfolio": Portfolio,
}
"""By the names that commands know them by."""

__all__ = ["SERIES", "Followed", "Known", "MakeSeries", "Series"]
