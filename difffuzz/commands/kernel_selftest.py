# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz kernel selftest`: KVM's selftests on a booted kernel, with traces of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..booted.reproduce import binary_of
from ..booted.selftests import FOLDER, SUITE, built, source_of, split
from ..booted.session import EVERYTHING, NOTHING, Session
from ..errors import UsageError
from ..native.cache import default_cache
from ..native.fetch import source_path
from .kernel_binary import BAD, run_both
from .kernel_options import DEFAULT, Accel, Image, Memory, Modules, QemuPath, Which, wish_of
from .output import Json, emit, prepare_directory
from .progress import note

MEGABYTES_OF_TESTS = 3072
"""6.1's dirty_log_test writes to each page of 1 GiB."""


def selftest(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Tests, each quoted with its arguments; else those that map a lot."),
    ] = None,
    series: Which = DEFAULT,
    image: Image = None,
    modules: Modules = None,
    qemu: QemuPath = None,
    accel: Accel = "tcg",
    memory: Memory = MEGABYTES_OF_TESTS,
    tree: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Its source; else as fetched.")
    ] = None,
    seconds: Annotated[int, typer.Option(min=1, max=3600, help="A test may take so long.")] = 120,
    trace: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Trace them, into files there.")
    ] = None,
    json: Json = False,
) -> None:
    """Run KVM selftests of the kernel's source on it, with each MMU; status 0 or 1.

    Each is built, and runs alone on its kernel.  `corpus import --trace` and `judge` read traces.
    """
    wish = wish_of(series, image, modules, qemu, accel)._replace(megabytes=memory)
    cache = default_cache()
    at = tree if tree is not None else source_path(cache, wish.kernel.series)
    if not at.is_dir():
        raise UsageError(
            f"{at}: no source; run 'difffuzz native fetch {wish.kernel.series}', or name one with "
            "--tree"
        )
    tests = built(cache, at, names if names else _those_there(at), note)
    if trace is not None:
        prepare_directory(trace)
    documents: list[dict[str, object]] = []
    shown: list[dict[str, object]] = []
    lines: list[str] = []
    how = NOTHING if trace is None else EVERYTHING
    with Session(wish, cache, note, traced=how) as session:
        for one in tests:
            traces = (trace, one.slug) if trace is not None else None
            data = binary_of(one.binary)
            runs, told = run_both(session, data, seconds, one.arguments, traces)
            documents.append({"kernel": session.release, "program": one.name, "runs": runs})
            shown += runs
            lines += [f"Linux {session.release}, {one.name}", *(f"  {line}" for line in told)]
    emit(documents, "\n".join(lines), json)
    raise typer.Exit(1 if any(one["verdict"] in BAD for one in shown) else 0)


def _those_there(tree: Path) -> list[str]:
    """Of the suite, those that the tree has.  UsageError: none."""
    there = []
    for one in SUITE:
        try:
            source_of(tree, split(one)[0])
        except UsageError:
            continue
        there.append(one)
    if not there:
        raise UsageError(f"{tree}: none of the usual tests is in {FOLDER}")
    return there
