# SPDX-License-Identifier: GPL-2.0-only
"""What the documents are that commands print with --json: a type for each command.

A document is put together where its command is; here is its form, for those who read it.  Tests
compare the two.
"""

from __future__ import annotations

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from ..campaign.status import Status
from ..commands.corpus_sweep import SweepDocument
from ..fuzz.stats import Summary
from ..review.review import Review
from ..triage.record import Event, State
from ..variants.catalogue import Bug

Verdict = Literal["same", "divergence"]


class Document(Struct, forbid_unknown_fields=True):
    """One that has exactly these members."""


class DivergenceForm(Document):
    """A property that was broken."""

    oracle: str
    signature: str
    detail: str
    op_index: int | None
    """The operation after which it showed, from 0; null: at the end of the program."""
    sides: str
    location: str


class Replayed(Document):
    """One of the programs."""

    program: str
    verdict: Literal["same", "divergence", "error"]
    left: str
    right: str
    mode: str
    divergences: list[DivergenceForm]
    alike: bool
    """Both sides broke the same properties."""
    changed: list[str]
    """Sides that are not what they were when the program was written."""
    error: str | UnsetType = UNSET


class Minimized(Document):
    """What was shrunk, and how far."""

    program: str
    signature: str
    oracle: str
    operations: int
    operations_before: int
    complete: bool
    interrupted: bool


class Explained(Document):
    """A run, operation by operation."""

    program: str
    verdict: Verdict
    left: str
    right: str
    operations: list[str]
    """In the text form."""
    divergences: list[DivergenceForm]
    trace: list[str]
    """The lines that the command prints without --json."""
    drawn: list[str]
    """Pages and traces that were written."""


class ShownUnder(DivergenceForm):
    """A property that was broken under a schedule."""

    schedule: str
    program: str
    """A file that has the schedule, too."""


class Explored(Document):
    """A program under its schedules."""

    program: str
    left: str
    right: str
    preemptions: int
    strategy: str
    memory: str
    """sc, or tso: stores may be delayed."""
    schedules: int
    complete: bool
    interrupted: bool
    seconds: float
    divergences: list[ShownUnder]


class SmokeFinding(Document):
    """What a smoke test found."""

    signature: str
    oracle: str
    detail: str
    program: str
    line: int | None
    """Of the program's file."""
    known: bool
    replay: str
    """The command that shows it again."""


class Smoke(Document):
    """A smoke test."""

    replayed: int
    unfit: int
    """Programs that the sides cannot run."""
    not_replayed: int
    """There was no time, or it was interrupted."""
    errors: list[str]
    findings: list[SmokeFinding]
    known: list[SmokeFinding]
    """Those that the baseline explains."""
    interrupted: bool
    seconds: float
    fuzz: Summary | None


class Required(Document):
    """One thing that is needed, or only wanted for more."""

    name: str
    ok: bool
    detail: str
    command: str
    """What mends it."""
    needed: bool


class NativeRequired(Document):
    """One thing that a build needs."""

    name: str
    state: Literal["ok", "MISSING", "absent"]
    detail: str
    command: str


class CorpusShown(Document):
    """A program, or the figures of a directory."""

    program: str | UnsetType = UNSET
    text: str | UnsetType = UNSET
    directory: str | UnsetType = UNSET
    programs: int | UnsetType = UNSET
    operations: int | UnsetType = UNSET
    longest: int | UnsetType = UNSET
    """The operations of the longest program."""
    kinds: dict[str, int] | UnsetType = UNSET
    """How many operations there are of each."""


class CorpusMinimized(Document):
    """What is left of a corpus."""

    programs: int
    kept: int
    reached: int
    """Branches and states."""


class CorpusWritten(Document):
    """What came into a corpus."""

    programs: int
    new: int
    traced: Imported | UnsetType = UNSET
    """With --trace."""


class TraceRead(Document):
    """How a trace was read."""

    trace: str
    events: int
    """That are read; gaps count as one."""
    faults: int
    skipped: dict[str, int]
    """Lines of other events, by event."""
    broken: list[int]
    """Lines with events that are not whole."""
    guessed: list[str]


class FaultDiffers(Document):
    """A fault that ended otherwise than in the trace."""

    program: str
    line: int
    """Of the trace, from 1."""
    op: int
    """Of the program, from 0."""
    what: Literal["RET_PF", "level", "outcome"]
    traced: str
    replayed: str


class TraceReplayed(Document):
    """The programs of a trace on one side."""

    side: str
    compared: int
    agreed: int
    agreement: float | None
    """Of 1; null: the trace shows of no access how it ended."""
    differences: list[FaultDiffers]


class Imported(TraceRead):
    """What was made of a trace."""

    files: list[str]
    operations: int
    slots: list[str]
    """GFN,PAGES,HVA"""
    notes: list[str]
    """What was guessed and moved."""
    left_out: dict[str, int]
    """What is in no program, by the reason."""
    replayed: list[TraceReplayed]


class TraceFinding(Document):
    """What lines of a trace show."""

    rule: str
    proven: bool
    """Else what was not traced may be why."""
    lines: list[int]
    detail: str


class RuleNotJudged(Document):
    """A rule, and what the trace lacks."""

    rule: str
    needs: str


class Judged(TraceRead):
    """A trace that was judged."""

    findings: list[TraceFinding]
    judged: list[str]
    not_judged: list[RuleNotJudged]


class StoredFinding(Document):
    """A finding of the store.  Of an embargoed one only what has no default is there."""

    id: str
    oracle: str
    state: State
    first_seen: str
    last_seen: str
    signature: str | UnsetType = UNSET
    left: str | UnsetType = UNSET
    right: str | UnsetType = UNSET
    left_digest: str | UnsetType = UNSET
    right_digest: str | UnsetType = UNSET
    mode: str | UnsetType = UNSET
    detail: str | UnsetType = UNSET
    program: str | UnsetType = UNSET
    """The text form."""
    shown: int | UnsetType = UNSET
    runs: int | UnsetType = UNSET
    bug: str | UnsetType = UNSET
    """The id of the first finding that is the same bug."""
    history: list[Event] | UnsetType = UNSET
    sides: str | UnsetType = UNSET
    reliability: tuple[int, int] | UnsetType = UNSET
    """Shown, of so many runs."""


class Retested(StoredFinding, kw_only=True):
    """A finding that was run again."""

    retest: Literal["shows", "gone", "error"]
    shown: int
    """In so many of these runs."""
    error: str


class Bisected(Document):
    """What brought a finding."""

    id: str
    commit: str
    subject: str
    fixes: str
    mail: str


class Reviewed(Review, kw_only=True, forbid_unknown_fields=True):
    """A change of the kernel, judged."""

    verdict: Literal["equal", "differs", "cannot tell"]


class ListedBug(Bug, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A bug of the catalogue."""

    patch: str | None  # type: ignore[assignment]
    """The path of its patch."""


class ShownBug(ListedBug, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same with its patch."""

    diff: str


class Hunted(Document):
    """A bug that was hunted."""

    id: str
    found: bool
    executions: int
    seconds: float
    cpu_seconds: float
    oracle: str | None
    signature: str | None
    program: str | None
    """The text form."""
    kept: str | None
    """Its file."""
    interrupted: bool


class AppliedPatch(Document):
    """What a patch changes in one file."""

    patch: str
    file: str
    hunks: int


class Checked(Document):
    """Patches that apply."""

    applies: Literal[True]
    package: str
    confined: bool
    files: list[AppliedPatch]


class ShownDifference(Document):
    """A program that two variants run differently."""

    left: str
    right: str
    program: str
    schedule: int | str | None
    """None: one operation at a time."""
    what: str
    detail: str


class ChangedStatements(Document):
    """Of one variant."""

    statements: int
    ran: int
    missed: list[str]
    """file:line"""


class VariantsCompared(Document):
    """Two variants; the members that may be missing are those of models."""

    left: str
    right: str
    programs: int
    schedules: int
    agreed: int
    differences: list[ShownDifference]
    seconds: float
    complete: bool
    interrupted: bool
    explained: list[str]
    """Differences that the baseline explains."""
    explored: int | UnsetType = UNSET
    explored_completely: int | UnsetType = UNSET
    cut_short: int | UnsetType = UNSET
    equal: dict[str, int] | UnsetType = UNSET
    """Effects that were the same, by kind."""
    changed: dict[str, ChangedStatements] | UnsetType = UNSET


class Built(Document):
    """A build of a kernel's MMU."""

    name: str
    tree: str
    version: str
    library: str
    seconds: float
    compiled: int
    """Units that were not in the cache."""
    coverage: bool
    compiler: str
    stubs: int


class Conformed(Document):
    """A model compared with a build."""

    tree: str
    version: str
    model: str
    programs: int
    schedules: int
    agreed: int
    disagreed: list[ShownDifference]
    seconds: float
    complete: bool
    interrupted: bool


class KernelDifference(Document):
    """What a booted kernel did otherwise than its model said."""

    program: str
    mmu: Literal["legacy", "tdp"]
    what: str
    detail: str


class LeftOut(Document):
    """A program that a booted kernel cannot be given."""

    program: str
    why: str


class KernelConformed(Document):
    """A model compared with a booted kernel."""

    kernel: str
    """Its release."""
    model: str
    programs: int
    """Runs: each program on each MMU."""
    operations: int
    agreed: int
    disagreed: list[KernelDifference]
    left_out: list[LeftOut]
    skipped_operations: int
    rules: dict[str, int]
    """Differences that are meant, by their rule."""
    seconds: float
    boots: int
    failures: list[str]
    """Boots that failed, and what else was the machine's fault."""
    complete: bool


class KernelWrong(Document):
    """Something that is wrong with a program's runs on a booted kernel."""

    oracle: str
    mmu: Literal["legacy", "tdp", ""]
    """Empty: the MMUs differ."""
    at: int
    kind: str
    detail: str
    signature: str


class KernelReplayed(Document):
    """A program on a booted kernel."""

    program: str
    verdict: Literal["same", "divergence", "error"]
    divergences: list[KernelWrong]
    remarks: list[str]
    """What of it could not be done as it stands."""
    kernel: str | UnsetType = UNSET
    error: str | UnsetType = UNSET


class KernelFinding(Document):
    """A finding on a booted kernel."""

    signature: str
    oracle: str
    program: str
    known: bool
    mmu: Literal["legacy", "tdp", ""]
    detail: str


class KernelFuzzed(Document):
    """Fuzzing of a booted kernel."""

    kernel: str
    programs: int
    executions: int
    """The same, as in the document of `fuzz`."""
    executions_per_second: float
    operations: int
    seconds: float
    features: int
    """Different things that operations showed."""
    coverage: int
    """The same."""
    kept: int
    """Programs that showed some of them first, and are changed further."""
    corpus: int
    """The same."""
    findings: list[KernelFinding]
    explained: list[str]
    """Signatures that a baseline explains: they are not among `findings`."""
    once: int
    """Programs that showed something that did not come again."""
    seed: int
    boots: int
    failures: list[str]
    interrupted: bool
    """By Ctrl-C."""


class Confirmed(Document):
    """A finding's program on a booted kernel."""

    id: str
    kernel: str
    shown: int
    runs: int
    seen: dict[str, int]
    """How often which signature showed."""
    state: State
    remarks: list[str]


class ReproducerRun(Document):
    """A reproducer on one of the MMUs."""

    mmu: Literal["legacy", "tdp"]
    verdict: Literal["ok", "not ok", "skipped", "crash"]
    status: int
    """Exit status, or 128 and a signal; -1: the kernel did not survive it."""
    bad: list[str]
    output: str | UnsetType = UNSET
    trace: str | UnsetType = UNSET
    """The file with its trace, with `--trace`."""


class ReproducerRuns(Document):
    """A reproducer on a booted kernel."""

    kernel: str
    program: str
    runs: list[ReproducerRun]


DOCUMENTS: dict[str, Any] = {
    "fuzz": Summary,
    "smoke": Smoke,
    "campaign run": Status,
    "campaign status": Status,
    "campaign report": Status,
    "replay": list[Replayed],
    "minimize": Minimized,
    "explain": Explained,
    "explore": Explored,
    "review": Reviewed,
    "doctor": list[Required],
    "corpus show": list[CorpusShown],
    "corpus minimize": CorpusMinimized,
    "corpus sweep": SweepDocument,
    "corpus merge": CorpusWritten,
    "corpus import": CorpusWritten,
    "judge": Judged,
    "findings list": list[StoredFinding],
    "findings show": StoredFinding,
    "findings retest": list[Retested],
    "findings bisect": Bisected,
    "bugs list": list[ListedBug],
    "bugs show": ShownBug,
    "bugs hunt": list[Hunted],
    "variant check": Checked,
    "variant diff": VariantsCompared,
    "native doctor": list[NativeRequired],
    "native build": Built,
    "native conform": Conformed,
    "kernel doctor": list[NativeRequired],
    "findings confirm": Confirmed,
    "kernel replay": list[KernelReplayed],
    "kernel fuzz": KernelFuzzed,
    "kernel run": ReproducerRuns,
    "kernel selftest": list[ReproducerRuns],
    "kernel conform": KernelConformed,
}
"""By the command's words."""
