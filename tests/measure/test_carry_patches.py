# SPDX-License-Identifier: GPL-2.0-only
"""Patches follow a model that changed, or say that they cannot."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import MissingTool, UsageError
from difffuzz.measure.carry_patches import carried, merge, patched, patches, sources_of, unified
from difffuzz.variants.engine import model_sources

PATH = "difffuzz/kvm/one.py"
BEFORE = {PATH: "".join(f"line {i}\n" for i in range(20))}
BUG = {PATH: BEFORE[PATH].replace("line 9\n", "")}
PATCH = "# what the patch is\n" + unified(BEFORE, BUG)


def changed(old: str, new: str) -> dict[str, str]:
    assert old in BEFORE[PATH]
    return {PATH: BEFORE[PATH].replace(old, new)}


def test_a_patch_that_applies_stays_as_it_is() -> None:
    assert carried(PATCH, "p", BEFORE, BEFORE) == (PATCH, {})
    assert carried(PATCH, "p", BEFORE, changed("line 1\n", "line 1\nmore\n")) == (PATCH, {})


def test_a_changed_context_is_taken_over() -> None:
    now = changed("line 7\n", "line seven\n")
    text, conflicts = carried(PATCH, "p", BEFORE, now)
    assert not conflicts
    assert text.startswith("# what the patch is\n--- a/")
    assert " line seven\n" in text
    assert patched(text, "p", now) == {PATH: now[PATH].replace("line 9\n", "")}


def test_a_patch_of_a_line_that_changed_conflicts() -> None:
    conflicts = carried(PATCH, "p", BEFORE, changed("line 9\n", "line nine\n"))[1]
    assert list(conflicts) == [PATH]
    assert "line nine\n||||||| the model before\nline 9\n=======\n>>>>>>>" in conflicts[PATH]


def test_a_comment_that_changed_is_no_conflict() -> None:
    commented = {PATH: BEFORE[PATH].replace("line 9\n", "# why\nline 9\n")}
    bug = {PATH: BEFORE[PATH].replace("line 9\n", "line nine\n")}
    now = {PATH: BEFORE[PATH].replace("line 9\n", "# the reason\nline 9\n")}
    text, conflicts = carried(unified(commented, bug), "p", commented, now)
    assert not conflicts
    assert patched(text, "p", now) == bug


def test_files_come_and_go() -> None:
    two = {**BEFORE, "difffuzz/kvm/two.py": "x = 1\n"}
    assert patched(unified(BEFORE, two), "p", BEFORE) == two
    assert patched(unified(two, BEFORE), "p", two) == BEFORE


def test_a_file_that_a_patch_takes_away_goes() -> None:
    two = {**BEFORE, "difffuzz/kvm/two.py": "x = 1\n"}
    gone = unified(two, BEFORE)
    assert carried(gone, "p", two, two) == (gone, {})
    now = {**two, "difffuzz/kvm/two.py": "# now with a comment\nx = 1\n"}
    text, conflicts = carried(gone, "p", two, now)
    assert not conflicts
    assert patched(text, "p", now) == BEFORE


def test_a_file_that_a_patch_takes_away_and_that_changed_conflicts() -> None:
    two = {**BEFORE, "difffuzz/kvm/two.py": "x = 1\n"}
    now = {**BEFORE, "difffuzz/kvm/two.py": "x = 2\n"}
    assert list(carried(unified(two, BEFORE), "p", two, now)[1]) == ["difffuzz/kvm/two.py"]


def test_git_that_refuses_or_is_not_there_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UsageError, match=r"^git: "):
        merge("\0", "\0", "\0")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(MissingTool, match="git is not installed"):
        merge("a\n", "a\n", "b\n")


def test_what_a_patch_stands_on_comes_before_it() -> None:
    seen: set[Path] = set()
    for path, below in patches():
        assert path.exists()
        assert set(below) <= seen, path
        seen.add(path)
    assert len(seen) > 100


def test_each_patch_applies_to_what_it_stands_on() -> None:
    """What `carry()` makes of the model's own patches, where the model did not change."""
    model = model_sources()
    for path, below in patches():
        sources = model
        for one in below:
            sources = patched(one.read_text(), one.name, sources)
        text = path.read_text()
        assert carried(text, path.name, sources, sources) == (text, {})


def test_a_commit_that_is_not_there_is_one_line() -> None:
    with pytest.raises(UsageError, match=r"^git: .*no-such-commit"):
        sources_of("no-such-commit")
