# SPDX-License-Identifier: GPL-2.0-only
"""Reads-from constraints (RFF: Wolff et al., ASPLOS 2024), obeyed greedily over random priorities.

A constraint says that an access comes right after a certain change of what it touches, or never
does.  Where a constraint is about what a task is about to do, that goes first or waits; else the
priorities of partial order sampling decide.  A constraint that cannot be met costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from random import Random
from typing import NamedTuple

from difffuzz.sched.choice import Moment
from difffuzz.sched.sites import Sites
from difffuzz.sched.task import Task

from .pos import Pos
from .trail import Trail


class Pair(NamedTuple):
    """The site of an access, and of the change that it comes after (NOWHERE: of none)."""

    access: int
    change: int


class Constraint(NamedTuple):
    """The pair is to be seen, or is not."""

    pair: Pair
    wanted: bool = True


class ReadsFrom(Trail):
    """One run under constraints; a wanted pair is over when it was seen."""

    __slots__ = ("_open", "_pos")

    def __init__(self, rng: Random, sites: Sites, constraints: Iterable[Constraint]) -> None:
        super().__init__(sites)
        self._open = list(constraints)
        self._pos = Pos(rng)

    def preempt(self, sched: Moment, enabled: list[Task]) -> Task:
        """A task that a constraint wants, else one that none wants to wait, else any."""
        self._arrived(sched.current)
        self._pos.forget(sched.current)
        chosen = self._choose(sched, enabled)
        self._goes_on(chosen)
        return chosen

    def _choose(self, sched: Moment, enabled: list[Task]) -> Task:
        chosen = self._pos.choose(self._favoured(enabled), enabled)
        if self._open:
            seen = self.site_of(chosen), self.last_change(chosen.wants)
            self._open = [one for one in self._open if not (one.wanted and one.pair == seen)]
        return chosen

    def _favoured(self, enabled: list[Task]) -> list[Task]:
        """Those of the tasks that come first."""
        if not self._open or len(enabled) < 2:
            return enabled
        best, found = -2, enabled
        sites = [self.site_of(task) for task in enabled]
        for task, site in zip(enabled, sites, strict=True):
            favour = self._favour(site, sites) if site else 0
            if favour > best:
                best, found = favour, [task]
            elif favour == best:
                found.append(task)
        return found

    def _favour(self, site: int, others: list[int]) -> int:
        """1: goes first, -1: waits; where constraints disagree, neither."""
        whats = self.sites.whats
        what = whats[site]
        last = self.last_change(what)
        changes = self.sites.writes[site]
        first = waits = False
        for (access, change), wanted in self._open:
            if whats[access] != what:
                continue
            there = last == change
            if site == access:
                if there == wanted:
                    first = True
                elif not wanted or access != change:
                    waits = True
            elif wanted:
                if there and changes:
                    waits = True
                elif site == change and access in others:
                    first = True
            elif site == change:
                waits = True
            elif there and changes:
                first = True
        return first - waits
