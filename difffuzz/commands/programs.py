# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz replay`, `minimize` and `explain`: work on programs in files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from ..errors import UsageError
from ..fuzz.corpus import program_files, read_program
from ..fuzz.findings import SUFFIX, notes_of, text_of
from ..fuzz.run import Runner
from ..fuzz.shrink import shrink
from ..oracle.verdict import Divergence
from ..program import Program, render_op
from ..report.explain import explain_lines
from ..report.timeline import timeline_lines
from .output import Json, emit, prepare_directory, write_text

MINIMIZE_SECONDS = 60.0

OwnLeft = Annotated[
    str | None, typer.Option("--left", help="One side; default: what the file says, or legacy.")
]
OwnRight = Annotated[
    str | None, typer.Option("--right", help="The other side; default: what it says, or tdp.")
]


OwnMode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        help="lockstep or concurrent; default: what the file says, or concurrent with a schedule.",
    ),
]


class Loaded(NamedTuple):
    """A program from a file, with the notes in its comments."""

    path: Path
    program: Program
    notes: dict[str, str]

    def sides(self, left: str | None = None, right: str | None = None) -> tuple[str, str]:
        """The sides that the user names, else those of the notes, else the usual two."""
        paging = self.program.config.paging
        usual = "tdp" if paging == "tdp" else "spec"  # the TDP MMU has no nonpaging guests
        return left or self.notes.get("left", "legacy"), right or self.notes.get("right", usual)

    def runner(self, left: str | None, right: str | None, mode: str | None) -> Runner:
        """Runs the program as the user says, else as the notes say."""
        return Runner(*self.sides(left, right), mode or self.notes.get("mode", "portfolio"))


def replay(
    files: Annotated[list[Path], typer.Argument(help="Programs, or directories of them.")],
    left: OwnLeft = None,
    right: OwnRight = None,
    mode: OwnMode = None,
    json: Json = False,
) -> None:
    """Run programs on two sides and say whether they diverge. Exit status 1: one does."""
    documents = []
    lines = []
    for path, run, found in replay_each(_expand(files), left, right, mode):
        verdict = "divergence" if found else "same"
        documents.append(
            {
                "program": str(path),
                "verdict": verdict,
                "left": run.left,
                "right": run.right,
                "mode": run.mode,
                "divergences": [one._asdict() for one in found],
            }
        )
        lines.append(f"{path}: {verdict} ({run.left} against {run.right})")
        lines += [f"  {one.signature}: {one.detail}" for one in found]
    emit(documents, "\n".join(lines), json)
    raise typer.Exit(1 if any(one["divergences"] for one in documents) else 0)


def minimize(
    file: Annotated[Path, typer.Argument(help="A program that makes the sides diverge.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the small one goes.")],
    left: OwnLeft = None,
    right: OwnRight = None,
    mode: OwnMode = None,
    seconds: Annotated[float, typer.Option("--time", min=0.1, help="Seconds to spend.")] = (
        MINIMIZE_SECONDS
    ),
    json: Json = False,
) -> None:
    """Shrink a program while the signature of what it shows stays the same."""
    loaded = load_program(file)
    run = loaded.runner(left, right, mode)
    found = _first(run, loaded)
    prepare_directory(output.parent)
    smallest = shrink(run, loaded.program, found.signature, seconds)
    notes = {"signature": found.signature, "oracle": found.oracle}
    notes |= {"left": run.left, "right": run.right, "mode": run.mode}
    notes |= {"detail": _first_detail(run, smallest)}
    write_text(output, text_of(smallest, notes))
    document = {
        "program": str(output),
        "signature": found.signature,
        "oracle": found.oracle,
        "operations": len(smallest.ops),
        "operations_before": len(loaded.program.ops),
    }
    text = f"{output}: {len(smallest.ops)} of {len(loaded.program.ops)} operations show "
    emit(document, text + found.signature, json)


def explain(
    file: Annotated[Path, typer.Argument(help="A program.")],
    left: OwnLeft = None,
    right: OwnRight = None,
    mode: OwnMode = None,
    json: Json = False,
) -> None:
    """Show a program operation by operation, what each side did, and where they part."""
    loaded = load_program(file)
    run = loaded.runner(left, right, mode)
    sides = run.left, run.right
    verdict = run(loaded.program, trace=True)
    lines = [f"{file}: {sides[0]} against {sides[1]}"]
    if run.is_concurrent(loaded.program):
        lines += timeline_lines(verdict, *sides)
    else:
        lines += explain_lines(loaded.program, verdict, *sides)
    word = "divergence" if verdict.divergences else "same"
    document = {
        "program": str(file),
        "verdict": word,
        "left": sides[0],
        "right": sides[1],
        "operations": [render_op(op) for op in loaded.program.ops],
        "divergences": [one._asdict() for one in verdict.divergences],
        "trace": lines[1:],
    }
    emit(document, "\n".join([*lines, word]), json)
    raise typer.Exit(1 if verdict.divergences else 0)


def replay_each(
    paths: Iterable[Path], left: str | None, right: str | None, mode: str | None = None
) -> Iterator[tuple[Path, Runner, list[Divergence]]]:
    """Run each program on the sides given, or its own, and say what diverges."""
    runners: dict[tuple[str, ...], Runner] = {}
    for path in paths:
        loaded = load_program(path)
        key = *loaded.sides(left, right), mode or loaded.notes.get("mode", "portfolio")
        if key not in runners:
            runners[key] = loaded.runner(left, right, mode)
        run = runners[key]
        yield path, run, run(loaded.program).divergences


def _expand(paths: list[Path]) -> Iterator[Path]:
    for path in paths:
        if path.is_dir():
            yield from program_files(path)
        else:
            yield path


def load_program(path: Path) -> Loaded:
    """Read a program and its notes. UsageError or ProgramError with the place."""
    program = read_program(path)
    notes = notes_of(path.read_text()) if path.suffix == SUFFIX else {}
    return Loaded(path, program, notes)


def _first(run: Runner, loaded: Loaded) -> Divergence:
    found = run(loaded.program).divergences
    if not found:
        raise UsageError(f"{loaded.path}: {run.left} and {run.right} agree: nothing to minimize")
    return found[0]


def _first_detail(run: Runner, program: Program) -> str:
    found = run(program).divergences
    return found[0].detail if found else ""
