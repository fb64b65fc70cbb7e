# SPDX-License-Identifier: GPL-2.0-only
"""The figures of a run: what a worker hands to its parent, and their sum."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import msgspec

from ..files.atomic import write_atomically
from .findings import Finding
from .operators import OperatorStats, total_operators

_STATUS = re.compile(rb"^#\d+\s.*? cov: (\d+) ft: \d+ corp: \d+/", re.MULTILINE)
_TAIL = 1 << 14
NOT_WRITTEN = 74
"""Status of a worker that could not write what it found, or its figures."""


class SweepStats(msgspec.Struct, frozen=True):
    """Programs all of whose schedules that depart once are run (sweeps.py)."""

    done: int = 0
    left: int = 0
    schedules: int = 0
    """That were run for it, of both sides."""


class WorkerStats(msgspec.Struct):
    """What one worker process has done so far; it writes this to a small file twice a second."""

    executions: int = 0
    operations: int = 0
    cpu_seconds: float = 0.0
    """Time on a CPU, of the process as a whole."""
    start_cpu_seconds: float = 0.0
    """That of it which was over when the first program began."""
    skipped: int = 0
    """Executions of programs whose configuration one of the sides cannot have."""
    branches: int = 0
    """Branches of the model taken."""
    states: int = 0
    """State features reached."""
    moves: bool = False
    """What is covered has grown since the first program."""
    allowed: dict[str, int] = {}
    """Allowed differences by rule."""
    operators: dict[str, OperatorStats] = {}
    """By the name of the mutator, or "crossover"; what a run starts from has none."""
    phrases: dict[str, OperatorStats] = {}
    """By the name of the generator's phrase."""
    ways: dict[str, OperatorStats] = {}
    """By how the program was scheduled: "lockstep", "PCT", "surw search", ..."""
    oracles: dict[str, int] = {}
    """How often each oracle was the first to object."""
    repeated: int = 0
    """Programs that were run twice more, to see whether they reach the same."""
    unstable: int = 0
    """Those of them that did not: what they showed may not come again."""
    findings: list[Finding] = []
    sweep: SweepStats = SweepStats()
    variants: int = 0
    """Programs that the library made and played, besides the executions."""
    done: bool = False
    """It ended by itself, with everything written."""
    failure: tuple[str, str] | None = None
    """MissingTool's two texts, if that is how it ended."""

    def write(self, path: Path) -> None:
        write_atomically(path, msgspec.json.encode(self), durable=False)

    @classmethod
    def read(cls, path: Path) -> WorkerStats:
        """The figures in the file; zeros if the worker has not written any yet."""
        try:
            return msgspec.json.decode(path.read_bytes(), type=cls)
        except FileNotFoundError:
            return cls()


def together(each: Sequence[WorkerStats]) -> WorkerStats:
    """The figures of all: sums, and the best one's coverage."""
    return WorkerStats(
        executions=sum(one.executions for one in each),
        operations=sum(one.operations for one in each),
        cpu_seconds=round(sum(one.cpu_seconds for one in each), 3),
        skipped=sum(one.skipped for one in each),
        branches=max((one.branches for one in each), default=0),
        states=max((one.states for one in each), default=0),
        allowed=total(one.allowed for one in each),
        operators=total_operators(one.operators for one in each),
        phrases=total_operators(one.phrases for one in each),
        ways=total_operators(one.ways for one in each),
        oracles=total(one.oracles for one in each),
        repeated=sum(one.repeated for one in each),
        unstable=sum(one.unstable for one in each),
        moves=any(one.moves for one in each),
        variants=sum(one.variants for one in each),
        sweep=SweepStats(
            done=sum(one.sweep.done for one in each),
            left=max((one.sweep.left for one in each), default=0),
            schedules=sum(one.sweep.schedules for one in each),
        ),
        findings=[finding for one in each for finding in one.findings],
    )


def libfuzzer_coverage(log: Path) -> int | None:
    """What libFuzzer covers by the last status line of its log; None if there is none."""
    try:
        with log.open("rb") as file:
            file.seek(0, 2)
            file.seek(max(0, file.tell() - _TAIL))
            lines = _STATUS.findall(file.read())
    except FileNotFoundError:
        return None
    return int(lines[-1]) if lines else None


class TakenOver(msgspec.Struct, frozen=True):
    """What an earlier run has left in the folder, and this one goes on with."""

    programs: int = 0
    """Of its corpus."""
    findings: int = 0
    """Programs of its findings."""


class Goal(msgspec.Struct, frozen=True):
    """What ends the run by itself; nothing does if there is none."""

    seconds: float | None = None
    """On the clock."""
    executions: int | None = None
    """Of all workers together."""
    cpu_seconds: float = 0.0
    """Of each worker; 0: no limit."""


class Summary(msgspec.Struct):
    """The JSON document of `difffuzz fuzz`."""

    executions: int
    """Of all workers together."""
    seconds: float
    """On the clock."""
    executions_per_second: float
    """Over the whole run."""
    operations: int
    """Of all programs that ran."""
    cpu_seconds: float
    """Of all workers together."""
    coverage: int
    """Branches and states, each a counter of libFuzzer's: the best worker's."""
    corpus: int
    """Programs with new coverage that are kept."""
    findings: list[Finding]
    """One for each signature."""
    branches: int
    """Of the model, taken; the best worker's."""
    states: int
    """State features reached; the best worker's."""
    skipped: int
    """Executions of programs whose configuration one of the sides cannot have."""
    allowed: dict[str, int]
    """Allowed differences by rule."""
    operators: dict[str, OperatorStats]
    """Which operator made how many inputs, and how many of these had new coverage of a worker."""
    phrases: dict[str, OperatorStats]
    """The same by the phrase of the generator."""
    ways: dict[str, OperatorStats]
    """The same by how the program was scheduled: "lockstep", "PCT", "surw search", ..."""
    oracles: dict[str, int]
    """How often each oracle was the first to object."""
    left: str
    """The name of the side."""
    right: str
    """The name of the other side."""
    mode: str
    """lockstep, concurrent or portfolio."""
    seed: int
    """With it and `--jobs 1 --runs N` the run is repeated."""
    jobs: int
    """Workers."""
    restarts: int
    """Workers that died and were started again."""
    out: str
    """The folder with findings and corpus."""
    phase: str = "over"
    """starting, reading (of what is there already: not yet new coverage), fuzzing, shrinking."""
    to_read: int = 0
    """Programs that each worker reads first."""
    quiet_seconds: float = 0.0
    """Since coverage was new last."""
    taken_over: TakenOver = TakenOver()
    """What was there already."""
    moves: bool = False
    """A worker covered more than its first program did."""
    variants: int = 0
    """Programs that libraries of native code made and played, besides the executions."""
    sweep: SweepStats = SweepStats()
    """How far the sweep came."""
    interrupted: bool = False
    """By Ctrl-C."""
    goal: Goal = Goal()
    """What was to end it."""
    explained: list[str] = []
    """Signatures of findings that a baseline explains: they are not among `findings`."""


def total(each: Iterable[dict[str, int]]) -> dict[str, int]:
    """The counts of all workers, by name."""
    counts: Counter[str] = Counter()
    for one in each:
        counts.update(one)
    return dict(sorted(counts.items()))
