# SPDX-License-Identifier: GPL-2.0-only
"""Run one program on two named sides and say what happened, whatever happened.

Importing this module loads the engine and the sides: a process that instruments the model does so
before (see instrument.py).
"""

from __future__ import annotations

import random
import zlib
from collections import Counter
from itertools import islice
from statistics import fmean
from types import TracebackType

from ..engine import concurrent, lockstep
from ..engine.explore import explore
from ..engine.fast_lockstep import fast_lockstep
from ..engine.fast_schedules import fast_schedules
from ..errors import UsageError
from ..oracle.verdict import Divergence, Verdict, Violation, signature
from ..program import Program, is_concurrent
from ..sched.core import STEP_LIMIT
from ..sched.strategy import Pct, RandomWalk, ScheduleStrategy, Strategy
from ..sides import KvmFactory, NativeFactory, open_side
from ..variants.engine import canonical_name
from .watchdog import HANG, Hang, Watchdog

MODES = ("portfolio", "lockstep", "concurrent")
"""portfolio: programs with a schedule or with `sync` run concurrently, the others in lockstep."""
BLOCKS = 0.4
"""How often threads run one after the other: what each does meets what those before it did."""
WALKS = 0.25
PCT_GAPS = (30, 60, 120, 400)
"""Steps between two changes of priority, about: of PCT's depth, so much falls to each race."""
PCT_STEPS = 40
"""Steps of an operation, about, on either side."""
EXPLORED = 0.3
"""How many of the small programs are explored, however often their threads met like that before."""
EXPLORING = 4
"""Steps of explorations for each step of the concurrent runs, at most: four fifths of the time."""
EXPLORATION_STEPS = (3_000, 10_000, 30_000)
"""Steps of an exploration of one phase, about, on one side: ten to a few hundred schedules, in
random order.  Half of the catalogue's bugs show within 3,000, most within 30,000.  The last is for
phases of two operations too: 21a36ac6b6c7 takes 10,000 to 33,000 there."""
EXPLORED_LEGACY = 0.3
"""How often the legacy MMU's schedules are explored and not the TDP MMU's: its mmu_lock leaves few
that differ."""
EXPLORED_PREEMPTIONS = (2, 2, 2, 3)
"""One of these, as the program determines."""
EXPLORED_STEPS = 1200
"""A program is small if it takes no more steps, both sides together."""
SMALLEST_STEPS = 300
"""One that takes more is the less likely explored, the more it takes: each schedule costs that."""
WALKS_OF_ONE = 8
"""Schedules more, on each side that is the kernel's own code, for a program of threads."""
JUDGED_WALKS = 2
"""Of the suspicious ones among them, so many are judged."""
NATIVE_STEPS = 10
"""The kernel's code looks at each of a table's 512 entries, the model at those that are there."""
FUZZ_STEPS = 60_000
"""Steps after which a fuzzer gives up a program: a usual one takes six hundred."""


class Runner:
    """Runs programs on two sides. Names are resolved once; UsageError for an unknown one."""

    def __init__(
        self,
        left: str,
        right: str,
        mode: str = "portfolio",
        max_steps: int = STEP_LIMIT,
        *,
        explores: bool = False,
    ) -> None:
        if mode not in MODES:
            raise UsageError(f"mode {mode!r} is not one of {', '.join(MODES)}")
        self.left = left
        self.right = right
        self.mode = mode
        self.max_steps = max_steps
        self._left = open_side(left)
        self._right = open_side(right)
        self._threads = isinstance(self._left, KvmFactory) and isinstance(
            self._right, KvmFactory
        )
        if mode == "concurrent" and not self._threads:
            raise UsageError(f"{left} against {right} cannot run concurrently: spec has no threads")
        self.guards = [
            side.library.take_guards
            for side in (self._left, self._right)
            if isinstance(side, NativeFactory)
        ]
        """What takes the coverage of native code, for each side that is such."""
        if self.guards:
            self.max_steps = min(max_steps * NATIVE_STEPS, STEP_LIMIT)
        self.explores = explores and not self.guards
        """Whether the schedules of some small programs are searched."""
        both = self._left, self._right
        tdp = [isinstance(side, KvmFactory) and side.tdp_mmu for side in both]
        self._shares = [1 - EXPLORED_LEGACY if one else EXPLORED_LEGACY for one in tdp]
        """How often each side's schedules are the ones searched, in proportion."""
        self.fast = fast_lockstep(self._left, self._right)
        """Tells clean programs from suspicious ones, if both sides are the kernel's own code."""
        self.schedules = fast_schedules(self._left, self._right)
        """Plays more schedules, if a side is the kernel's own code."""
        self.watchdog = Watchdog()
        self._explored: set[int] = set()
        self._met: Counter[tuple[int, int]] = Counter()
        self._steps_left = 0

    def __call__(self, program: Program, trace: bool = False) -> Verdict:
        """Run the program. A crash or hang of difffuzz itself is a divergence like any other.

        UsageError if a side cannot run a program of this configuration.
        """
        watchdog = self.watchdog
        watchdog.start()
        try:
            if self.is_concurrent(program):
                verdict = concurrent.run(
                    program,
                    self._left,
                    self._right,
                    strategy=strategy_for,
                    trace=trace,
                    max_steps=self.max_steps,
                )
                if not trace and self.explores and self._is_explored(program, verdict):
                    self._explore(program, verdict)
                elif not trace and not verdict.divergences and not verdict.allowed["abandoned"]:
                    verdict = self._walk(program, verdict)
            else:
                verdict = self._lockstep(program, trace)
            watchdog.stop()
        except Hang:
            return self._failed("progress", HANG, "the execution does not end")
        except UsageError:
            watchdog.stop()
            raise
        except Exception as error:
            watchdog.stop()
            place = f"{type(error).__name__}@{_place(error.__traceback__)}"
            return self._failed("crash", place, f"{error!r} in {_place(error.__traceback__)}")
        return verdict

    def _lockstep(self, program: Program, trace: bool) -> Verdict:
        if self.fast is not None and not trace:
            verdict = self.fast.run(program, self.max_steps)
            if verdict is not None:
                return verdict
        return lockstep.run(program, self._left, self._right, trace=trace, max_steps=self.max_steps)

    def is_concurrent(self, program: Program) -> bool:
        """True if the program's threads run concurrently in this mode."""
        if self.mode != "portfolio":
            return self.mode == "concurrent"
        if not self._threads:
            return False
        return is_concurrent(program)

    def _is_explored(self, program: Program, verdict: Verdict) -> bool:
        """Are the schedules of this program searched?  Those of the same operations once only.

        The fewer explored ones had the same meetings, and the smaller it is, the likelier.
        """
        self._steps_left += EXPLORING * verdict.steps
        if verdict.divergences or verdict.allowed["abandoned"]:
            return False
        if verdict.steps > EXPLORED_STEPS or self._steps_left <= 0:
            return False
        digest = digest_of(program)
        if digest in self._explored or not raced_phases(program):
            return False
        met = self._met
        chances = [1 / (1 + met[one]) for one in verdict.meetings]
        chance = max(EXPLORED, fmean(chances or (0,)))
        if digest >= chance * min(1.0, SMALLEST_STEPS / verdict.steps) * (1 << 32):
            return False
        self._explored.add(digest)
        met.update(verdict.meetings)
        return True

    def _explore(self, program: Program, verdict: Verdict) -> None:
        """Adds what many schedules of the program show on a side, until one shows a divergence."""
        rng = random.Random(digest_of(program))
        phase = rng.choice(raced_phases(program))
        limit = rng.choice(EXPLORATION_STEPS)
        if len(concurrent.phases(program.ops)[phase - 1]) == 2:
            limit = EXPLORATION_STEPS[-1]
        found = explore(
            program,
            self._left,
            self._right,
            rng.choice(EXPLORED_PREEMPTIONS),
            limit=limit,
            first_only=True,
            order=rng.randrange(1 << 32),
            phase=phase,
            sides=rng.choices((0, 1), self._shares),
        )
        self._steps_left -= found.steps
        verdict.features |= found.features
        for one in found.shown[:1]:
            verdict.divergences.append(one.divergence)
            verdict.schedule = one.schedule

    def _walk(self, program: Program, verdict: Verdict) -> Verdict:
        """The verdict of another schedule that shows a divergence, else the one there is."""
        if self.schedules is None:
            return verdict
        walks = self.schedules.walks(program, WALKS_OF_ONE, self.max_steps, verdict.features)
        for suspicion in islice(walks, JUDGED_WALKS):
            found = concurrent.run(
                program._replace(schedule=suspicion.schedule),
                self._left,
                self._right,
                max_steps=self.max_steps,
            )
            if found.divergences:
                return found
        return verdict

    def _failed(self, oracle: str, location: str, detail: str) -> Verdict:
        violation = Violation(oracle, f"{self.left}/{self.right}", location, detail)
        verdict = Verdict()
        verdict.divergences.append(
            Divergence(oracle, signature(violation, "program"), detail, None)
        )
        return verdict


def digest_of(program: Program) -> int:
    """Of everything but the schedule, in 32 bits."""
    return zlib.crc32(repr(program._replace(schedule=())).encode())


def raced_phases(program: Program) -> list[int]:
    """The phases, counted from 1, in which two threads or more do something."""
    phases = concurrent.phases(program.ops)
    return [at for at, phase in enumerate(phases, 1) if len({op.thread for _, op in phase}) > 1]


def strategy_for(program: Program) -> Strategy:
    """The program's schedule; without one, the program determines: none, a random walk, or PCT."""
    rng = random.Random(zlib.crc32(repr(program.ops).encode()))
    way = rng.random()
    if program.schedule or way < BLOCKS:
        return ScheduleStrategy(program.schedule)
    if way < BLOCKS + WALKS:
        return RandomWalk(rng, rng.choice((5.0, 20.0, 60.0)))
    length = PCT_STEPS * len(program.ops)
    return Pct(rng, 2 + length // rng.choice(PCT_GAPS), length)


def _place(traceback: TracebackType | None) -> str:
    """Module and function of the innermost frame: stays the same when line numbers move."""
    place = "?"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = canonical_name(str(traceback.tb_frame.f_globals.get("__name__", "?")))
        place = f"{module}.{code.co_qualname}"
        traceback = traceback.tb_next
    return place
