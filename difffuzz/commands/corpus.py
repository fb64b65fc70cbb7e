# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz corpus`: what a corpus holds; to make it smaller, join some, pack and unpack one."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..files.atomic import write_atomically
from ..files.collection import some_program_files
from ..files.packed import name_of, pack, unpack
from ..files.program_file import read_program
from ..fuzz.set_cover import NOTES, measure, set_cover
from ..program import OPS, Program, ProgramError, parse, render
from ..sides.identity import identity
from .completing import complete_side
from .corpus_sweep import sweep_corpus
from .corpus_trace import import_trace
from .fuzzing import Mode
from .output import Json, Left, Right, emit, prepare_directory
from .progress import Progress, note
from .trace_options import KernelOf, Slots

app = typer.Typer(help="Programs that were collected.")

Output = Annotated[Path, typer.Option("--output", "-o", help="Where the programs go.")]


@app.callback()
def corpus() -> None:
    """Programs that were collected."""


@app.command()
def show(
    paths: Annotated[list[Path], typer.Argument(help="Files, shown as text, or directories.")],
    json: Json = False,
) -> None:
    """Show one program as text, or the figures of a directory."""
    documents = []
    texts = []
    for path in paths:
        if path.is_dir():
            document, text = _directory(path)
        else:
            program = render(read_program(path))
            document, text = {"program": str(path), "text": program}, program
        documents.append(document)
        texts.append(text)
    emit(documents, "\n".join(texts), json)


@app.command()
def minimize(
    directory: Annotated[Path, typer.Argument(help="A corpus.")],
    output: Output,
    left: Left = "legacy",
    right: Right = "tdp",
    mode: Mode = "portfolio",
    json: Json = False,
) -> None:
    """Keep the few small programs that reach all branches and states that the corpus does.

    What was measured is kept in the corpus, so that an interrupted run goes on where it was.
    """
    files = some_program_files(directory)
    prepare_directory(output)
    made_of = f"{identity(left)} {identity(right)} {mode}"

    def name(path: Path) -> str:
        content = path.read_bytes()
        return hashlib.sha256(made_of.encode() + b"\0" + content).hexdigest()[:32]

    with Progress() as progress:
        reached = measure(
            files,
            (left, right, mode),
            directory / NOTES,
            name,
            lambda count: progress.show(f"{count} of {len(files)} programs measured"),
        )
    chosen = set_cover(reached, lambda path: path.stat().st_size)
    for path in chosen:
        _write(output / path.relative_to(directory), path.read_bytes())
    features = len(frozenset().union(*reached.values()))
    document = {"programs": len(files), "kept": len(chosen), "reached": features}
    text = f"{output}: {len(chosen)} of {len(files)} programs reach the same {features} features"
    emit(document, text, json)


@app.command()
def sweep(
    directory: Annotated[Path, typer.Argument(help="A corpus.")],
    left: Left = "legacy",
    right: Right = "tdp",
    out: Annotated[
        Path, typer.Option(help="Findings and notes go below it, as those of `fuzz` do.")
    ] = Path("out"),
    seconds: Annotated[
        float, typer.Option("--time", min=0.0, help="Seconds to spend; 0: no limit.")
    ] = 0.0,
    json: Json = False,
) -> None:
    """Run every schedule that departs once, of each concurrent program. Exit status 1: a finding.

    What was swept of these sides as they are is kept in OUT: an interrupted sweep goes on where it
    was, and `fuzz` in the same OUT does not do it again.
    """
    raise typer.Exit(1 if sweep_corpus(directory, left, right, out, seconds, json) else 0)


@app.command()
def merge(
    directories: Annotated[list[Path], typer.Argument(help="Corpora.")],
    output: Output,
    json: Json = False,
) -> None:
    """Join corpora: each program once, in the text form, named by its content."""
    programs = [one for directory in directories for one in _programs(directory)]
    new = _write_programs(programs, output)
    document = {"programs": len(programs), "new": new}
    emit(document, f"{output}: {new} of {len(programs)} programs are new there", json)


@app.command("export")
def export_corpus(
    directory: Annotated[Path, typer.Argument(help="A corpus.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="FILE.tar.gz")],
) -> None:
    """Pack a corpus into one file, the same bytes for the same programs."""
    programs = _programs(directory)
    _write(output, pack(programs))
    note(f"{output}: {len(programs)} programs")


@app.command("import")
def import_corpus(
    output: Output,
    file: Annotated[Path | None, typer.Argument(help="What `corpus export` made.")] = None,
    trace: Annotated[
        Path | None, typer.Option(help="Or an ftrace text of KVM, of which programs are made.")
    ] = None,
    slot: Slots = None,
    kernel: KernelOf = None,
    side: Annotated[
        list[str] | None,
        typer.Option(
            help="With --trace: compare it with this side, as native:tdp; repeat it.  "
            "Else with the model of the kernel and MMU that were traced.",
            autocompletion=complete_side,
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Unpack a corpus, or make programs of a trace; if that fails, nothing is written."""
    if (file is None) == (trace is None):
        raise UsageError("either a file of `corpus export`, or --trace FILE")
    if trace is not None:
        import_trace(trace, output, slot, kernel, side, json)
        return
    if slot or kernel or side:
        raise UsageError("--slot, --kernel and --side belong to --trace")
    assert file is not None
    programs = [parse(text, str(file)) for text in unpack(file)]
    new = _write_programs(programs, output)
    document = {"programs": len(programs), "new": new}
    emit(document, f"{output}: {new} of {len(programs)} programs are new there", json)


def _programs(directory: Path) -> list[Program]:
    """Those of a directory; files that hold none are named and left out."""
    found = []
    for path in some_program_files(directory):
        try:
            found.append(read_program(path))
        except (UsageError, ProgramError) as error:
            note(f"left out: {error}")
    return found


def _write_programs(programs: Iterable[Program], output: Path) -> int:
    """How many were not there."""
    prepare_directory(output)
    new = 0
    for program in programs:
        path = output / name_of(program)
        if not path.exists():
            _write(path, render(program).encode())
            new += 1
    return new


def _write(path: Path, data: bytes) -> None:
    try:
        write_atomically(path, data, durable=False)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error


def _directory(path: Path) -> tuple[dict[str, object], str]:
    programs = 0
    kinds: Counter[str] = Counter()
    lengths: list[int] = []
    for file in some_program_files(path):
        program = read_program(file)
        programs += 1
        lengths.append(len(program.ops))
        kinds.update(OPS[op.kind].name for op in program.ops)
    document: dict[str, object] = {
        "directory": str(path),
        "programs": programs,
        "operations": sum(lengths),
        "longest": max(lengths, default=0),
        "kinds": dict(kinds.most_common()),
    }
    lines = [f"{path}: {programs} programs, {sum(lengths)} operations"]
    lines += [f"  {count:8} {name}" for name, count in kinds.most_common()]
    return document, "\n".join(lines)
