# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz native`: the kernel's own MMU code, from a source tree to a library."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..native.build import DEFAULT_NAME, Wish, load_build
from ..native.build import build as make_build
from ..native.cache import default_cache
from ..native.doctor import requirements
from ..native.fetch import DEFAULT
from ..native.fetch import fetch as fetch_source
from .comparing import (
    Files,
    Out,
    Runs,
    Schedules,
    Seed,
    Time,
    compare_sides,
    comparison_text,
    variant_of,
)
from .limit import Limit
from .output import Json, emit, prepare_directory
from .progress import note

app = typer.Typer(help="The kernel's own MMU code, built from a source tree.")


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    """A full disk, or a file that may not be read, is no crash."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"{error.filename or 'cache'}: {error.strerror}") from None


@app.callback()
def native() -> None:
    """The kernel's own MMU code, built from a source tree."""


@app.command()
def fetch(
    series: Annotated[str, typer.Argument(metavar="[6.1|6.12]", help="Which source.")] = DEFAULT,
) -> None:
    """Fetch Debian's kernel source into the cache and print where it is."""
    with _one_line():
        print(fetch_source(default_cache(), series, note))


@app.command()
def doctor(json: Json = False) -> None:
    """Say what building needs, and the command that installs what is missing (exit status 3)."""
    found = requirements(default_cache())
    width = max(len(one.name) for one in found)
    lines = [
        f"{one.state:8} {one.name:{width}}  {one.detail}"
        + (f": run '{one.command}'" if one.command else "")
        for one in found
    ]
    emit([one._asdict() for one in found], "\n".join(lines), json)
    raise typer.Exit(3 if any(one.state == "MISSING" for one in found) else 0)


@app.command()
def build(
    tree: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Kernel tree; else the fetched 6.1.")
    ] = None,
    patch: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="Unified diff or named changes (*.toml); repeatable."),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="N", help="What to call the build.")] = None,
    coverage: Annotated[
        bool | None, typer.Option(help="Instrument with clang; else if it is installed.")
    ] = None,
    stores: Annotated[
        bool,
        typer.Option(
            "--stores", help="For --memory tso: see each store, not only those by WRITE_ONCE()."
        ),
    ] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Tell of every unit that does not compile.")
    ] = False,
    json: Json = False,
) -> None:
    """Build the library from a tree, which is never written to. What is unchanged is reused."""
    wish = Wish(
        tree=tree,
        patches=patch or (),
        name=name,
        coverage=coverage,
        stores=stores,
        keep_going=keep_going,
    )
    with _one_line():
        made = make_build(wish, default_cache(), note)
    result = made.build
    document = {
        "name": result.name,
        "tree": result.tree,
        "version": result.version,
        "library": result.library,
        "seconds": made.seconds,
        "compiled": made.compiled,
        "coverage": result.coverage,
        "compiler": result.compiler,
        "stubs": len(result.stubs) + len(result.variables),
    }
    text = (
        f"{result.name}: Linux {result.version}, {made.compiled} of {len(result.units)} units "
        f"compiled with {result.compiler}, {made.seconds:.1f} s\n{result.library}"
    )
    emit(document, text, json)


@app.command()
def conform(
    files: Files = None,
    name: Annotated[str, typer.Option(help="The build.")] = DEFAULT_NAME,
    model: Annotated[
        str | None, typer.Option(help="Variant of the model; else that of the build's version.")
    ] = None,
    runs: Runs = 1000,
    schedules: Schedules = 300,
    seed: Seed = 1,
    seconds: Time = 0.0,
    out: Out = Path("out/conform"),
    json: Json = False,
) -> None:
    """Compare the model with the kernel's own code: outcomes, SPTEs, statistics; status 0 or 1."""
    built = load_build(default_cache(), name)
    variant = model if model is not None else variant_of(built.version)
    sides = [(f"{mmu}{variant}", f"native:{name}:{mmu}") for mmu in ("legacy", "tdp")]
    prepare_directory(out)
    with Limit(seconds) as limit:
        compared = compare_sides(sides, files, runs, schedules, seed, out, limit)
    tally = compared.tally
    document = {
        "tree": built.tree,
        "version": built.version,
        "model": variant.lstrip("@") or "base",
        "programs": tally.programs,
        "schedules": tally.schedules,
        "agreed": tally.agreed,
        "disagreed": compared.found,
        "seconds": compared.seconds,
        "complete": not tally.stopped,
        "interrupted": limit.interrupted,
    }
    title = f"Linux {built.version} ({built.name}) and the model {document['model']}"
    emit(document, comparison_text(title, compared), json)
    raise typer.Exit(1 if compared.found else 0)
