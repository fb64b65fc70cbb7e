# SPDX-License-Identifier: GPL-2.0-only
"""harness/native/guest_patches: bugs of shadow paging, each with a program that shows it.

The builds are not made here (docs/guest-tables.md has what they showed): that a change fits the
kernel's source is, and that its program is quiet without it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from difffuzz.engine import guest_concurrent, guest_lockstep
from difffuzz.native.cache import default_cache
from difffuzz.native.fetch import source_path
from difffuzz.native.named_change import apply_changes, read_changes
from difffuzz.native.tree import open_tree
from difffuzz.program import is_concurrent, normalise, parse
from difffuzz.shipped import CORPUS
from difffuzz.sides import SideFactory, open_side

from .kernel import built
from .needs import missing

FOLDER = Path(__file__).parents[2] / "harness" / "native" / "guest_patches"
PATCHES = sorted(FOLDER.glob("*.toml"))
PROGRAMS = sorted((CORPUS / "guests").glob("*.difffuzz"))
USERS_CACHE = default_cache()

each_patch = pytest.mark.parametrize("path", PATCHES, ids=lambda path: path.stem)


@cache
def sides() -> tuple[SideFactory, SideFactory]:
    return open_side(f"native:{built()}:legacy"), open_side(f"native:{built()}:tdp")


def test_every_program_is_of_a_bug() -> None:
    assert len(PROGRAMS) >= 4
    assert {path.stem for path in PROGRAMS} <= {path.stem for path in PATCHES}


@each_patch
def test_it_says_why_and_which_series_it_is_for(path: Path) -> None:
    patch = read_changes(path, path.read_text())
    assert patch.why
    assert all(change.versions and change.function for change in patch.change)
    assert all(len(change.find.split()) <= 16 for change in patch.change)


def series_of(path: Path) -> list[str]:
    """Of the two that are looked at, those that the changes are for."""
    changes = read_changes(path, path.read_text()).change
    return [one for one in ("6.1", "7.2") if any(one in change.versions for change in changes)]


@pytest.mark.parametrize(
    ("path", "series"),
    [
        pytest.param(path, series, id=f"{path.stem}-{series}")
        for path in PATCHES
        for series in series_of(path)
    ],
)
def test_it_fits_the_fetched_source(path: Path, series: str) -> None:
    source = source_path(USERS_CACHE, series)
    if not source.is_dir():
        if series == "6.1":
            missing("no fetched Linux 6.1")
        pytest.skip(f"no fetched Linux {series}: run 'difffuzz native fetch {series}'")
    files: dict[str, bytes | None] = {}
    apply_changes(path, path.read_text(), open_tree(source), files)
    assert files


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.stem)
def test_its_program_is_small_and_quiet_without_it(path: Path) -> None:
    program = parse(path.read_text(), path.name)
    assert normalise(program) is program
    assert program.config.guest != "none"
    assert len(program.ops) <= 12
    engine = guest_concurrent if is_concurrent(program) else guest_lockstep
    assert not engine.run(program, *sides()).divergences
