# SPDX-License-Identifier: GPL-2.0-only
"""The few programs that reach all that many reach: a greedy set cover."""

from __future__ import annotations

import heapq
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from ..errors import UsageError
from ..running.orphan import parent_note

NOTES = ".reached.jsonl"
"""What is known already of a folder's programs, so that an interrupted measurement goes on."""


def set_cover(reached: Mapping[Path, frozenset[int]], size: Callable[[Path], int]) -> list[Path]:
    """Files that together reach what all do; the one that adds most for its size comes first."""

    def worth(path: Path, new: int) -> float:
        return -new / size(path)

    queue = [
        (worth(path, len(found)), str(path), path, 0) for path, found in reached.items() if found
    ]
    heapq.heapify(queue)
    covered: set[int] = set()
    chosen: list[Path] = []
    while queue:
        _, name, path, when = heapq.heappop(queue)
        new = len(reached[path] - covered)
        if when == len(chosen) and new:  # nothing was chosen since this was reckoned
            covered |= reached[path]
            chosen.append(path)
        elif new:
            heapq.heappush(queue, (worth(path, new), name, path, len(chosen)))
    return chosen


def measure(
    files: Sequence[Path],
    sides: tuple[str, str, str],
    notes: Path,
    name: Callable[[Path], str],
    progress: Callable[[int], None],
    branches: Callable[[str], None] = lambda text: None,
) -> dict[Path, frozenset[int]]:
    """What each file's program reaches on these sides (left, right, mode).

    `notes` keeps the answers, by `name` of a file (a digest of sides and content): those that it
    has are not asked for again.  `branches` gets the list of branches, as cover.py prints it, if
    there is anything to ask.  UsageError: the process that runs them dies.
    """
    known = dict(_read(notes))
    names = {path: name(path) for path in files}
    todo = [path for path in files if names[path] not in known]
    if todo:
        command = [sys.executable, "-m", "difffuzz.fuzz.cover", *sides]
        with (
            notes.open("a") as kept,
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env={**os.environ, **parent_note()},
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            branches(process.stdout.readline())
            for number, path in enumerate(todo):
                answer = _ask(process.stdin, process.stdout, path)
                if not answer:
                    raise UsageError(f"{path}: ends the process that runs it: leave it out")
                known[names[path]] = frozenset(json.loads(answer)[1])
                kept.write(json.dumps([names[path], sorted(known[names[path]])]) + "\n")
                progress(number + 1)
            process.stdin.close()
    return {path: known[names[path]] for path in files}


def _ask(questions: IO[str], answers: IO[str], path: Path) -> str:
    """The answer of the process; empty if it has ended."""
    try:
        questions.write(f"{path}\n")
        questions.flush()
    except BrokenPipeError:
        with suppress(BrokenPipeError):  # of what was not written yet
            questions.close()
        return ""
    return answers.readline()


def _read(notes: Path) -> Iterator[tuple[str, frozenset[int]]]:
    """What was measured before; a last line that is cut off is passed over."""
    if not notes.is_file():
        return
    for line in notes.read_text(errors="replace").splitlines():
        try:
            name, found = json.loads(line)
            yield str(name), frozenset(map(int, found))
        except (ValueError, TypeError, RecursionError):
            continue
