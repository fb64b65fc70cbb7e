# SPDX-License-Identifier: GPL-2.0-only
"""Sides that are a booted kernel: `kernel:tdp`, `kernel:7.2:legacy`.

Such a side runs whole programs.  Two MMUs of one kernel are judged as `kernel replay` does; a
model, or a kernel's own code, predicts what the booted one does, as in `kernel conform`.
"""

from __future__ import annotations

from typing import NamedTuple

from ..booted.session import BOTH, Lane
from ..errors import UsageError
from ..sides import KvmFactory, open_side
from ..sides.names import BOOTED
from .kernel_options import DEFAULT

MODE = "booted"


class Pair(NamedTuple):
    """Which kernel, with which MMUs, and what predicts it."""

    series: str
    lanes: tuple[Lane, ...]
    model: KvmFactory | None
    names: dict[str, str]
    """Of sides, by MMU."""

    @property
    def models(self) -> dict[str, KvmFactory] | None:
        """What predicts, by MMU."""
        return None if self.model is None else {lane.mmu: self.model for lane in self.lanes}


def is_booted(*names: str | None) -> bool:
    """One of the sides is a booted kernel."""
    return any(name is not None and name.startswith(BOOTED) for name in names)


def pair_of(left: str, right: str) -> Pair:
    """UsageError: no such sides, or they cannot be compared."""
    named = [_booted(name) for name in (left, right) if name.startswith(BOOTED)]
    if len(named) == 2:
        (series, one), (other_series, other) = named
        if series != other_series or one == other:
            raise UsageError(
                f"{left} against {right}: the two MMUs of one kernel, or one and a model or native "
                "side, can be compared"
            )
        return Pair(series, BOTH, None, {one.mmu: left, other.mmu: right})
    [(series, lane)] = named
    model = open_side(right if left.startswith(BOOTED) else left)
    if not isinstance(model, KvmFactory) or model.tdp_mmu != lane.tdp:
        raise UsageError(f"{left} against {right}: the other side has to be of the same MMU")
    booted = left if left.startswith(BOOTED) else right
    return Pair(series, (lane,), model, {lane.mmu: booted})


def _booted(name: str) -> tuple[str, Lane]:
    series, _, mmu = name.removeprefix(BOOTED).rpartition(":")
    for lane in BOTH:
        if lane.mmu == mmu:
            return series or DEFAULT, lane
    raise UsageError(
        f"unknown side {name!r}: kernel:legacy, kernel:tdp, kernel:7.2:legacy, kernel:7.2:tdp"
    )
