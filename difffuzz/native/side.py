# SPDX-License-Identifier: GPL-2.0-only
"""A build of the kernel's own code as what sides run, by the build's name."""

from __future__ import annotations

from pathlib import Path

from difffuzz.errors import UsageError
from difffuzz.native.build import DEFAULT_NAME, Build, content_digest, load_build
from difffuzz.native.cache import default_cache
from difffuzz.native.kvm_functions import NativePackage
from difffuzz.native.library import Library


def open_package(name: str) -> NativePackage:
    """The build of that name, "" for the default one.  UsageError: there is no such build."""
    built = _built(name)
    if content_digest(Path(built.library)) != built.content:
        again = "" if built.name == DEFAULT_NAME else f" --name {built.name}"
        text = f"is not what was built: run 'difffuzz native build{again}' again"
        raise UsageError(f"{built.library} {text}")
    return NativePackage(Library(Path(built.library)))


def build_digest(name: str) -> str:
    """Twelve hex digits that name the content of its library.  UsageError as open_package()."""
    return content_digest(Path(_built(name).library))[:12]


def _built(name: str) -> Build:
    return load_build(default_cache(), name or DEFAULT_NAME)
