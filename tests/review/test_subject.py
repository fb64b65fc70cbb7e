# SPDX-License-Identifier: GPL-2.0-only
"""A patch, mails or a range of commits: what the tree was before, and what it is after."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.review.subject import open_subject
from tests.triage.test_bisect import FILE, commits, git

MAIL = "From: A\nSubject: [PATCH 1/2] KVM: one\n thing\n\n---\n"


def test_mails_are_titled_by_their_first_subject(tmp_path: Path) -> None:
    path = tmp_path / "series.mbox"
    path.write_text(MAIL + MAIL.replace("1/2", "2/2"))
    with open_subject(str(path), tmp_path) as subject:
        assert subject.title == "[PATCH 1/2] KVM: one thing (and 1 more)"
        assert (subject.before, subject.after) == ((), (path,))


def test_a_range_is_what_the_tree_has_or_will_have(tmp_path: Path) -> None:
    made = commits(tmp_path, ["one", "two", "three"])
    with open_subject(f"{made[1]}..HEAD", tmp_path) as subject:
        [patch] = subject.before
        assert subject.after == ()
        assert "+1 two" in patch.read_text()
        assert subject.title == "KVM: step 2"
    with open_subject("HEAD", tmp_path) as subject:
        assert "+1 two" in subject.change.read_text()
    git(tmp_path, "checkout", "--quiet", made[0])
    with open_subject(f"HEAD..{made[2]}", tmp_path) as subject:
        [patch] = subject.after
        assert "+2 three" in patch.read_text()
    assert not patch.exists()
    assert (tmp_path / FILE).read_text() == "0 one\n"


def test_the_tree_is_at_one_of_the_ends(tmp_path: Path) -> None:
    made = commits(tmp_path, ["one", "two", "three"])
    text = f"{made[0]}..{made[1]}"
    with pytest.raises(UsageError, match="check out"), open_subject(text, tmp_path):
        pass


@pytest.mark.parametrize("what", ["nowhere.patch", "--output=x", "no..where", "", "a b"])
def test_what_is_neither_is_one_line(tmp_path: Path, what: str) -> None:
    commits(tmp_path, ["one", "two"])
    with pytest.raises(UsageError), open_subject(what, tmp_path):
        pass
