# SPDX-License-Identifier: GPL-2.0-only
"""A review: two builds, compared strictly, fuzzed for a time, and which changed lines ran.

Three parts share the time: the two builds run the corpus and generated programs side by side; the
build after the change is fuzzed, MMU against MMU, and what the build before shows too is not told;
what that made new is run side by side, too, so that its coverage counts.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Final

import msgspec

from ..engine.conform_many import Found, Pair, Tally, compare, programs_of
from ..errors import UsageError
from ..files.collection import program_files
from ..files.program_file import read_program
from ..fuzz.findings import Finding
from ..fuzz.options import FuzzOptions
from ..fuzz.parent import fuzz
from ..fuzz.stats import Summary
from ..native.build import Build, Wish, build
from ..native.cache import default_cache, short_digest
from ..native.changed import changed_lines
from ..native.patches import apply_patches
from ..native.reached import Lines, count_reached
from ..native.tree import open_tree
from ..program import Program, ProgramError, render
from ..sides import NativeFactory, open_side
from ..triage.baseline import Baseline, Known
from .subject import Subject

MMUS: Final = ("legacy", "tdp")
SHARES: Final = (0.35, 0.5, 0.15)
"""Of the time: programs side by side, fuzzing, side by side what that made."""
SCHEDULES: Final = 2000
"""Programs that run side by side with a schedule, too; there is seldom time for so many."""
MOST_PROGRAMS: Final = 1_000_000
MOST_FOUND: Final = 12
"""Programs that show a difference: more tell nothing new."""
ENOUGH: Final = 0.5
"""Of the changed lines that have code: with fewer reached nothing can be said."""


class Difference(msgspec.Struct):
    """What the change does that was not so before: `program` is a text form."""

    kind: str
    """behaviour: the builds did not do the same; finding: an oracle objects to the one after."""
    left: str
    right: str
    what: str
    detail: str
    program: str
    schedule: int | None = None
    """The seed of the schedule; None: one operation at a time, or the program's own."""


class Review(msgspec.Struct):
    """The JSON document of `difffuzz review`."""

    title: str
    tree: str
    version: str
    before: str
    after: str
    """Digests of the libraries."""
    programs: int = 0
    schedules: int = 0
    executions: int = 0
    """Of the fuzzer."""
    changed_lines: int = 0
    """That have code in the library."""
    reached_lines: int = 0
    not_reached: list[str] = []
    """file:line"""
    outside: list[str] = []
    """Changed files of which the library has nothing."""
    known: list[str] = []
    """Signatures of findings that the tree has without the change."""
    differences: list[Difference] = []
    seconds: float = 0.0
    complete: bool = True
    """False: interrupted."""

    @property
    def verdict(self) -> str:
        """equal, differs, or cannot tell."""
        if self.differences:
            return "differs"
        reached = self.reached_lines >= ENOUGH * self.changed_lines
        return "equal" if self.changed_lines and reached else "cannot tell"


class Reviewer:
    """Builds, and then does one part after the other; what it found is in `review` all the time."""

    def __init__(
        self,
        subject: Subject,
        tree: Path,
        corpus: Path | None,
        known: Iterable[Known],
        say: Callable[[str], None],
    ) -> None:
        """UsageError, MissingTool: a build fails."""
        self._corpus = corpus
        self._known = list(known)
        # Two reviews at once, of other changes, have other builds.
        name = f"review-{short_digest(str(tree), subject.change.read_bytes())[:8]}"
        self._before = _build(tree, subject.before, f"{name}-before", say)
        self._after = _build(tree, subject.after, f"{name}-after", say)
        self._pairs = [Pair(_native(self._before, mmu), _native(self._after, mmu)) for mmu in MMUS]
        self.review = Review(
            title=subject.title,
            tree=str(tree),
            version=self._after.version,
            before=self._before.content[:12],
            after=self._after.content[:12],
        )
        self._reached: set[tuple[str, int]] = set()
        self._lines = Lines(Path(self._after.library))
        opened = open_tree(tree)
        files = apply_patches(opened, subject.after or subject.before)
        self._wanted = list(changed_lines(opened, files, taken_back=bool(subject.before)))
        have = {Path(name).name for name, _ in self._lines.known}
        self.review.outside = sorted(name for name in files if Path(name).name not in have)
        self._count()

    def side_by_side(self, programs: Iterable[Program], stop: Callable[[], bool]) -> None:
        """Runs programs on both builds, with both MMUs, until they end or `stop` says so."""
        before = len(self.review.differences)

        def enough(tally: Tally) -> bool:
            return stop() or before + len(tally.found) >= MOST_FOUND

        tally = compare(self._pairs, programs, SCHEDULES, enough)
        review = self.review
        review.programs += tally.programs
        review.schedules += tally.schedules
        review.differences = _smallest([*review.differences, *map(_behaviour, tally.found)])
        self._count()

    def given(self) -> Iterator[Program]:
        """The programs of the corpus, then generated ones without end."""
        paths = program_files(self._corpus) if self._corpus else []
        return programs_of(_read(paths), MOST_PROGRAMS, 1)

    def fuzz(self, seconds: float, progress: Callable[[Summary], None]) -> Path:
        """Fuzzes the build after the change; the folder with what that made."""
        folder = Path(tempfile.mkdtemp(prefix="difffuzz-review-"))
        left, right = (pair.right.name for pair in self._pairs)
        before = [pair.left.name for pair in self._pairs]
        baseline = Baseline(self._known, (before[0], before[1], "portfolio"))
        options = FuzzOptions(left, right, time=seconds, corpus=self._corpus, out=folder)
        summary = fuzz(options, progress, lambda one: not _explained(baseline, one))
        self.review.executions = summary.executions
        self.review.complete = not summary.interrupted
        for one in summary.findings:  # those that are left are shrunk by now
            if not _explained(baseline, one):
                program = render(read_program(Path(one.program)))
                self.review.differences.append(
                    Difference("finding", left, right, one.signature, one.detail, program)
                )
        self.review.known = sorted(baseline.explained)
        return folder

    def _count(self) -> None:
        """Adds what was passed since to the lines that ran."""
        for pair in self._pairs:
            assert isinstance(pair.right, NativeFactory)
            self._reached |= self._lines.reached(pair.right.library.take_passed())
        count, missed = count_reached(self._wanted, self._lines.known, self._reached)
        self.review.changed_lines = count
        self.review.reached_lines = count - len(missed)
        self.review.not_reached = [f"{name}:{line}" for name, line in missed]


def _explained(baseline: Baseline, finding: Finding) -> bool:
    return baseline.explains(finding.signature, read_program(Path(finding.program)))


def _read(paths: Iterable[Path]) -> Iterator[Program]:
    """The programs among the files."""
    for path in paths:
        try:
            yield read_program(path)
        except (UsageError, ProgramError):
            continue


def made_by_fuzzing(folder: Path) -> Iterator[Program]:
    """The corpus that a run has made."""
    return _read(islice(program_files(folder / "corpus"), MOST_PROGRAMS))


def _smallest(differences: Iterable[Difference]) -> list[Difference]:
    """Of those that are alike the one with the shortest program, in the order of their first."""
    kept: dict[tuple[object, ...], Difference] = {}
    for one in differences:
        key = one.kind, one.left, one.what, one.schedule is None
        known = kept.get(key)
        if known is None or len(one.program) < len(known.program):
            kept[key] = one
    return list(kept.values())


def _behaviour(found: Found) -> Difference:
    pair, program, seed, disagreement = found
    return Difference(
        "behaviour",
        pair.left.name,
        pair.right.name,
        disagreement.what,
        disagreement.text,
        render(program),
        seed,
    )


def _build(tree: Path, patches: tuple[Path, ...], name: str, say: Callable[[str], None]) -> Build:
    wish = Wish(tree=tree, patches=patches, name=name, coverage=False, traced=True)
    return build(wish, default_cache(), say).build


def _native(made: Build, mmu: str) -> NativeFactory:
    side = open_side(f"native:{made.name}:{mmu}")
    assert isinstance(side, NativeFactory)
    return side
