# SPDX-License-Identifier: GPL-2.0-only
"""harness/native/patches: each brings a bug of the catalogue back into the kernel's own code."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.native.cache import default_cache
from difffuzz.native.fetch import source_path
from difffuzz.native.named_change import NamedPatch, apply_changes, read_changes
from difffuzz.native.tree import KNOWN, open_tree
from difffuzz.variants.catalogue import catalogue

from .needs import missing

PATCHES = sorted((Path(__file__).parents[2] / "harness" / "native" / "patches").glob("*.toml"))
SERIES = [f"{major}.{minor}" for major, minor in KNOWN]
USERS_CACHE = default_cache()
"""Each test has a cache of its own: the sources that were fetched are in the user's."""
BUGS = {bug.id: bug for bug in catalogue()}

MEANT = [
    (path, series)
    for path in PATCHES
    for series in SERIES
    if any(series in change.versions for change in read_changes(path, path.read_text()).change)
]
"""Each patch with each series that it is for."""

each_patch = pytest.mark.parametrize("path", PATCHES, ids=lambda path: path.stem)


def read(path: Path) -> NamedPatch:
    return read_changes(path, path.read_text())


def test_there_are_patches() -> None:
    assert len(PATCHES) >= 12


@each_patch
def test_it_undoes_the_mend_that_it_is_named_after(path: Path) -> None:
    patch = read(path)
    if patch.undoes is None:
        assert patch.why, "a bug of our own says why"
    else:
        assert patch.undoes == path.stem
        bug = BUGS[patch.undoes]
        assert bug.program_on("") or bug.held, "a program shows it"


@each_patch
def test_it_says_which_series_it_is_for(path: Path) -> None:
    for change in read(path).change:
        assert change.versions
        assert set(change.versions) <= set(SERIES)


@each_patch
def test_it_copies_no_more_of_the_kernel_than_it_needs_to_find_its_place(path: Path) -> None:
    for change in read(path).change:
        assert len(change.find.split()) <= 16
        assert change.find != change.replace


@pytest.mark.parametrize(("path", "series"), MEANT, ids=lambda each: getattr(each, "stem", each))
def test_every_change_fits_one_place_of_the_fetched_tree(path: Path, series: str) -> None:
    source = source_path(USERS_CACHE, series)
    if not source.is_dir():
        if series != "6.1":
            pytest.skip(f"no fetched Linux {series}: run 'difffuzz native fetch {series}'")
        missing(f"no fetched Linux {series}")
    files: dict[str, bytes | None] = {}
    apply_changes(path, path.read_text(), open_tree(source), files)
    assert files
