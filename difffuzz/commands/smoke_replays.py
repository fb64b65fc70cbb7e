# SPDX-License-Identifier: GPL-2.0-only
"""The programs that a smoke test replays, and what each shows, as cases of its outcome."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..ci.outcome import Case, Shown
from ..errors import UsageError
from ..files.collection import program_files
from ..files.program_file import read_with_text
from ..fuzz.findings import Finding
from ..program import render
from ..program.text_lex import lines
from ..running.policy import FUZZ_STEPS
from ..running.runner import Runner
from ..running.watchdog import HANG_SECONDS
from ..sched.task import HANG
from ..shipped import REPLAYED
from ..triage.baseline import Baseline
from .baselined import accept
from .loaded import Choice, load_program
from .replaying import Replay, replay_each

WHOLE_PROCESS = ":program:"
"""In the signature of what a fuzzing process died of: it is not run in this one."""


def replayed_programs(corpus: Path) -> list[Path]:
    """The programs of those folders.  UsageError if there are none: nothing would be tested."""
    parts = [corpus / name for name in REPLAYED]
    paths = [path for part in parts if part.is_dir() for path in program_files(part)]
    if not paths:
        raise UsageError(f"{corpus}: no program in its folders {', '.join(REPLAYED)}")
    return paths


def replay_cases(
    corpus: Path,
    paths: list[Path],
    choice: Choice,
    known: Baseline,
    over: Callable[[], str],
    left: Callable[[], float] = lambda: HANG_SECONDS,
) -> Iterator[Case]:
    """A case for each program, in order.

    `over` says why the rest is skipped, or nothing; `left` how many seconds a program may take.
    """
    replays = replay_each(paths, choice, left)
    for path in paths:
        case = Case(path.name, path.relative_to(corpus).parts[0], shown_path(path))
        case.skipped = over()
        if not case.skipped:
            began = time.monotonic()
            replay = next(replays)
            if replay.unfit and (choice.left or choice.right):
                case.unfit = replay.error
            elif replay.error:
                case.error = replay.lines()[0]
            elif any(one.signature.endswith(HANG) for one in replay.found) and over():
                case.skipped = over()  # it had less time than others
            else:
                case.shown = [shown for shown in (first_shown(replay, known),) if shown]
            case.seconds = time.monotonic() - began
        yield case


def first_shown(replay: Replay, known: Baseline) -> Shown | None:
    """The first divergence of a program: the others may be its consequences."""
    if not replay.found:
        return None
    one = replay.found[0]
    text, line = _text_and_line(replay.path, one.op_index)
    new = accept(known, Finding(one.signature, one.oracle, str(replay.path), one.detail))
    path, sides = shown_path(replay.path), (replay.left, replay.right, replay.mode)
    return Shown(one.signature, one.oracle, one.detail, path, text, *sides, line, not new)


def finding_shown(finding: Finding, choice: Choice, known: bool, seconds: float) -> Shown:
    """What the fuzzer found, which is run once more to see where it shows, if there are so many
    seconds for that."""
    path = Path(finding.program)
    loaded = load_program(path)
    sides = *loaded.sides(choice), loaded.mode(choice)
    op_index = None
    if WHOLE_PROCESS not in finding.signature and seconds > 0:
        run = Runner(*sides, FUZZ_STEPS)
        run.watchdog.seconds = seconds
        for one in run(loaded.program).divergences:
            if one.signature == finding.signature:
                op_index = one.op_index
    text, line = _text_and_line(path, op_index)
    what = (finding.signature, finding.oracle, finding.detail, shown_path(path), text)
    return Shown(*what, *sides, line, known)


def shown_path(path: Path) -> str:
    """The path as the working folder has it, if it is below that."""
    folder = Path.cwd()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _text_and_line(path: Path, op_index: int | None) -> tuple[str, int | None]:
    """The text form of the program in a file, and the line of that operation in the file."""
    program, text = read_with_text(path)
    if not text:
        return render(program), None
    heads = (line.words[0] for line in lines(text, str(path)))
    numbers = [head.line for head in heads if head.text.endswith(":")]
    return text, None if op_index is None else numbers[op_index]
