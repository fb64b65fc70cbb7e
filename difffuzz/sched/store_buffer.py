# SPDX-License-Identifier: GPL-2.0-only
"""A CPU's store buffer, as x86 has one (x86-TSO: Owens, Sarkar and Sewell, TPHOLs 2009).

A store that is delayed waits in the buffer of the task that made it.  Only that task sees it; the
others do when it is committed, which happens in the order of the stores.  Loads are never delayed,
and a fence or a locked instruction waits until the buffer is empty.

To a strategy a buffer is one more task that can go on.  Chosen while its owner is about to store
and nothing waits yet, it takes that store, and the owner goes on; else it commits its oldest one.
A schedule names it by its number, so that delays are replayed as switches are.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import NamedTuple

FIRST_BUFFER = 8
"""Number of the buffer of task 0; that of task n is the n-th after it."""


class Delayed(NamedTuple):
    """A store that waits: to which piece of shared state, of what, and what makes it visible."""

    what: Hashable
    value: object
    commit: Callable[[], None]


class StoreBuffer:
    """What one task has stored and nobody else sees.

    `storing`: the task stands before a store that may be delayed; `takes`: that one will be;
    `plain`: before or behind a store that is neither delayed nor locked.
    """

    __slots__ = ("plain", "stores", "storing", "takes")

    def __init__(self) -> None:
        self.stores: list[Delayed] = []
        self.storing = False
        self.plain = False
        self.takes = False

    def add(self, what: Hashable, value: object, commit: Callable[[], None]) -> None:
        """One more waits, behind all others."""
        self.stores.append(Delayed(what, value, commit))

    def newest(self, what: Hashable) -> Delayed | None:
        """The last store to this piece of shared state that waits: what its task reads."""
        for one in reversed(self.stores):
            if one.what == what:
                return one
        return None

    def commit(self) -> None:
        """The oldest store becomes visible."""
        self.stores.pop(0).commit()

    def drain(self) -> None:
        """All do."""
        while self.stores:
            self.commit()
