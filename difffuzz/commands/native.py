# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz native`: the kernel's own MMU code, from a source tree to a library."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from ..errors import UsageError
from ..native.build import Wish
from ..native.build import build as make_build
from ..native.cache import default_cache
from ..native.doctor import requirements
from ..native.fetch import DEFAULT
from ..native.fetch import fetch as fetch_source
from .output import Json, emit, note

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
    json: Json = False,
) -> None:
    """Build the library from a tree, which is never written to. What is unchanged is reused."""
    wish = Wish(tree=tree, patches=patch or (), name=name, coverage=coverage)
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
