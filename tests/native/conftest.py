# SPDX-License-Identifier: GPL-2.0-only
"""A fake kernel tree, its tools and a cache for each test."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from difffuzz.native.cache import Cache

from . import fake_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree of a few files."""
    return fake_tree.write_files(tmp_path / "linux", fake_tree.FILES)


@pytest.fixture
def harness(tmp_path: Path) -> Path:
    """A harness for that tree."""
    return fake_tree.write_files(tmp_path / "harness", fake_tree.HARNESS)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    """An empty cache."""
    return Cache(tmp_path / "cache")


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The fake `make` is the first in PATH."""
    folder = fake_tree.fake_tools(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder
