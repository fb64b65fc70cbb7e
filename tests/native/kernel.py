# SPDX-License-Identifier: GPL-2.0-only
"""The libraries of Linux 6.1, and of newer ones if they are there, that native tests run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.build import Wish, build
from difffuzz.native.cache import default_cache
from difffuzz.native.fetch import source_path
from difffuzz.program import Program, parse

from .needs import missing

ROOT = Path(__file__).resolve().parents[2]
NAME = "tests"


@cache
def built() -> str:
    """Builds it, once; skips the test if what is needed is missing, and fails it where CI=true."""
    try:
        build(Wish(coverage=False, name=NAME), default_cache(), lambda line: None)
    except (MissingTool, UsageError) as error:
        missing(str(error))
    return NAME


def source() -> Path:
    """The tree that it is built from."""
    built()
    return source_path(default_cache())


@cache
def built_with_clang() -> str:
    """The same with clang, and with coverage."""
    name = f"{NAME}-clang"
    try:
        build(Wish(coverage=True, name=name), default_cache(), lambda line: None)
    except (MissingTool, UsageError) as error:
        missing(str(error))
    return name


@cache
def built_with_stores(*patches: Path) -> str:
    """A build that sees each store of the kernel's code, with patches or as it is."""
    name = "-".join([NAME, "stores", *(patch.stem for patch in patches)])
    try:
        wish = Wish(coverage=False, stores=True, name=name, patches=patches)
        build(wish, default_cache(), lambda line: None)
    except (MissingTool, UsageError) as error:
        missing(str(error))
    return name


@cache
def built_newer(version: str = "6.12", *patches: Path) -> str:
    """The same of a newer Linux, with patches or as it is; skips the test where its source was not
    fetched."""
    tree = source_path(default_cache(), version)
    if not tree.is_dir():
        pytest.skip(f"no fetched Linux {version}: run 'difffuzz native fetch {version}'")
    name = "-".join([NAME, version, *(patch.stem for patch in patches)])
    wish = Wish(tree=tree, coverage=False, name=name, patches=patches)
    try:
        build(wish, default_cache(), lambda line: None)
    except (MissingTool, UsageError) as error:
        missing(str(error))
    return name


def programs(*folders: str) -> list[Program]:
    """All programs of folders of the corpus."""
    paths = [path for one in folders for path in sorted((ROOT / "corpus" / one).glob("*.difffuzz"))]
    return [parse(path.read_text(), str(path)) for path in paths]
