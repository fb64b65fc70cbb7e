# SPDX-License-Identifier: GPL-2.0-only
"""A fuzzing run: start the workers, watch them, sum up what they say.

Files below OUT: findings/*.difffuzz (text), corpus/ (bytes, libFuzzer's names; shared by the
workers and kept between runs), swept.jsonl (whose schedules were swept), log.jsonl (starts,
findings and ends of all runs), work/ (this run's figures, output and seeds; made anew each time).
"""

from __future__ import annotations

import math
import os
import random
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from ..errors import MissingTool, UsageError, unwritable
from . import corpus
from .findings import FINDINGS, SUFFIX, Finding, recover
from .log import LogFile, open_log
from .options import MAX_JOBS, FuzzOptions
from .out_lock import OutLock
from .process import WorkerProcess
from .shrink_queue import ShrinkQueue
from .stats import Goal, Summary, TakenOver, together
from .stream import GENERATED_SEEDS

POLL_SECONDS = 0.1
STOP_SECONDS = 5.0
LEAST_STOP_SECONDS = 0.5
"""A worker that is asked to end has that to write down what it has."""
SHRINK_GRACE_SECONDS = 12.0
"""How long the end of a run waits for findings that are still being shrunk."""


def fuzz(
    options: FuzzOptions,
    progress: Callable[[Summary], None] = lambda summary: None,
    accept: Callable[[Finding], bool] = lambda finding: True,
) -> Summary:
    """Run until time, executions, an accepted finding (stop_on_finding) or SIGINT ends it.

    `progress` is called ten times a second, `accept` once for each finding: one it refuses is left
    out of the summary and does not stop the run. Raises UsageError for a corpus that cannot be
    read, MissingTool where no worker can run.
    """
    run = FuzzRun(options, accept)
    try:
        run.start()
        while run.poll():
            progress(run.summary())
            time.sleep(POLL_SECONDS)
        run.finish()
        summary = run.summary()
        progress(summary)
        return summary
    finally:
        run.close()


class FuzzRun:
    """The processes and figures of one run."""

    def __init__(self, options: FuzzOptions, accept: Callable[[Finding], bool]) -> None:
        if not 1 <= options.jobs <= MAX_JOBS:
            raise UsageError(f"--jobs {options.jobs}: expected 1 to {MAX_JOBS}")
        self.options = options
        self.seed = random.randrange(1, 1 << 31) if options.seed is None else options.seed
        self.work = options.work
        self.corpus = options.kept
        self._accept = accept
        self._workers: list[WorkerProcess] = []
        self._shrinks = ShrinkQueue(options.left, options.right, options.mode)
        self._verdicts: dict[str, bool] = {}  # signature -> accepted
        self._log_file: LogFile | None = None
        self._lock: OutLock | None = None
        self._claims = self.work / "claims"
        self.taken_over = TakenOver()
        self._to_read = 0
        self._best = (0, 0.0)
        """The best coverage so far, and when it came."""
        self._gone = False
        """Somebody has removed the folder."""
        self._interrupted = False
        self._old_handlers: dict[int, object] = {}
        self._start = time.monotonic()
        self._end = 0.0
        self._deadline = 0.0 if options.time is None else self._start + options.time
        self._last = math.inf
        """When all has to be over."""
        if options.time is not None and options.patience is not None:
            self._last = self._deadline + options.patience

    def start(self) -> None:
        """Prepare OUT and start every worker."""
        options = self.options
        self._lock = OutLock(options.out)
        try:
            (options.out / FINDINGS).mkdir(exist_ok=True)
            recover(options.out / FINDINGS, self._claims)
            shutil.rmtree(self.work, ignore_errors=True)
            for directory in (self.work, self.corpus):
                directory.mkdir(exist_ok=True)
            self.taken_over = TakenOver(
                programs=_count(self.corpus),
                findings=sum(1 for _ in (options.out / FINDINGS).glob(f"*{SUFFIX}")),
            )
            self._log, self._log_file = open_log(options.out)
        except OSError as error:
            raise unwritable(Path(error.filename or options.out), error) from error
        self._log.info(
            "start", left=options.left, right=options.right, seed=self.seed, jobs=options.jobs
        )
        self._to_read = self.taken_over.programs + self._prepare()
        for number in (signal.SIGINT, signal.SIGTERM):
            self._old_handlers[number] = signal.signal(number, self._interrupt)
        deadline = self._deadline
        for index in range(options.jobs):
            runs = 0
            if options.runs is not None:
                runs = options.runs // options.jobs + (index < options.runs % options.jobs)
                if not runs:
                    continue
            worker = WorkerProcess(options, self.work, index, self.seed + index)
            self._workers.append(worker)
            worker.start(runs, self._start, deadline)

    def _prepare(self) -> int:
        """Writes what workers read first; how many programs."""
        options = self.options
        try:
            return corpus.prepare(
                options.corpus,
                self.work / "seeds",
                self.seed,
                corpus.pagings_of(options.left, options.right),
                options.mode,
                # Bytes alone know no programs.
                generated=0 if "mutator" in options.without else GENERATED_SEEDS,
            )
        except OSError as error:
            raise unwritable(Path(error.filename or self.work), error) from error

    def poll(self) -> bool:
        """Look after the workers; False when the run is over."""
        if not self.work.is_dir():
            self._gone = True
            return False
        for worker in self._workers:
            worker.poll()
        self._judge()
        self._shrinks.poll()
        if self._interrupted or not any(worker.alive for worker in self._workers):
            return False
        if self._deadline and time.monotonic() > min(self._deadline + STOP_SECONDS, self._last):
            return False  # a worker is busy with one long execution
        return not (self.options.stop_on_finding and any(self._verdicts.values()))

    def finish(self) -> None:
        """Stop what still runs, wait a moment for findings that are being shrunk."""
        deadline = min(time.monotonic() + STOP_SECONDS, self._last)
        for worker in self._workers:
            worker.stop()
        for worker in self._workers:
            worker.wait(max(LEAST_STOP_SECONDS, deadline - time.monotonic()))
        self._judge()
        self._end = time.monotonic()
        recover(self.options.out / FINDINGS, self._claims)
        deadline = min(self._end + SHRINK_GRACE_SECONDS, self._last)
        while not (self._interrupted or self._gone) and time.monotonic() < deadline:
            if not self._shrinks.poll():
                break
            time.sleep(POLL_SECONDS)
        failure = next((worker.failure for worker in self._workers if worker.failure), None)
        if self._gone:
            what = f"{self.work} was removed while the run used it"
            failure = (what if failure is None else f"{what}: {failure[0]}", "ls")
        if failure is not None:
            raise MissingTool(*failure)

    def close(self) -> None:
        """Leave no process behind, whatever happened."""
        for worker in self._workers:
            worker.kill()
        self._shrinks.kill()
        if self._log_file is not None:
            summary = self.summary()
            self._log.info(
                "end",
                seconds=summary.seconds,
                executions=summary.executions,
                findings=len(summary.findings),
                coverage=summary.coverage,
                corpus=summary.corpus,
                restarts=summary.restarts,
            )
            self._log_file.close()
        if self._lock is not None:
            self._lock.close()
        for number, handler in self._old_handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type] # what signal() returned

    def summary(self) -> Summary:
        """The figures so far."""
        options = self.options
        stats = [one for worker in self._workers for one in worker.stats()]
        seconds = (self._end or time.monotonic()) - self._start
        figures = together(stats)
        executions = figures.executions
        coverage = max((one.branches + one.states for one in stats), default=0)
        if coverage > self._best[0]:
            self._best = (coverage, seconds)
        return Summary(
            executions=executions,
            seconds=round(seconds, 3),
            executions_per_second=round(executions / seconds, 1) if seconds else 0.0,
            operations=figures.operations,
            cpu_seconds=figures.cpu_seconds,
            coverage=coverage,
            corpus=_count(self.corpus),
            findings=self._accepted(figures.findings),
            branches=figures.branches,
            states=figures.states,
            skipped=figures.skipped,
            allowed=figures.allowed,
            operators=figures.operators,
            phrases=figures.phrases,
            ways=figures.ways,
            oracles=figures.oracles,
            left=options.left,
            right=options.right,
            mode=options.mode,
            seed=self.seed,
            jobs=options.jobs,
            restarts=sum(worker.restarts for worker in self._workers),
            out=str(options.out),
            phase=self._phase(executions),
            to_read=self._to_read,
            quiet_seconds=round(seconds - self._best[1], 1),
            taken_over=self.taken_over,
            moves=figures.moves,
            variants=figures.variants,
            sweep=figures.sweep,
            interrupted=self._interrupted,
            goal=Goal(options.time, options.runs, options.cpu_seconds),
        )

    def _phase(self, executions: int) -> str:
        """Each worker reads all programs before it makes one of its own."""
        if self._end:
            return "shrinking" if self._shrinks.busy else "over"
        if not executions:
            return "starting"
        # As far as workers have come on the average; libFuzzer says no more of it.
        return "reading" if executions < self._to_read * len(self._workers) else "fuzzing"

    def _accepted(self, found: list[Finding]) -> list[Finding]:
        return sorted(
            (finding for finding in found if self._verdicts.get(finding.signature)),
            key=lambda finding: finding.seconds,
        )

    def _judge(self) -> None:
        for worker in self._workers:
            for one in worker.stats():
                for finding in one.findings:
                    if finding.signature not in self._verdicts:
                        try:
                            accepted = self._accept(finding)
                        except UsageError:
                            if Path(finding.program).exists():
                                raise
                            continue  # removed meanwhile, with the rest: poll() sees that
                        self._verdicts[finding.signature] = accepted
                        self._log.info(
                            "finding",
                            signature=finding.signature,
                            program=finding.program,
                            accepted=accepted,
                        )
                        if accepted:
                            self._shrinks.add(finding)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        self._interrupted = True


def _count(folder: Path) -> int:
    """Files in a folder, which may have gone."""
    try:
        with os.scandir(folder) as entries:
            return sum(1 for _ in entries)
    except FileNotFoundError:
        return 0
