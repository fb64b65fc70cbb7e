# SPDX-License-Identifier: GPL-2.0-only
"""Ranges by their start: sortedcontainers' dictionary with the two look-ups that ranges need."""

from __future__ import annotations

from typing import Generic, TypeVar

from sortedcontainers import SortedDict

V = TypeVar("V")


class RangeMap(SortedDict, Generic[V]):  # type: ignore[misc]  # the library has no types
    """Values by int keys, in the order of the keys."""

    def floor(self, key: int) -> V | None:
        """The value of the largest key that is not larger than `key`, or None."""
        index = self.bisect_right(key)
        if not index:
            return None
        found: V = self.peekitem(index - 1)[1]
        return found

    def between(self, start: int, end: int) -> list[V]:
        """The values of the keys in [start, end), in order."""
        return [self[key] for key in self.irange(start, end, (True, False))]
