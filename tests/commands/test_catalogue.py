# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of bugs: its facts are complete, and every patch of it applies to the model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.errors import UsageError
from difffuzz.program import parse
from difffuzz.variants import load
from difffuzz.variants.catalogue import BASE, DIRECTORY, PATHS, catalogue, find

FACTS = """
id = "0123456789ab"
subject = "Do not do that"
path = "T"
concurrent = false
oracle = "leak"
"""


@pytest.mark.parametrize("patch", sorted(DIRECTORY.parent.rglob("*.patch")), ids=lambda p: p.stem)
def test_every_patch_applies(patch: Path) -> None:
    """To the model; or on top of a kernel's, if it is for that."""
    version = patch.stem if patch.parent.name == "mended" else patch.parent.name
    below = DIRECTORY.parent / "kernels" / f"{version}.patch"
    load([below, patch] if below.exists() else [patch])


def test_the_shipped_facts_are_sound() -> None:
    for bug in catalogue():
        assert bug.path in PATHS
        assert bug.subject
        if bug.program:
            parse(bug.program, bug.id)


def test_every_patch_has_facts() -> None:
    assert {path.stem for path in DIRECTORY.glob("*.patch")} == {
        bug.id for bug in catalogue() if bug.is_on("")
    }
    assert {path.stem for path in DIRECTORY.glob("*/*.patch")} <= {
        bug.id for bug in catalogue() if bug.kernels
    }


def test_a_bug_without_a_patch_is_held_or_says_what_the_base_lacks() -> None:
    for bug in catalogue():
        assert (bug.patch is None) == (bug.held or BASE in bug.not_on)
        assert bug.patch is not None or bug.held or all(map(bug.patch_on, bug.kernels))


def test_the_patched_side_meets_the_other_mmu(tmp_path: Path) -> None:
    (tmp_path / "0123456789ab.toml").write_text(FACTS)
    patch = tmp_path / "0123456789ab.patch"
    patch.write_text("")
    bug = find("0123", tmp_path)
    assert bug.sides() == ("legacy", f"tdp+{patch}")
    assert bug.plain_sides() == ("legacy", "tdp")


@pytest.mark.parametrize(
    ("facts", "problem"),
    [
        (FACTS.replace('"T"', '"X"'), "path 'X' is not one of T, L, B"),
        (FACTS + "held = true\n", "is held and has a patch"),
        (FACTS.replace("0123456789ab", "other"), "id 'other' is not the file's name"),
        (FACTS + "nosuch = 1\n", "nosuch"),
        (FACTS.replace('oracle = "leak"', ""), "oracle"),
    ],
)
def test_wrong_facts_name_their_file(tmp_path: Path, facts: str, problem: str) -> None:
    (tmp_path / "0123456789ab.toml").write_text(facts)
    (tmp_path / "0123456789ab.patch").write_text("")
    with pytest.raises(UsageError, match=problem) as caught:
        catalogue(tmp_path)
    assert "0123456789ab.toml" in str(caught.value)


def test_the_list_is_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bugs", "list", "--json"]) == 0
    for bug in json.loads(capsys.readouterr().out):
        assert {"id", "subject", "path", "concurrent", "oracle", "held", "why"} <= set(bug)
