# SPDX-License-Identifier: GPL-2.0-only
"""The sides native:legacy, native:tdp, native:NAME:legacy and native:NAME:tdp: a build, by name."""

from __future__ import annotations

from pathlib import Path

from difffuzz.errors import UsageError
from difffuzz.native.build import DEFAULT_NAME, load_build
from difffuzz.native.cache import default_cache
from difffuzz.native.face import NativePackage
from difffuzz.native.library import Library

PREFIX = "native:"


def open_package(name: str) -> tuple[NativePackage, bool]:
    """The package of a side, and whether its MMU is the TDP MMU.

    UsageError: no side has such a name, or there is no such build.
    """
    build, _, mmu = name.removeprefix(PREFIX).rpartition(":")
    if mmu not in ("legacy", "tdp"):
        raise UsageError(
            f"unknown side {name!r}: native:legacy, native:tdp, native:NAME:legacy, native:NAME:tdp"
        )
    library = load_build(default_cache(), build or DEFAULT_NAME).library
    return NativePackage(Library(Path(library))), mmu == "tdp"
