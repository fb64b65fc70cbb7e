# SPDX-License-Identifier: GPL-2.0-only
"""Compile the units of the harness in a tree, those that are not in the cache already."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec

from ..errors import UsageError
from .cache import Cache, short_digest
from .digests import Digests
from .elf import read_symbols
from .messages import Places, first_error
from .objects import Folder, Object
from .overlay import Root
from .run import Failed, run
from .toolchain import Compiler, flags
from .tree import KernelTree
from .units import Unit, taken_for

JOBS = 2
LABEL = "harness/native/"


class Workshop(msgspec.Struct):
    """All that compiling a unit needs besides the unit."""

    tree: KernelTree
    root: Root
    harness: Path
    headers: Path
    """Those that the build writes; the folder is named by their content."""
    kernel_flags: Sequence[str]
    """Of the whole list of units."""
    compiler: Compiler
    cache: Cache
    digests: Digests
    logs: Path
    """Folder for what the compiler says."""


def compile_units(
    shop: Workshop, units: list[Unit], say: Callable[[str], None], keep_going: bool = False
) -> tuple[list[Object], int]:
    """The objects in the order of the units, and how many were compiled now.

    UsageError: one does not compile; the line names the file, relative to the tree, and the line.
    With `keep_going` all are tried, and `say` gets a line for each that does not.
    """
    found = [_folder(shop, unit).find(shop.root, shop.digests) for unit in units]
    missing = [unit for unit, known in zip(units, found, strict=True) if known is None]
    if missing:
        say(f"compiling {len(missing)} of {len(units)} units")
    failed: dict[str, str] = {}

    def make(unit: Unit) -> Object | None:
        try:
            return _make(shop, unit)
        except UsageError as error:
            if not keep_going:
                raise
            failed[unit.source] = str(error)
            return None

    with ThreadPoolExecutor(JOBS) as pool:
        try:
            compiled = list(pool.map(make, missing))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    if failed:
        for source, line in sorted(failed.items()):
            say(f"{source}: {line}")
        raise UsageError(f"{len(failed)} of {len(units)} units do not compile")
    made = {unit: one for unit, one in zip(missing, compiled, strict=True) if one is not None}
    objects = [known or made[unit] for unit, known in zip(units, found, strict=True)]
    for unit, each in zip(units, objects, strict=True):
        _check_symbols(shop, unit, each)
    return objects, len(missing)


def _folder(shop: Workshop, unit: Unit) -> Folder:
    """Where its objects are. A header that is added to the shims may hide one of the tree."""
    shims = "\n".join(_names(shop.harness / "shim")) if unit.kind == "kernel" else ""
    words = _flags(shop, unit)
    key = short_digest(unit.source, unit.kind, shop.compiler.identity, shims, "\0".join(words))
    return Folder(shop.cache.objects / key)


def _flags(shop: Workshop, unit: Unit) -> list[str]:
    more = shop.kernel_flags if unit.kind == "kernel" else ()
    return [*flags(unit, shop.tree, shop.harness, shop.headers, shop.compiler), *more]


def _names(folder: Path) -> Iterable[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*.h"))


def _make(shop: Workshop, unit: Unit) -> Object:
    """Compile one unit and put it into the cache."""
    folder = _folder(shop, unit)
    target = folder.temporary()
    notes = target.with_suffix(".d")
    source = unit.in_tree or str(shop.harness / unit.source)
    log = shop.logs / f"{unit.kind}-{unit.name}.log"
    command = [
        shop.compiler.path,
        *_flags(shop, unit),
        # What the object says of its place.
        "-fmacro-prefix-map=./=",
        f"-fmacro-prefix-map={shop.harness}/={LABEL}",
        f"-fdebug-prefix-map={shop.root.path}={shop.tree.root}",
        *("-MD", "-MF", str(notes)),
        *("-c", "-o", str(target), source),
    ]
    try:
        run(command, cwd=shop.root.path, log=log)
        return folder.add(
            target, _dependencies(notes), read_symbols(target), shop.root, shop.digests
        )
    except Failed as failed:
        raise UsageError(f"{_place(shop, failed.output)} (see {log})") from None
    finally:
        target.unlink(missing_ok=True)
        notes.unlink(missing_ok=True)


def _place(shop: Workshop, output: str) -> str:
    """The error's line, and what may be behind it if it is not in the user's tree."""
    line = first_error(output, places(shop))
    if not shop.tree.known:
        line += f" [the harness knows Linux {taken_for(shop.tree)}, not {shop.tree.series}:"
        line += f" what differs goes into {LABEL}features.toml]"
    return line


def places(shop: Workshop) -> Places:
    """How files are called."""
    return Places((shop.root.path, ""), (shop.tree.root, ""), (shop.harness, LABEL))


def _dependencies(notes: Path) -> list[str]:
    """The files of a rule that the compiler wrote; of the tree relative to it."""
    _, _, text = notes.read_text().replace("\\\n", " ").partition(": ")
    names = text.replace("\\ ", "\0").split()
    return list(dict.fromkeys(os.path.normpath(name.replace("\0", " ")) for name in names))


def _check_symbols(shop: Workshop, unit: Unit, compiled: Object) -> None:
    for name in unit.symbols:
        if name not in compiled.symbols.defined:
            raise UsageError(
                f"{shop.tree.root}: Linux {shop.tree.version} has no {name}(),"
                f" which {LABEL}{unit.source} should define"
            )
