# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz replay`, `minimize` and `explain`: work on programs in files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..files.notes import text_of
from ..oracle.verdict import Divergence
from ..program import Program, render_op
from ..report.explain import explain_lines
from ..report.recorder import Recorder
from ..report.timeline import timeline_lines
from ..running.runner import Runner
from ..shrink.finding import shrink
from ..sides.identity import side_notes
from .booted_sides import is_booted
from .completing import complete_own_mode, complete_side
from .drawing import Drawings, Html, Trace
from .limit import Limit
from .loaded import Choice, Loaded, load_program
from .output import Json, emit, prepare_directory, write_text
from .progress import Progress, note
from .replaying import replay_each, status_of
from .replaying_booted import replay_booted

MINIMIZE_SECONDS = 60.0

OwnLeft = Annotated[
    str | None,
    typer.Option(
        "--left",
        help="One side; default: what the file says, or legacy.",
        autocompletion=complete_side,
    ),
]
OwnRight = Annotated[
    str | None,
    typer.Option(
        "--right",
        help="The other side; default: what it says, or tdp.",
        autocompletion=complete_side,
    ),
]


OwnMode = Annotated[
    str | None,
    typer.Option(
        "--mode",
        help="lockstep or concurrent; default: what the file says, or concurrent with a schedule.",
        autocompletion=complete_own_mode,
    ),
]


Trust = Annotated[
    bool,
    typer.Option(
        "--trust-notes",
        help="Run patches and builds that the file's notes name, if their digests are the same.",
    ),
]
AsBytes = Annotated[bool, typer.Option("--bytes", help="The file is in the bytes form.")]


def replay(
    files: Annotated[
        list[Path], typer.Argument(help="Programs, or directories of them; - for standard input.")
    ],
    left: OwnLeft = None,
    right: OwnRight = None,
    mode: OwnMode = None,
    trust: Trust = False,
    as_bytes: AsBytes = False,
    json: Json = False,
) -> None:
    """Run programs on two sides and say whether they diverge.

    A side may be a booted kernel, too (kernel:tdp, kernel:7.2:legacy); the other one is then named
    as well: its other MMU, or a model or native side of the same MMU.

    Exit status 1: one does; 2: a file holds no program (the others were run all the same).
    """
    replays = []
    try:
        choice = Choice(left, right, mode, trust, as_bytes)
        each = replay_booted if is_booted(left, right) else replay_each
        for one in each(files, choice):
            replays.append(one)
            if one.error:
                note(f"difffuzz: {one.lines()[0]}")
            elif not json:
                emit(None, "\n".join(one.lines()), json)
    finally:
        if json:
            emit([one.document() for one in replays], "", json)
    raise typer.Exit(status_of(replays))


def minimize(
    file: Annotated[Path, typer.Argument(help="A program that makes the sides diverge.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the small one goes.")],
    left: OwnLeft = None,
    right: OwnRight = None,
    mode: OwnMode = None,
    trust: Trust = False,
    as_bytes: AsBytes = False,
    seconds: Annotated[float, typer.Option("--time", min=0.1, help="Seconds to spend.")] = (
        MINIMIZE_SECONDS
    ),
    json: Json = False,
) -> None:
    """Shrink a program while the signature of what it shows stays the same.

    Ctrl-C ends it with the smallest program so far, which OUTPUT has all the while; given that
    again, it goes on.
    """
    loaded = load_program(file, as_bytes)
    run = loaded.runner(Choice(left, right, mode, trust))
    found = _first(run, loaded)
    prepare_directory(output.parent)
    before = len(loaded.program.ops)
    notes = {"signature": found.signature, "oracle": found.oracle}
    notes |= {**side_notes(run.left, run.right), "mode": run.mode}
    kept = loaded.program
    with Limit(seconds) as limit, Progress() as progress:

        def stop(best: Program) -> bool:
            nonlocal kept
            if len(best.ops) < len(kept.ops):
                kept = best
                write_text(output, text_of(best, notes))
            sizes = f"{len(best.ops)} of {before} operations"
            progress.show(f"minimize: {limit.clock}, {sizes}")
            return limit.over()

        shrunk = shrink(run, loaded.program, found.signature, seconds, stop)
    smallest = shrunk.program
    if shrunk.mode != run.mode:
        run = Runner(run.left, run.right, shrunk.mode)
    notes |= {"mode": shrunk.mode, "detail": _first_detail(run, smallest)}
    notes["shrunk"] = shrunk.note(loaded.program, loaded.notes.get("shrunk", ""))
    write_text(output, text_of(smallest, notes))
    document = {
        "program": str(output),
        "signature": found.signature,
        "oracle": found.oracle,
        "operations": len(smallest.ops),
        "operations_before": before,
        "complete": shrunk.complete,
        "interrupted": limit.interrupted,
    }
    text = f"{output}: {len(smallest.ops)} of {before} operations show {found.signature}"
    if not shrunk.complete:
        text += f"\n  not the end of shrinking: {limit.reason or shrunk.reason}"
    emit(document, text, json)


def explain(
    file: Annotated[Path, typer.Argument(help="A program.")],
    left: OwnLeft = None,
    right: OwnRight = None,
    mode: OwnMode = None,
    trust: Trust = False,
    as_bytes: AsBytes = False,
    html: Html = None,
    trace: Trace = None,
    json: Json = False,
) -> None:
    """Show a program operation by operation, what each side did, and where they part."""
    loaded = load_program(file, as_bytes)
    drawings = Drawings(html, trace)
    drawings.prepare()
    run = loaded.runner(Choice(left, right, mode, trust))
    sides = run.left, run.right
    recorder = Recorder() if drawings.wanted else None
    verdict = run(loaded.program, trace=True, notes=recorder)
    if recorder is not None:
        drawings.draw(recorder.recording(file.name, loaded.program, sides, verdict))
    lines = [f"{file}: {sides[0]} against {sides[1]}", *loaded.changed(sides)]
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
        "operations": [render_op(op, loaded.program.config.guest) for op in loaded.program.ops],
        "divergences": [one._asdict() for one in verdict.divergences],
        "trace": lines[1:],
        "drawn": [str(path) for path in drawings.wanted],
    }
    emit(document, "\n".join([*lines, word]), json)
    raise typer.Exit(1 if verdict.divergences else 0)


def _first(run: Runner, loaded: Loaded) -> Divergence:
    found = run(loaded.program).divergences
    if not found:
        raise UsageError(f"{loaded.path}: {run.left} and {run.right} agree: nothing to minimize")
    return found[0]


def _first_detail(run: Runner, program: Program) -> str:
    found = run(program).divergences
    return found[0].detail if found else ""
