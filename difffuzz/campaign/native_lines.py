# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of the kernel's source a corpus reaches: it is run once more, on a build that tells.

That build has the name of the lane's own and "-traced" behind it, and is made when it is missing.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Protocol

from ..errors import MissingTool, UsageError
from ..files.program_file import read_program
from ..native.build import DEFAULT_NAME, Build, Wish, build, load_build
from ..native.cache import default_cache
from ..native.reached import Line, Lines
from ..program import ProgramError
from ..running.policy import FUZZ_STEPS
from ..running.runner import Runner
from ..sides import NativeFactory
from ..sides.names import NATIVE, parse_name
from .config import Lane
from .reached import Reached


class Traced(Protocol):
    """A library that tells what was passed."""

    def take_passed(self) -> list[int]:
        """Offsets since the last call."""
        ...


def native_lines(
    lane: Lane,
    files: Iterable[Path],
    times: Mapping[str, float],
    cover: Path,
    say: Callable[[str], None],
) -> list[Reached]:
    """The files of the builds among the lane's sides; none where no build can be traced."""
    each = (parse_name(side).build for side in (lane.left, lane.right))
    builds = {build for build in each if build is not None}
    found = []
    for name in sorted(builds):
        try:
            found += _of(name, lane, files, times, cover, say)
        except (UsageError, MissingTool) as error:
            say(f"no lines of {name}: {error}")
    return found


def _of(
    name: str,
    lane: Lane,
    files: Iterable[Path],
    times: Mapping[str, float],
    cover: Path,
    say: Callable[[str], None],
) -> list[Reached]:
    own = load_build(default_cache(), name or DEFAULT_NAME)
    wish = Wish(
        tree=Path(own.tree),
        patches=[Path(one) for one in own.patches],
        name=f"{own.name}-traced",
        coverage=False,
        traced=True,
    )
    made = build(wish, default_cache(), say).build
    lines = Lines(Path(made.library))
    sides = [_traced(one, name, made.name) for one in (lane.left, lane.right)]
    run = Runner(sides[0], sides[1], lane.mode, FUZZ_STEPS)
    libraries = [
        one.library
        for one, side in zip(run.sides, sides, strict=True)
        if isinstance(one, NativeFactory) and parse_name(side).build == made.name
    ]
    notes = cover / f"{made.name}.{lane.mode}.{made.content[:12]}.passed.jsonl"
    first: dict[Line, float] = {}
    known = dict(_read(notes))
    with notes.open("a") as kept:
        for path in files:
            if path.name not in known:
                passed(libraries)
                try:
                    run(read_program(path))
                except (UsageError, ProgramError):
                    continue
                known[path.name] = passed(libraries)
                kept.write(json.dumps([path.name, known[path.name]]) + "\n")
            at = times[path.name]
            for line in lines.reached(known[path.name]):
                first[line] = min(at, first.get(line, at))
    return _by_file(f"{NATIVE}{own.name}", Path(made.tree), made, lines.known, first)


def passed(libraries: Iterable[Traced]) -> list[int]:
    """What was passed since the last call: each side has a copy of the library of its own."""
    return sorted({offset for one in libraries for offset in one.take_passed()})


def _by_file(
    tree: str, root: Path, made: Build, known: Iterable[Line], first: Mapping[Line, float]
) -> list[Reached]:
    files: dict[str, dict[int, float]] = {}
    for file, line in known:
        files.setdefault(file, {})[line] = first.get((file, line), 0.0)
    texts = {file: _text(root, file, made) for file in files}
    return [Reached(tree, file, texts[file], files[file]) for file in sorted(files) if texts[file]]


def _text(root: Path, file: str, made: Build) -> str:
    """The file as the user's tree has it; a name without a folder is a unit of the build."""
    root = root.resolve()  # a tree may be named by a link
    names = [file, *(unit for unit in made.units if Path(unit).name == file)]
    for name in names:
        path = root / name
        if path.is_file() and root in path.resolve().parents:
            return path.read_text(errors="replace")
    return ""


def _traced(name: str, build_name: str, traced: str) -> str:
    parts = parse_name(name)
    return f"{NATIVE}{traced}:{parts.base}" if parts.build == build_name else name


def _read(notes: Path) -> Iterable[tuple[str, list[int]]]:
    """What was measured before; a last line that is cut off is passed over."""
    if notes.is_file():
        for line in notes.read_text(errors="replace").splitlines():
            try:
                name, passed = json.loads(line)
            except ValueError:
                continue
            yield str(name), [int(one) for one in passed]
