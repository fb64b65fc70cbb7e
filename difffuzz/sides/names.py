# SPDX-License-Identifier: GPL-2.0-only
"""Names of sides: what they stand for, and which parts of one did not come with difffuzz.

legacy, tdp, spec         the model and the specification
tdp@v6.12                 the model of a kernel version
tdp+ID, tdp@v6.12+ID      with a bug of the catalogue
tdp+FILE.patch            with a patch of the user's: code, which runs
native:tdp, native:NAME:tdp   a build of the kernel's own code: a library, which is loaded
kernel:tdp, kernel:7.2:tdp    a booted kernel, of `replay` and `fuzz` only
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from difffuzz.errors import UsageError
from difffuzz.variants.catalogue import DIRECTORY as CATALOGUE

KERNELS = CATALOGUE.parent / "kernels"
NATIVE = "native:"
BOOTED = "kernel:"
"""A booted kernel: no side that runs an operation at a time."""
BASES = ("legacy", "tdp", "spec")
MMUS = ("legacy", "tdp")

_ID = re.compile(r"[A-Za-z0-9-]+")
_VERSION = re.compile(r"v[0-9]+\.[0-9]+")


class SideName(NamedTuple):
    """A name taken apart."""

    base: str
    """legacy, tdp or spec; of a native side its MMU."""
    kernel: str = ""
    """The version of the model, as v6.12; of a native side nothing."""
    patches: tuple[Path, ...] = ()
    """In the order in which they are applied, that of the version first."""
    build: str | None = None
    """The name of a native build, "" for the default one; None for a model."""
    foreign: tuple[str, ...] = ()
    """Those of its parts that did not come with difffuzz, as they stand in the name."""


def parse_name(name: str) -> SideName:
    """UsageError for a name that no side can have.  Files are not looked for."""
    if name.startswith(BOOTED):
        raise UsageError(
            f"side {name!r}: a booted kernel runs whole programs: 'replay' and 'fuzz' take it for "
            "a side"
        )
    if name.startswith(NATIVE):
        build, _, mmu = name.removeprefix(NATIVE).rpartition(":")
        if mmu not in MMUS:
            raise UsageError(
                f"unknown side {name!r}: native:legacy, native:tdp, native:NAME:legacy, "
                "native:NAME:tdp"
            )
        return SideName(mmu, build=build, foreign=(name,))
    first, *parts = name.split("+")
    base, at, version = first.partition("@")
    if base not in BASES or (base == "spec" and (at or parts)) or (at and not version):
        raise UsageError(
            f"unknown side {name!r}: legacy, tdp, spec, tdp@v6.12, tdp+ID of the catalogue, "
            "tdp+FILE.patch, native:tdp, native:NAME:tdp"
        )
    patches = [_kernel_patch(version)] if version else []
    foreign = []
    for part in parts:
        known = _catalogued(part, version)
        patches.append(known or Path(part))
        if known is None:
            foreign.append(part)
    return SideName(base, version, tuple(patches), None, tuple(foreign))


def _kernel_patch(version: str) -> Path:
    """The patch that makes the model behave as a kernel's version."""
    path = KERNELS / f"{version}.patch"
    if not _VERSION.fullmatch(version) or not path.is_file():
        known = ", ".join(sorted(one.stem for one in KERNELS.glob("*.patch")))
        raise UsageError(f"no variant of the model for kernel {version!r}: {known}")
    return path


def portable_name(name: str) -> str:
    """The name with the ids of bugs of the catalogue in place of paths to their patches."""
    parts = parse_name(name)
    first, *words = name.split("+")
    if parts.build is not None or not words:
        return name
    patches = parts.patches[-len(words) :]
    known = [_catalogued(path.stem, parts.kernel) == path for path in patches]
    each = zip(patches, known, words, strict=True)
    ids = [path.stem if own else word for path, own, word in each]
    return "+".join([first, *ids])


def _catalogued(part: str, version: str) -> Path | None:
    """The patch of a bug of the catalogue, by its id, on the model of that version, or by its path;
    None: it is another."""
    if _ID.fullmatch(part):
        for path in (CATALOGUE / version / f"{part}.patch", CATALOGUE / f"{part}.patch"):
            if path.is_file():
                return path
        return None
    path = Path(part)
    inside = CATALOGUE in path.parents and ".." not in path.parts
    return path if inside and path.is_file() and not path.is_symlink() else None
