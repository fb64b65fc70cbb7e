# SPDX-License-Identifier: GPL-2.0-only
"""A sorted dictionary for a handful of keys: two lists, made and searched at next to no cost."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import Generic, TypeVar

V = TypeVar("V")


class SortedMap(Generic[V]):
    """Values by int keys; `keys` ascend and `values` stand in their order."""

    __slots__ = ("keys", "values")

    def __init__(self) -> None:
        self.keys: list[int] = []
        self.values: list[V] = []

    def floor(self, key: int) -> V | None:
        """The value of the largest key that is not larger than `key`, or None."""
        index = bisect_right(self.keys, key)
        return self.values[index - 1] if index else None

    def between(self, start: int, end: int) -> list[V]:
        """The values of the keys in [start, end), in order."""
        return self.values[bisect_left(self.keys, start) : bisect_left(self.keys, end)]

    def __setitem__(self, key: int, value: V) -> None:
        """Enters a value, in the place of the one with the same key."""
        index = bisect_left(self.keys, key)
        if index < len(self.keys) and self.keys[index] == key:
            self.values[index] = value
        else:
            self.keys.insert(index, key)
            self.values.insert(index, value)

    def __delitem__(self, key: int) -> None:
        """Takes a key out; KeyError if it is not there."""
        index = bisect_left(self.keys, key)
        if index == len(self.keys) or self.keys[index] != key:
            raise KeyError(key)
        del self.keys[index], self.values[index]

    def __len__(self) -> int:
        """Number of keys."""
        return len(self.keys)
