# SPDX-License-Identifier: GPL-2.0-only
"""An exported pytest fails as long as a side has the bug, and passes without it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from difffuzz.export.pytest_form import as_pytest
from difffuzz.export.reproducer import Reproducer
from difffuzz.program import parse
from difffuzz.variants.catalogue import Bug, find

from .samples import BUGS, reproducer

SAMPLE = BUGS[:: len(BUGS) // 6][:6]


def run(one: Reproducer) -> None:
    """As pytest would, without its process."""
    names: dict[str, object] = {}
    exec(compile(as_pytest(one), one.name, "exec"), names)
    test = names[f"test_{one.name}"]
    assert callable(test)
    test()


@pytest.mark.parametrize("bug", SAMPLE, ids=lambda bug: bug.id)
def test_it_fails_with_the_bug_and_passes_without(bug: Bug) -> None:
    with pytest.raises(AssertionError, match=f"^{bug.oracle}:"):
        run(reproducer(bug))
    run(reproducer(bug, *bug.plain_sides()))


def test_pytest_runs_it(tmp_path: Path) -> None:
    path = tmp_path / "test_it.py"
    path.write_text(as_pytest(reproducer(find("ba6e3fe25543"))))
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(path)]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "progress:tdp" in done.stdout


def test_a_patch_of_the_users_has_to_be_what_it_was(tmp_path: Path) -> None:
    bug = find("ba6e3fe25543")
    assert bug.patch is not None
    patch = tmp_path / "mine.patch"
    patch.write_bytes(bug.patch.read_bytes())
    one = reproducer(bug, right=f"tdp+{patch}")
    source = as_pytest(one)
    names: dict[str, object] = {}
    exec(compile(source, "mine", "exec"), names)
    test = names[f"test_{one.name}"]
    assert callable(test)
    with pytest.raises(AssertionError, match=r"^progress:tdp"):
        test()
    other = find("048f49809c52").patch
    assert other is not None
    patch.write_bytes(other.read_bytes())
    with pytest.raises(AssertionError, match="is not what it was"):
        test()


def test_notes_are_text_whatever_is_in_them() -> None:
    """A note cannot end the string in which it stands."""
    evil = '"""\nraise SystemExit\n"""\\'
    program = parse("difffuzz program v1\nvcpu0: read gfn=0x0\n")
    run(Reproducer("evil", program, {"detail": evil, "x": evil}, "legacy", "tdp", "lockstep"))
