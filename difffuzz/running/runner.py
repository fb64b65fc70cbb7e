# SPDX-License-Identifier: GPL-2.0-only
"""Run one program on two named sides and say what happened, whatever happened.

Importing this module loads the engine and the sides: a process that instruments the model does so
before (see fuzz/instrument.py).
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from types import TracebackType

from ..engine import concurrent, guest_concurrent, guest_lockstep, lockstep
from ..engine.explore import Exploration, Shown, Stop, explore
from ..engine.fast_schedules import FastSchedules, fast_schedules
from ..engine.lockstep_filter import lockstep_filter
from ..engine.noting import NoteTaker
from ..engine.variants import variants_of
from ..errors import UsageError
from ..oracle.verdict import Verdict, Violation
from ..program import Program, is_concurrent
from ..sched import KernelSplat
from ..sched.core import STEP_LIMIT
from ..sched.strategy import Strategy
from ..sched.task import HANG, HARNESS
from ..sides import KvmFactory, NativeFactory, SideFactory, open_side
from ..sides.played import Stuck
from ..variants.engine import canonical_name
from .policy import POLICY, Policy
from .schedule import delaying, is_judged, strategy_for, way_of
from .search import ScheduleSearch, raced_operations
from .sweep import Swept, sweep
from .watchdog import Hang, Watchdog

MODES = ("portfolio", "lockstep", "concurrent", "guests")
"""portfolio: programs with a schedule or with `sync` run concurrently, the others in lockstep.
guests: as portfolio, and what is generated has a guest with page tables of its own."""


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
        policy: Policy = POLICY,
        delays: bool = False,
    ) -> None:
        """`max_steps`: preemption points of a run, of either side; more of the kernel's own code.
        `explores`: the schedules of some small programs are searched, not if a side is native.
        `delays`: half of the schedules that are chosen delay stores, as x86 may."""
        if mode not in MODES:
            raise UsageError(f"mode {mode!r} is not one of {', '.join(MODES)}")
        self.left = left
        self.right = right
        self.mode = mode
        self.max_steps = max_steps
        self._policy = policy
        self._delays = delays
        self._left = one = open_side(left)
        self._right = other = open_side(right)
        self._threads = isinstance(one, KvmFactory) and isinstance(other, KvmFactory)
        if mode == "concurrent" and not self._threads:
            raise UsageError(f"{left} against {right} cannot run concurrently: spec has no threads")
        native = isinstance(one, NativeFactory) and isinstance(other, NativeFactory)
        if mode == "guests" and not native:
            raise UsageError(f"{left} against {right} have no guests with page tables: native:* do")
        self.guards = [
            side.library.take_guards for side in (one, other) if isinstance(side, NativeFactory)
        ]
        """What takes the coverage of native code, for each side that is such."""
        if self.guards:
            self.max_steps = min(max_steps * policy.native_steps, STEP_LIMIT)
        self.search: ScheduleSearch | None = None
        """Searches the schedules of some small programs, if that is wanted."""
        if isinstance(one, KvmFactory) and isinstance(other, KvmFactory):
            if explores and not self.guards:
                self.search = ScheduleSearch(one, other, policy, delays)
        self.way = "lockstep"
        """How the last program was scheduled."""
        self.fast = lockstep_filter(one, other)
        """Tells clean programs from suspicious ones, if both sides are the kernel's own code."""
        self.variants = variants_of(one, other)
        """Plays programs that are almost one that was run, if both sides are of one build."""
        self.schedules = fast_schedules(one, other, delays)
        """Plays more schedules, if a side is the kernel's own code."""
        libraries = {side.library for side in (one, other) if isinstance(side, NativeFactory)}
        self.watchdog = Watchdog(libraries=[library.export("watch") for library in libraries])

    @property
    def sides(self) -> tuple[SideFactory, SideFactory]:
        """What starts the two sides of a run."""
        return self._left, self._right

    def __call__(
        self, program: Program, trace: bool = False, notes: NoteTaker | None = None
    ) -> Verdict:
        """Run the program. A crash or hang of difffuzz itself is a divergence like any other.

        Without `trace` other schedules and searches may follow; `notes` are of a traced run only.
        UsageError if a side cannot run a program of this configuration.
        """
        return self._guarded(lambda: self._judged(program, trace, notes))

    def under(self, program: Program, strategy: concurrent.MakeStrategy) -> Verdict:
        """Runs the program's threads at once under a strategy, which is made for each side."""
        return self._guarded(lambda: self._concurrent(program, strategy))

    def explore(
        self, program: Program, preemptions: int, side: int, steps: int, stop: Stop
    ) -> Exploration:
        """Searches the program's schedules on one side, for about so many steps or until `stop`."""
        sides = self._left, self._right
        reduce = not isinstance(sides[side], NativeFactory)
        return explore(
            program, *sides, preemptions, limit=steps, reduce=reduce, sides=(side,), stop=stop
        )

    def sweep_cost(self, program: Program) -> int:
        """Operations that race: how long sweep() takes, about; 0 if it has nothing to do."""
        return raced_operations(program) if self.is_concurrent(program) else 0

    def sweep(self, program: Program, stop: Callable[[], bool]) -> Swept:
        """Runs every schedule with one departure, on both sides, until `stop`; see sweep.py."""
        swept = Swept()
        schedule: tuple[tuple[int, int], ...] = ()

        def over() -> bool:
            self.watchdog.start()  # it watches each run by itself
            return stop()

        def judge() -> Verdict:
            try:
                sweep(program, *self.sides, over, swept)
            except Stuck as stuck:
                nonlocal schedule
                schedule = stuck.schedule
                self.watchdog.start()
                return self._own_fault(stuck, self._under(program, schedule))
            return Verdict()

        verdict = self._guarded(judge)
        if verdict.divergences:  # of a run that ended the sweep
            swept.shown += [Shown(one, schedule) for one in verdict.divergences[:1]]
            swept.complete = True
        return swept

    def near(self, program: Program) -> list[Program]:
        """Programs that are almost this one, which ran in lockstep, and worth a run, too."""
        if self.variants is None or self.fast is None or self.is_concurrent(program):
            return []
        told = self.fast.is_told(self.left), self.fast.is_told(self.right)
        self.watchdog.start()
        try:
            return self.variants.near(program, self.max_steps, told)
        except Hang:  # a player that does not end where the library cannot say so
            return []
        finally:
            self.watchdog.stop()

    def _guarded(self, judge: Callable[[], Verdict]) -> Verdict:
        watchdog = self.watchdog
        watchdog.start()
        try:
            with lockstep.without_collector():
                return judge()
        except Hang:
            return self._failed("progress", HANG, "the execution does not end")
        except UsageError:
            raise
        except KernelSplat as splat:  # where no side was at work: one that is too broken
            return self._failed(splat.oracle, splat.where, splat.text)
        except Exception as error:
            place = f"{type(error).__name__}@{_place(error.__traceback__)}"
            return self._failed("crash", place, f"{error!r} in {_place(error.__traceback__)}")
        finally:
            watchdog.stop()

    def _judged(self, program: Program, trace: bool, notes: NoteTaker | None) -> Verdict:
        assert trace or notes is None
        if not self.is_concurrent(program):
            self.way = "lockstep"
            return self._lockstep(program, trace, notes)
        if not trace and self.schedules is not None and self.schedules.see_both:
            return self._walked(program, self.schedules)
        search = self.search
        if trace or search is None:
            verdict = self._concurrent(program, self._strategy, trace, notes)
        else:
            verdict = self._concurrent(program, self._learned_strategy)
            search.ways.ran(self.way, verdict)
        if not trace and search is not None and search.wants(program, verdict):
            self.way = search.run(program, verdict)
        elif not trace and not verdict.divergences and not verdict.allowed["abandoned"]:
            verdict = self._walk(program, verdict)
        return verdict

    def _strategy(self, program: Program) -> Strategy:
        strategy = strategy_for(program, self._policy)
        self.way = way_of(program, strategy)
        return self._with_delays(program, strategy)

    def _learned_strategy(self, program: Program) -> Strategy:
        """By what earlier programs showed."""
        assert self.search is not None
        strategy = strategy_for(program, self._policy, self.search.ways.runs.of())
        self.way = way_of(program, strategy)
        return self._with_delays(program, strategy)

    def _with_delays(self, program: Program, strategy: Strategy) -> Strategy:
        return delaying(program, strategy, self._policy) if self._delays else strategy

    def _concurrent(
        self,
        program: Program,
        strategy: concurrent.MakeStrategy,
        trace: bool = False,
        notes: NoteTaker | None = None,
    ) -> Verdict:
        return _at_once(program)(
            program,
            self._left,
            self._right,
            strategy=strategy,
            trace=trace,
            notes=notes,
            max_steps=self.max_steps,
            delays=self._delays,
        )

    def _lockstep(self, program: Program, trace: bool, notes: NoteTaker | None) -> Verdict:
        judge = lockstep.run if program.config.guest == "none" else guest_lockstep.run
        stuck: Stuck | None = None
        if self.fast is not None and not trace:
            try:
                verdict = self.fast.run(program, self.max_steps)
            except Stuck as met:
                stuck, verdict = met, None
                self.watchdog.start()
            if verdict is not None:
                return verdict
        verdict = judge(
            program,
            self._left,
            self._right,
            trace=trace,
            notes=notes,
            max_steps=self.max_steps,
        )
        if self.fast is not None:
            self.fast.judged(verdict)
        return verdict if stuck is None else self._own_fault(stuck, verdict)

    def is_concurrent(self, program: Program) -> bool:
        """True if the program's threads run concurrently in this mode."""
        if self.mode in ("lockstep", "concurrent"):
            return self.mode == "concurrent"
        return self._threads and is_concurrent(program)

    def _walked(self, program: Program, schedules: FastSchedules) -> Verdict:
        """Of two native sides: the engine takes a hundred times as long as a walk, so that it runs
        those programs whose walks reach something new, and a share of the others."""
        self.way = "walks"
        verdict = Verdict()
        verdict.operations = len(program.ops)
        runs, steps = schedules.runs, schedules.steps
        found = self._walk(program, verdict)
        if found is not verdict:
            return found
        verdict.steps = 2 * (schedules.steps - steps) // max(schedules.runs - runs, 1)
        if not schedules.are_new(verdict.features) and not is_judged(program, self._policy):
            return verdict
        judged = self._concurrent(program, self._strategy)
        judged.features |= verdict.features
        return judged

    def _walk(self, program: Program, verdict: Verdict) -> Verdict:
        """The verdict of another schedule that shows a divergence, else the one there is."""
        if self.schedules is None:
            return verdict
        policy = self._policy
        walks = self.schedules.walks(
            program, policy.native_walks, self.max_steps, verdict.features, policy.walked_steps
        )
        try:
            for suspicion in islice(walks, policy.judged_walks):
                found = self._under(program, suspicion.schedule)
                if found.divergences:
                    return found
        except Stuck as stuck:
            self.watchdog.start()
            return self._own_fault(stuck, self._under(program, stuck.schedule))
        return verdict

    def _under(self, program: Program, schedule: tuple[tuple[int, int], ...]) -> Verdict:
        return _at_once(program)(
            program._replace(schedule=schedule), self._left, self._right, max_steps=self.max_steps
        )

    def _own_fault(self, stuck: Stuck, verdict: Verdict) -> Verdict:
        """What the engine says of a program in which the player is stuck; if it has no objection,
        the player is wrong."""
        if verdict.divergences:
            return verdict
        return self._failed(HARNESS, HANG, f"the player does not end: {stuck}")

    def _failed(self, oracle: str, location: str, detail: str) -> Verdict:
        violation = Violation(oracle, f"{self.left}/{self.right}", location, detail)
        verdict = Verdict()
        verdict.report(violation, "program", None)
        return verdict


def _at_once(program: Program) -> Callable[..., Verdict]:
    """Who runs the program's threads at once."""
    return concurrent.run if program.config.guest == "none" else guest_concurrent.run


def _place(traceback: TracebackType | None) -> str:
    """Module and function of the innermost frame: stays the same when line numbers move."""
    place = "?"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = canonical_name(str(traceback.tb_frame.f_globals.get("__name__", "?")))
        place = f"{module}.{code.co_qualname}"
        traceback = traceback.tb_next
    return place
