# SPDX-License-Identifier: GPL-2.0-only
"""The first bad patch of a series, and the first bad commit of a git tree, are named."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.triage.bisect import Culprit, bisect_commits, bisect_series
from difffuzz.triage.mail import mail
from tests.triage.samples import record

FILE = "virt/kvm/kvm_main.c"


def quiet(line: str) -> None:
    """What is said is not looked at."""


def git(tree: Path, *words: str) -> str:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    command = ["git", "-C", str(tree), *identity, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def commits(tree: Path, contents: Sequence[str]) -> list[str]:
    """A git tree with a commit for each content of a file."""
    (tree / FILE).parent.mkdir(parents=True)
    git(tree, "init", "--quiet")
    made = []
    for number, content in enumerate(contents):
        (tree / FILE).write_text(f"{number} {content}\n")
        git(tree, "add", ".")
        git(tree, "commit", "--quiet", "-m", f"KVM: step {number}")
        made.append(git(tree, "rev-parse", "HEAD"))
    return made


def says(tree: Path, patches: Sequence[Path]) -> bool | None:
    """What the tree's file says of itself."""
    text = (tree / FILE).read_text()
    return None if "broken" in text else "bad" in text


@pytest.mark.parametrize("first", range(1, 8))
def test_the_first_bad_commit_is_named(tmp_path: Path, first: int) -> None:
    made = commits(tmp_path, ["good" if number < first else "bad" for number in range(8)])
    found = bisect_commits(tmp_path, "HEAD~7", "HEAD", says, quiet)
    assert found == Culprit(made[first], f"KVM: step {first}")
    assert found.fixes == f'Fixes: {made[first][:12]} ("KVM: step {first}")'
    assert git(tmp_path, "worktree", "list").count("\n") == 0
    assert git(tmp_path, "rev-parse", "HEAD") == made[-1]


def test_commits_that_cannot_be_judged_are_passed_over(tmp_path: Path) -> None:
    made = commits(tmp_path, ["good", "good", "broken", "good", "bad", "bad", "bad"])
    assert bisect_commits(tmp_path, made[0], made[-1], says, quiet).commit == made[4]


WRONG = {
    "good is bad": (["bad", "bad", "bad"], "the finding shows there"),
    "bad is good": (["good", "good", "good"], "does not show there"),
    "nothing can be told": (["good", "broken", "bad"], "cannot bisect more|only 'skip'ped"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_cannot_be_bisected_is_said(tmp_path: Path, what: str) -> None:
    contents, message = WRONG[what]
    made = commits(tmp_path, contents)
    with pytest.raises(UsageError, match=message):
        bisect_commits(tmp_path, made[0], made[-1], says, quiet)
    with pytest.raises(UsageError, match=r"git rev-parse: "):
        bisect_commits(tmp_path, made[0], "no-such-tag", says, quiet)


@pytest.mark.parametrize("first", range(1, 7))
def test_the_first_bad_patch_is_named(tmp_path: Path, first: int) -> None:
    series = [tmp_path / f"{number:04}.patch" for number in range(1, 7)]
    asked = []

    def shows(tree: Path, patches: Sequence[Path]) -> bool:
        asked.append(len(patches))
        return len(patches) >= first

    assert bisect_series(tmp_path, series, shows, quiet).subject == f"{first:04}.patch"
    assert len(asked) <= 2 + 3


def test_a_patch_that_does_not_build_is_passed_over(tmp_path: Path) -> None:
    series = [tmp_path / f"{number}.patch" for number in range(6)]

    def shows(tree: Path, patches: Sequence[Path]) -> bool | None:
        return None if len(patches) == 3 else len(patches) >= 5

    assert bisect_series(tmp_path, series, shows, quiet).subject == "4.patch"
    with pytest.raises(UsageError, match="without the patches"):
        bisect_series(tmp_path, series, lambda tree, patches: True, quiet)
    with pytest.raises(UsageError, match="with all patches"):
        bisect_series(tmp_path, series, lambda tree, patches: False, quiet)


def test_the_mail_has_what_a_developer_needs() -> None:
    found = record()
    found.detail = "tdp+ba6e3fe25543: gfn 0x0: never completes"
    text = mail(found, "linux-6.1", Culprit("0" * 40, "KVM: step 4"), ["0  vcpu0: read"])
    assert text.startswith("Subject: [BUG] KVM: x86/mmu: progress: gfn 0x0: never completes\n")
    assert 'Fixes: 000000000000 ("KVM: step 4")' in text
    for line in found.program.strip().splitlines():
        assert f"  {line}" in text
    assert "Operation by operation:\n\n  0  vcpu0: read\n" in text
    assert "Operation by operation" not in mail(found, "linux-6.1", None, [])
