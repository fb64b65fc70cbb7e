# SPDX-License-Identifier: GPL-2.0-only
"""One fuzzing process: `python -m difffuzz.fuzz.worker --left S --right S ... -- LIBFUZZER_ARGS`.

`atheris.Fuzz()` never returns, so a process that fuzzes does nothing else. It goes on after a
finding, ends cleanly on SIGINT, SIGTERM, its deadline or its number of executions, and leaves
everything worth knowing in files: findings at once, figures twice a second (stats.py).
"""

from __future__ import annotations

import argparse
import gc
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from ..errors import MissingTool
from ..files.notes import digest_key, text_of
from ..program import Program
from ..program.model import RUN_TO_BLOCK
from ..running.orphan import end_with_parent
from ..running.watchdog import HURRY_SECONDS
from ..sched.task import HANG
from . import instrument
from .current import CurrentInput, beside
from .findings import Finding, FindingStore, rescue_folder
from .news import NewsFile
from .stats import NOT_WRITTEN, SweepStats, WorkerStats
from .sweeps import NOTES, Claims, Sweeper, SweepNotes
from .target import PARTS, Target

if TYPE_CHECKING:  # an oracle may load the model, which waits for the instrumentation
    from ..oracle.verdict import Divergence, Verdict

STATS_SECONDS = 0.5
STABILITY_EVERY = 500, 20_000
"""Executions between two programs that are run twice more; where the player runs most of them, the
engine takes a hundred times as long for these."""
SWEEP_SHARE = 0.25
"""Of the time on a CPU; what is left of the sweep at the end is the next run's."""
LAST_SECONDS = 2.0
"""How long the end waits for a disk that is full."""


class Worker:
    """The state of one fuzzing process; `execute` is libFuzzer's TestOneInput."""

    def __init__(self, target: Target, options: argparse.Namespace) -> None:
        from ..sides.identity import side_notes  # loads the model, too

        run = target.run
        self._target = target
        self._options = options
        self._sides = {**side_notes(run.left, run.right), "mode": run.mode}
        self._store = FindingStore(options.out / "findings", options.work / "claims", self._sides)
        self._current = CurrentInput(beside(options.stats))
        self._news = NewsFile(options.stats.with_suffix(".news"))
        self._features = 0
        """Branches and states so far."""
        self._stats = WorkerStats()
        self._unwritten: list[tuple[Program, Divergence]] = []
        self._trouble: OSError | None = None
        """Why something is not on disk that should be."""
        self._stability_every = STABILITY_EVERY[run.fast is not None]
        self._parent = os.getppid()
        self._next_stats = 0.0
        self._stop = False
        self._sweeper: Sweeper | None = None
        self._sweeping = 0.0
        """Seconds on a CPU."""
        if options.sweep:
            made_of = (self._sides[digest_key(side)] for side in ("left", "right"))
            notes = SweepNotes(options.out / NOTES, *made_of)
            self._sweeper = Sweeper(run, notes, Claims(options.work / "claims"), options.sweep)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._request_stop)

    def execute(self, data: bytes) -> None:
        """Run one program; every way to end the process goes through here."""
        stats = self._stats
        if not stats.executions:
            stats.start_cpu_seconds = round(time.process_time(), 3)
        self._current.note(data)
        try:
            program, verdict, earned = self._target.execute(data)
        except MissingTool as error:
            self._give_up(error)
        stats.executions += 1
        if earned:
            self._tell(data)
        if verdict is None:
            stats.skipped += 1
        else:
            self._take(program, verdict)
            if self._sweeper is not None:
                self._sweeper.ran(program, verdict)
            if stats.executions % self._stability_every == 0:
                stats.repeated += 1
                stats.unstable += not self._target.is_stable(program)
        if self._sweeper is not None:
            self._sweep(self._sweeper)
        if self._stop or stats.executions == self._options.runs:
            self._end()
        self._look_at_clock()

    def _sweep(self, sweeper: Sweeper) -> None:
        """Goes on with the sweep until it has had its share of the time."""
        began = time.process_time()
        while self._sweeping <= SWEEP_SHARE * (began - self._stats.start_cpu_seconds):
            try:
                one = sweeper.next(self._is_over)
            except OSError as error:
                self._trouble = error
                return
            if one is None:
                return
            program, swept = one
            now = time.process_time()
            self._sweeping += now - began
            began = now
            so_far = self._stats.sweep
            self._stats.sweep = SweepStats(
                so_far.done + swept.complete, sweeper.left, so_far.schedules + swept.schedules
            )
            for divergence, schedule in swept.shown:
                scheduled = program._replace(schedule=schedule or RUN_TO_BLOCK)
                self._unwritten.append((scheduled, divergence))
            self._write_findings()
            if self._unwritten or not swept.complete:
                return
            try:
                sweeper.done(program, swept)
            except OSError as error:
                self._trouble = error
                return

    def _is_over(self) -> bool:
        self._look_at_clock()
        return self._stop

    def _tell(self, data: bytes) -> None:
        """What was made, and not read, is news."""
        origin = self._target.mutation.origin(data)
        feedback = self._target.feedback
        features = len(feedback.states) + len(feedback.branches)
        if origin.operators:
            self._news.add(data, origin, features - self._features, self._target.run.way)
        self._features = features

    def _take(self, program: Program, verdict: Verdict) -> None:
        stats = self._stats
        stats.operations += verdict.operations
        for rule, count in verdict.allowed.items():
            stats.allowed[rule] = stats.allowed.get(rule, 0) + count
        if verdict.divergences:
            first = verdict.divergences[0]  # the others may be its consequences
            stats.oracles[first.oracle] = stats.oracles.get(first.oracle, 0) + 1
            if verdict.schedule is not None:
                program = program._replace(schedule=verdict.schedule)
            self._unwritten.append((program, first))
            self._write_findings()

    def _write_findings(self) -> None:
        """What cannot be written now, for a disk is full, stays to be written later."""
        try:
            while self._unwritten:
                program, one = self._unwritten[0]
                path = self._store.add(program, one.signature, one.oracle, one.detail)
                del self._unwritten[0]
                if path is not None:
                    self._found(one.signature, one.oracle, one.detail, path)
        except OSError as error:
            self._trouble = error

    def _found(self, signature: str, oracle: str, detail: str, path: Path) -> None:
        stats = self._stats
        if signature.endswith(HANG):
            self._target.run.watchdog.seconds = HURRY_SECONDS
        seconds = round(time.monotonic() - self._options.start, 3)
        stats.findings.append(
            Finding(
                signature,
                oracle,
                str(path),
                detail,
                seconds,
                stats.executions,
                round(time.process_time(), 3),
            )
        )
        self._write_stats()

    def _give_up(self, error: MissingTool) -> NoReturn:
        self._stats.failure = (error.what, error.command)
        self._write_stats()
        print(f"difffuzz: {error}", file=sys.stderr, flush=True)
        os._exit(3)

    def _look_at_clock(self) -> None:
        now = time.monotonic()
        if now >= self._next_stats:
            self._next_stats = now + STATS_SECONDS
            if self._unwritten:
                self._write_findings()
            self._write_stats()
            if os.getppid() != self._parent:  # the parent died: nobody waits for more
                self._end()
        options = self._options
        if options.deadline and now >= options.deadline:
            self._end()
        if options.cpu_seconds and time.process_time() >= options.cpu_seconds:
            self._end()

    def _write_stats(self) -> None:
        self._stats.cpu_seconds = round(time.process_time(), 3)
        self._stats.states = len(self._target.feedback.states)
        self._stats.branches = len(self._target.feedback.branches)
        self._stats.moves = self._target.moves
        self._stats.operators = self._target.operators.by_name
        self._stats.phrases = self._target.phrases.by_name
        self._stats.ways = self._target.ways.by_name
        variants = self._target.run.variants
        self._stats.variants = variants.played if variants is not None else 0
        try:
            self._stats.write(self._options.stats)
            if not self._unwritten:
                self._trouble = None
        except OSError as error:
            self._trouble = error

    def _request_stop(self, number: int, frame: object) -> None:
        self._stop = True

    def _end(self) -> NoReturn:
        """What is not on disk yet gets some more time; then the run says so (NOT_WRITTEN)."""
        self._stats.done = True
        self._write_stats()
        last = time.monotonic() + LAST_SECONDS
        while self._trouble is not None and time.monotonic() < last:
            time.sleep(0.1)
            self._write_findings()
            self._write_stats()
        if self._trouble is not None:
            with suppress(OSError):  # the log may be on the same disk
                self._rescue(self._trouble)
            os._exit(NOT_WRITTEN)
        with suppress(OSError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)  # libFuzzer has no other way out that is not a crash report

    def _rescue(self, trouble: OSError) -> None:
        """What could not be written goes where other disks may have room."""
        if self._unwritten:
            with suppress(OSError):
                folder = rescue_folder(os.getpid())
                folder.mkdir(0o700)
                store = FindingStore(folder, folder / ".claims", self._sides)
                for program, one in self._unwritten:
                    store.add(program, one.signature, one.oracle, one.detail)
        print(f"difffuzz: {trouble.strerror}", file=sys.stderr, flush=True)
        for program, one in self._unwritten:
            print(text_of(program, {"signature": one.signature}), file=sys.stderr, flush=True)


def parse_arguments(arguments: list[str]) -> tuple[argparse.Namespace, list[str]]:
    """The worker's own options, and libFuzzer's arguments behind `--`."""
    own, libfuzzer = arguments, []
    if "--" in arguments:
        at = arguments.index("--")
        own, libfuzzer = arguments[:at], arguments[at + 1 :]
    parser = argparse.ArgumentParser(prog="difffuzz.fuzz.worker", allow_abbrev=False)
    parser.add_argument("--left", required=True)
    parser.add_argument("--right", required=True)
    parser.add_argument("--mode", default="portfolio")
    parser.add_argument("--out", type=Path, required=True, help="findings go to OUT/findings")
    parser.add_argument("--work", type=Path, required=True, help="what the run's workers share")
    parser.add_argument("--stats", type=Path, required=True, help="file for the figures")
    parser.add_argument("--runs", type=int, default=0, help="executions; 0: no limit")
    parser.add_argument("--seed", type=int, default=None, help="of new programs")
    parser.add_argument("--cpu-seconds", type=float, default=0.0, help="time on a CPU; 0: no limit")
    parser.add_argument("--searching", action="store_true", help="mostly schedules")
    parser.add_argument("--delays", action="store_true", help="stores may be delayed")
    parser.add_argument("--sweep", type=Path, action="append", default=[], help="a corpus")
    parser.add_argument("--without", action="append", default=[], choices=PARTS)
    parser.add_argument("--start", type=float, default=time.monotonic())
    parser.add_argument("--deadline", type=float, default=0.0, help="monotonic clock; 0: none")
    return parser.parse_args(own), libfuzzer


def main(arguments: list[str]) -> NoReturn:
    """Fuzz until something ends it."""
    end_with_parent()
    options, libfuzzer = parse_arguments(arguments)
    atheris = instrument.atheris_module()
    branches = instrument.install()
    from ..running.policy import FUZZ_STEPS, POLICY, SEARCHING
    from ..running.runner import Runner

    policy = SEARCHING if options.searching else POLICY
    runner = Runner(
        options.left,
        options.right,
        options.mode,
        FUZZ_STEPS,
        explores=True,
        policy=policy,
        delays=options.delays,
    )
    if runner.fast is not None:
        runner.fast.tells_once = True
    target = Target(runner, atheris, branches, options.without, options.seed)
    worker = Worker(target, options)
    flags = [sys.argv[0], "-handle_int=0", "-handle_term=0", *libfuzzer]
    gc.freeze()  # what is loaded stays: the collector need not look at it again and again
    target.fuzz(atheris, flags, worker.execute)


if __name__ == "__main__":
    main(sys.argv[1:])
