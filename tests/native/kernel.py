# SPDX-License-Identifier: GPL-2.0-only
"""The library of Linux 6.1 that the tests of the native side run."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.build import Wish, build
from difffuzz.native.cache import default_cache
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


def programs(*folders: str) -> list[Program]:
    """All programs of folders of the corpus."""
    paths = [path for one in folders for path in sorted((ROOT / "corpus" / one).glob("*.difffuzz"))]
    return [parse(path.read_text(), str(path)) for path in paths]
