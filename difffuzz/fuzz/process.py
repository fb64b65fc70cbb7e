# SPDX-License-Identifier: GPL-2.0-only
"""One worker as its parent sees it: started, watched, started again when it dies."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

from ..errors import room_command
from ..program import decode
from ..program.limits import MAX_BYTES
from ..running.orphan import parent_note
from ..sched.task import HARNESS
from ..shipped import to_reinstall
from ..sides.identity import side_notes
from .current import beside, read_current
from .feedback import GUARD_EXECUTIONS
from .findings import Finding, FindingStore, rescue_folder
from .options import FuzzOptions
from .standstill import busy_seconds, did_nothing_else, stands_still
from .stats import NOT_WRITTEN, WorkerStats, libfuzzer_coverage

MAX_RESTARTS = 20
RELOAD_SECONDS = 10
"""Between two looks at what others have added to the corpus: each reads the whole folder."""
MAX_RIDDLES = 3
"""Deaths that leave no input behind."""
MIN_COVERAGE = 10
"""Fewer counters than this after GUARD_EXECUTIONS are none of the model's."""
DEADLY = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGABRT)
"""Signals that a process brings upon itself; any other comes from outside."""


def rss_limit_mb(memory_mb: int) -> int:
    """The limit that libFuzzer is given: it looks at the most memory that a process ever had, and
    Linux counts what its parent had before the worker's program was loaded."""
    had = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    return memory_mb + had


class WorkerProcess:
    """A worker and the processes that took its place."""

    def __init__(self, options: FuzzOptions, work: Path, index: int, seed: int) -> None:
        self.failure: tuple[str, str] | None = None
        self.restarts = 0
        self._options = options
        self._work = work
        self._name = f"worker-{index}"
        self._seed = seed
        self._process: subprocess.Popen[bytes] | None = None
        self._past: list[WorkerStats] = []
        self._runs = 0
        self._start = 0.0
        self._deadline = 0.0
        self._sees = False
        self._riddles = 0

    @property
    def alive(self) -> bool:
        return self._process is not None

    @property
    def pid(self) -> int:
        """0 if there is no process."""
        return 0 if self._process is None else self._process.pid

    def start(self, runs: int, start: float, deadline: float) -> None:
        """Start it. `runs` 0 and `deadline` 0: no limit; both clocks are the monotonic one."""
        self._runs, self._start, self._deadline = runs, start, deadline
        options = self._options
        own = ["--left", options.left, "--right", options.right, "--mode", options.mode]
        own += ["--out", str(options.out), "--work", str(self._work)]
        own += ["--stats", str(self._stats_file), "--runs", str(runs)]
        own += ["--start", repr(start), "--deadline", repr(deadline)]
        own += ["--cpu-seconds", str(options.cpu_seconds)]
        if options.searching:
            own += ["--searching"]
        if options.delays:
            own += ["--delays"]
        if options.sweeps:
            for folder in filter(None, (options.corpus, options.kept)):
                own += ["--sweep", str(folder)]
        for part in options.without:
            own += ["--without", part]
        # libFuzzer takes seed 0 for "choose one".
        seed = self._seed + 7919 * self.restarts
        # A run that goes on with a corpus goes on with other new programs, too.
        kept = sum(1 for _ in options.kept.glob("*"))
        own += ["--seed", str(seed + 104_729 * kept)]
        flags = [f"-seed={seed % 0xFFFFFFFE + 1}"]
        flags += [f"-max_len={MAX_BYTES}", "-len_control=0"]
        flags += [f"-rss_limit_mb={rss_limit_mb(options.memory_mb)}"]
        flags += ["-prefer_small=0"]  # small programs first would mean: those that do little
        if options.runs is None:  # mutate slow programs less often; a run by number is repeatable
            flags += ["-entropic_scale_per_exec_time=1"]
        if options.shared:
            flags += [f"-reload={RELOAD_SECONDS}"]
        elif options.jobs == 1:  # nobody else adds to the corpus; re-reading it goes by the clock
            flags += ["-reload=0"]
        flags += [f"-artifact_prefix={self._artifact_prefix}"]
        directories = [str(options.kept), str(self._work / "seeds")]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "difffuzz.fuzz.worker", *own, "--", *flags, *directories],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is the parent's to handle
                env={**os.environ, **parent_note(), "PYTHONHASHSEED": "0"},
            )

    def poll(self) -> None:
        """Notice the end of the process; start it again if it died before its time."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._look_for_blindness()
            self._look_for_standstill()
            return
        status, pid = self._process.returncode, self._process.pid
        self._process = None
        stats = WorkerStats.read(self._stats_file)
        self._past.append(stats)
        if stats.failure is not None:
            self.failure = stats.failure
        elif status == NOT_WRITTEN:
            self._could_not_write(pid)
        elif not stats.done:
            self._died(status, stats)

    def stop(self) -> None:
        """Ask the process to end."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, seconds: float) -> None:
        """Wait for the end; what does not come in time is forced."""
        if self._process is not None:
            busy = 0.0
            try:
                self._process.wait(seconds)
            except subprocess.TimeoutExpired:
                busy = busy_seconds(self._process.pid, WorkerStats.read(self._stats_file))
                self._process.kill()
                self._process.wait()
            status, pid = self._process.returncode, self._process.pid
            self._process = None
            stats = WorkerStats.read(self._stats_file)
            self._past.append(stats)
            if status == NOT_WRITTEN:
                self._could_not_write(pid)
            elif not stats.done:
                self._keep(status, stats)
                if did_nothing_else(busy, stats):
                    self._stood_still(busy, stats)

    def kill(self) -> None:
        """End the process at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def stats(self) -> list[WorkerStats]:
        """The figures of each process so far."""
        if self._process is None:
            return self._past
        return [*self._past, WorkerStats.read(self._stats_file)]

    @property
    def _stats_file(self) -> Path:
        return self._work / f"{self._name}.{self.restarts}.json"

    @property
    def _log(self) -> Path:
        return self._work / f"{self._name}.log"

    @property
    def _artifact_prefix(self) -> str:
        return str(self._work / f"{self._name}.{self.restarts}.")

    def _died(self, status: int, stats: WorkerStats) -> None:
        """What it died of is a finding; where nobody knows, it is a riddle."""
        kept = self._keep(status, stats)
        if self.failure is not None:
            return
        left = self._runs - stats.executions if self._runs else 0
        over = self._deadline and time.monotonic() >= self._deadline
        self._riddles += not kept
        if self._riddles >= MAX_RIDDLES or self.restarts >= MAX_RESTARTS:
            what = f"{self._name} {_end(status)}, after {self.restarts} restarts"
            what += f": {self._last_line()}"
            self.failure = (what, f"less {self._log}")
        elif not over and left >= 0 and not (self._runs and not left):
            self.restarts += 1
            self.start(left, self._start, self._deadline)

    def _could_not_write(self, pid: int) -> None:
        """No finding, but no success either; another folder has what the disk did not take."""
        what = f"{self._name} could not write below {self._options.out}"
        folder = rescue_folder(pid)
        if folder.is_dir():
            what += f", what it found there was no room for is in {folder}"
        self.failure = (what, room_command(self._options.out))

    def _look_for_blindness(self) -> None:
        """libFuzzer may not get the counters that the worker hits, for one of a sanitizer's."""
        if self._sees or WorkerStats.read(self._stats_file).executions < GUARD_EXECUTIONS:
            return
        coverage = libfuzzer_coverage(self._log)
        if coverage is None:
            return
        self._sees = coverage > MIN_COVERAGE
        if not self._sees:
            what = f"libFuzzer counts {coverage} branches of the model, so the fuzzer is blind"
            self.failure = (what, to_reinstall("atheris"))
            self.kill()

    def _look_for_standstill(self) -> None:
        """The watchdog may not end what it should."""
        if self._process is None:
            return
        stats = WorkerStats.read(self._stats_file)
        busy = busy_seconds(self._process.pid, stats)
        if stands_still(busy, stats):
            self._stood_still(busy, stats)
            self.kill()
            self._past.append(stats)

    def _stood_still(self, busy: float, stats: WorkerStats) -> None:
        """No success: the program is kept, and the run ends with one line."""
        data = read_current(beside(self._stats_file))
        kept = "work"
        if data is not None:
            signature = f"{HARNESS}:{self._options.left}/{self._options.right}:program:standstill"
            self._add(data, signature, HARNESS, "the program does not end", stats)
            kept = "findings"
        what = (
            f"{self._name} made {stats.executions} executions in {stats.cpu_seconds:.0f} s of CPU"
            f" time, and then no more in {busy:.0f} s"
        )
        if self.failure is None:
            self.failure = (what, f"ls {self._options.out / kept}")

    def _keep(self, status: int, stats: WorkerStats) -> bool:
        """Keeps what the process died of; False if that is not known.

        libFuzzer leaves the input.  It cannot where a library of native code has its signals, or
        where it dies at once: then it is the input that ran.
        """
        kept = False
        for kind in ("crash", "timeout", "oom"):
            for path in sorted(self._work.glob(f"{self._name}.{self.restarts}.{kind}-*")):
                kept = True
                self._died_of(path.read_bytes(), kind, f"({kind})", stats)
        if not kept and -status in DEADLY:
            data = read_current(beside(self._stats_file))
            if data is not None:
                kept = True
                self._died_of(data, "crash", f"of {signal.Signals(-status).name}", stats)
        return kept

    def _died_of(self, data: bytes, kind: str, how: str, stats: WorkerStats) -> None:
        signature = f"crash:{self._options.left}/{self._options.right}:program:process-{kind}"
        self._add(data, signature, "crash", f"the fuzzing process died {how}", stats)

    def _add(
        self, data: bytes, signature: str, oracle: str, detail: str, stats: WorkerStats
    ) -> None:
        """A finding; the next process would meet it again among what it starts from."""
        options = self._options
        name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
        for folder in (self._work / "seeds", options.kept):
            (folder / name).unlink(missing_ok=True)
        sides = {**side_notes(options.left, options.right), "mode": options.mode}
        store = FindingStore(options.out / "findings", self._work / "claims", sides)
        try:
            program = store.add(decode(data), signature, oracle, detail)
        except OSError as error:
            what = f"{self._name}: {detail}, its program is in {self._work}: {error.strerror}"
            self.failure = (what, room_command(options.out))
            return
        if program is not None:
            seconds = round(time.monotonic() - self._start, 3)
            stats.findings.append(
                Finding(signature, oracle, str(program), detail, seconds, stats.executions)
            )

    def _last_line(self) -> str:
        lines = self._log.read_text(errors="replace").split("\n")
        lines = [line.strip() for line in lines if line.strip()]
        return lines[-1].removeprefix("difffuzz: ") if lines else "no message"


def _end(status: int) -> str:
    """How a process died."""
    if status >= 0:
        return f"died with status {status}"
    try:
        return f"was killed by {signal.Signals(-status).name}"
    except ValueError:
        return f"was killed by signal {-status}"
