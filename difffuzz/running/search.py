# SPDX-License-Identifier: GPL-2.0-only
"""Searches the schedules of some small programs: which ones, how far, on which side."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from statistics import fmean

from ..engine import concurrent
from ..engine.explore import explore
from ..engine.sampling import sample
from ..oracle.verdict import Verdict
from ..program import Op, Program
from ..sides import KvmFactory
from .policy import Policy
from .ways import Ways


class ScheduleSearch:
    """Searches after concurrent runs; remembers what was searched, and how threads met there."""

    def __init__(
        self, left: KvmFactory, right: KvmFactory, policy: Policy, delays: bool = False
    ) -> None:
        self._delays = delays
        self._sides = left, right
        self._policy = policy
        legacy = policy.searched_legacy
        self._shares = [1 - legacy if side.tdp_mmu else legacy for side in self._sides]
        """How often each side's schedules are the ones searched, in proportion."""
        self._searched: set[int] = set()
        self._met: Counter[tuple[int, int]] = Counter()
        self._steps_left = 0
        self.ways = Ways()
        """What single runs and searches were worth."""

    @property
    def programs(self) -> int:
        """How many programs were searched."""
        return len(self._searched)

    def wants(self, program: Program, verdict: Verdict) -> bool:
        """Are the schedules of this program searched?  Those of the same operations once only.

        The fewer searched ones had the same conflicts, and the smaller it is, the likelier.
        """
        policy = self._policy
        self._steps_left += policy.search_to_runs * verdict.steps
        if verdict.divergences or verdict.allowed["abandoned"]:
            return False
        if verdict.steps > policy.small_steps or self._steps_left <= 0:
            return False
        digest = digest_of(program)
        if digest in self._searched or not raced_phases(program):
            return False
        met = self._met
        chances = [1 / (1 + met[one]) for one in verdict.conflicts]
        chance = max(policy.searched, fmean(chances or (0,)))
        if digest >= chance * min(1.0, policy.smallest_steps / verdict.steps) * (1 << 32):
            return False
        self._searched.add(digest)
        met.update(verdict.conflicts)
        return True

    def run(self, program: Program, verdict: Verdict) -> str:
        """Adds what many schedules of the program show on a side, until one shows a divergence;
        returns how these were chosen."""
        policy = self._policy
        rng = random.Random(digest_of(program))
        phase = rng.choice(raced_phases(program))
        limit = rng.choice(policy.search_steps)
        before, _ = concurrent.split_exit(program)
        if phase <= len(before) and len(before[phase - 1]) == 2:
            limit = policy.search_steps[-1]
        preemptions = rng.choice(policy.search_preemptions)
        seed = rng.randrange(1 << 32)
        sides = rng.choices((0, 1), self._shares)
        way = self.ways.searches.draw(rng)
        delays = self._delays and rng.random() < policy.delayed
        if way == "exhaustive":
            found = explore(
                program,
                *self._sides,
                preemptions,
                limit=limit,
                first_only=True,
                order=seed,
                phase=phase,
                sides=sides,
                reduce=not delays,
                delays=delays,
            )
        else:
            found = sample(
                program,
                *self._sides,
                way,
                seed=seed,
                first_only=True,
                phase=phase,
                sides=sides,
                stop=lambda found: found.steps >= limit,
                delays=delays,
            )
        self._steps_left -= found.steps
        verdict.features |= found.features
        for one in found.shown[:1]:
            verdict.divergences.append(one.divergence)
            verdict.schedule = one.schedule
        self.ways.searched(way, verdict, found.steps)
        return f"{way} search"


def digest_of(program: Program) -> int:
    """Of everything but the schedule, in 32 bits."""
    return zlib.crc32(repr(program._replace(schedule=())).encode())


def raced_phases(program: Program) -> list[int]:
    """The phases, counted from 1, in which two threads or more do something; the exit is one."""
    phases, beside = concurrent.split_exit(program)
    exits = [len(phases) + 1] if beside else []
    return [at for at, phase in enumerate(phases, 1) if _is_raced(phase)] + exits


def raced_operations(program: Program) -> int:
    """Operations of these phases: how long it takes to search them, about; 0: there is no race."""
    phases, beside = concurrent.split_exit(program)
    return sum(len(phase) for phase in phases if _is_raced(phase)) + len(beside)


def _is_raced(phase: list[tuple[int, Op]]) -> bool:
    return len({op.thread for _, op in phase}) > 1
