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
RETRIES_BY_GFN_SINCE = (6, 8)
"""mmu_invalidate_retry_gfn() took the place of mmu_invalidate_retry_hva()."""


def open_package(name: str) -> tuple[NativePackage, bool]:
    """The package of a side, and whether its MMU is the TDP MMU.

    UsageError: no side has such a name, or there is no such build.
    """
    build, _, mmu = name.removeprefix(PREFIX).rpartition(":")
    if mmu not in ("legacy", "tdp"):
        raise UsageError(
            f"unknown side {name!r}: native:legacy, native:tdp, native:NAME:legacy, native:NAME:tdp"
        )
    built = load_build(default_cache(), build or DEFAULT_NAME)
    library = Library(Path(built.library))
    major, minor = built.version.split(".")[:2]
    library.retries_by_gfn = (int(major), int(minor)) >= RETRIES_BY_GFN_SINCE
    return NativePackage(library), mmu == "tdp"
