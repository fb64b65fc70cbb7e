# SPDX-License-Identifier: GPL-2.0-only
"""The changes that scripts/kernel-bugs makes to KVM find their place in Linux 6.1."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.measure.booted_bugs import CHANGES, KVM, SERIES, changed
from difffuzz.native.cache import default_cache
from difffuzz.native.fetch import source_path
from difffuzz.native.tree import open_tree
from tests.native.needs import missing


@pytest.mark.parametrize("path", sorted(CHANGES.glob("*.toml")), ids=lambda path: path.stem)
def test_a_change_is_made_and_taken_back(path: Path, tmp_path: Path) -> None:
    tree = source_path(default_cache(), SERIES)
    if not tree.is_dir():
        missing(f"no fetched Linux {SERIES}")
    target = tmp_path / KVM / "mmu" / "mmu.c"
    target.parent.mkdir(parents=True)
    text = (tree / KVM / "mmu" / "mmu.c").read_bytes()
    target.write_bytes(text)
    [(made, before)] = list(changed(path, open_tree(tree), tmp_path))
    assert (made, before) == (target, text)
    assert target.read_bytes() != text


def test_both_mmus_have_some() -> None:
    subjects = [path.read_text().split('subject = "')[1] for path in CHANGES.glob("*.toml")]
    assert len(subjects) == 8
    for word in ("both", "legacy", "TDP"):
        assert sum(subject.startswith(word) for subject in subjects) >= 2
