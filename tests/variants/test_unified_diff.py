# SPDX-License-Identifier: GPL-2.0-only
"""Patches apply exactly or not at all, and a refusal names file and hunk."""

from __future__ import annotations

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from difffuzz.variants.unified_diff import PatchError, apply, parse

BASE = "".join(f"line {number}\n" for number in range(1, 21))


def diff_of(old: str, new: str, context: int = 3) -> str:
    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), "a/f.py", "b/f.py", n=context
    )
    return "".join(line if line.endswith("\n") else line + "\n\\ No newline\n" for line in lines)


def patched(text: str, patch: str) -> str:
    sources = {"f.py": text}
    for diff in parse(patch, "p.patch"):
        sources = apply(sources, diff, "p.patch")
    return sources["f.py"]


def refusal(text: str, patch: str) -> PatchError:
    with pytest.raises(PatchError) as caught:
        patched(text, patch)
    assert "\n" not in str(caught.value)
    return caught.value


def test_two_hunks_apply() -> None:
    new = BASE.replace("line 2\n", "").replace("line 18\n", "line 18\nline 18.5\n")
    assert patched(BASE, diff_of(BASE, new)) == new


def test_a_mail_around_the_diff_is_passed_over() -> None:
    new = BASE.replace("line 9", "line nine")
    mail = "From: A\nSubject: [PATCH] x\n\nText\n---\n f.py | 2 +-\n\n" + diff_of(BASE, new)
    assert patched(BASE, mail + "-- \n2.39.2\n") == new


def test_moved_context_applies_where_it_stands_alone() -> None:
    patch = diff_of(BASE, BASE.replace("line 9", "line nine"))
    moved = "new first line\n" * 5 + BASE
    assert patched(moved, patch) == moved.replace("line 9", "line nine")


def test_moved_context_that_stands_twice_is_refused() -> None:
    patch = diff_of("a\nb\nc\n", "a\nB\nc\n", context=1)
    error = refusal("x\na\nb\nc\na\nb\nc\n", patch)
    assert (error.file, error.hunk) == ("f.py", 1)
    assert "several others: 2, 5" in str(error)


def test_a_changed_context_line_is_refused_with_its_place() -> None:
    new = BASE.replace("line 2\n", "line two\n").replace("line 18\n", "line eighteen\n")
    error = refusal(BASE.replace("line 17", "LINE 17"), diff_of(BASE, new))
    assert str(error) == "p.patch: f.py: hunk 2: line 17 should be 'line 17', found 'LINE 17'"


def test_whitespace_counts() -> None:
    patch = diff_of(BASE, BASE.replace("line 9", "line nine"))
    assert refusal(BASE.replace("line 8\n", "line 8 \n"), patch).hunk == 1


def test_a_patch_that_is_already_applied_is_refused() -> None:
    new = BASE.replace("line 9", "line nine")
    assert refusal(new, diff_of(BASE, new)).hunk == 1


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        ("", "no unified diff"),
        ("--- a/f.py\n+++ b/f.py\n", "expected a hunk"),
        ("--- a/f.py\n+++ b/f.py\n@@ what @@\n", "line 3: not a hunk header"),
        ("--- a/f.py\n+++ b/f.py\n@@ -1,2 +1,2 @@\n line 1\n", "ends in the middle"),
        ("--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n line 1\n+x\n", None),
        ("--- a/f.py\n+++ b/f.py\n@@ -1 +1 @@\n+x\n+y\n", "line 5: does not fit the counts"),
        ("--- a/g.py\n+++ b/g.py\n@@ -1 +1 @@\n-x\n+y\n", "g.py: is to be changed but does not"),
        ("--- /dev/null\n+++ b/f.py\n@@ -0,0 +1 @@\n+x\n", "is to be created but exists"),
        ("--- a/f.py\n+++ b/g.py\n@@ -1 +1 @@\n-x\n+y\n", "renames f.py"),
        ("rename from f.py\n", "line 1: a rename, copy or binary"),
        ("--- a/f.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-line 1\n", "does not remove every line"),
    ],
)
def test_bad_patches_are_refused_with_one_line(patch: str, message: str | None) -> None:
    if message is None:  # text after a complete hunk is not the hunk's
        assert patched(BASE, patch) == BASE
    else:
        assert message in str(refusal(BASE, patch))


def test_lines_are_not_put_where_nothing_tells_their_place() -> None:
    patch = "--- a/f.py\n+++ b/f.py\n@@ -3,0 +4 @@\n+x\n"
    assert "no old line that tells its place" in str(refusal(BASE, patch))
    assert patched("", patch.replace("-3,0 +4", "-0,0 +1")) == "x\n"


def test_files_are_created_and_deleted() -> None:
    create = parse("--- /dev/null\n+++ b/g.py\n@@ -0,0 +1,2 @@\n+a\n+b\n", "p")[0]
    sources = apply({"f.py": "x\n"}, create, "p")
    assert sources == {"f.py": "x\n", "g.py": "a\nb\n"}
    delete = parse("--- a/f.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n", "p")[0]
    assert apply(sources, delete, "p") == {"g.py": "a\nb\n"}


LINES = st.lists(st.sampled_from(["a\n", "b\n", "\n", "    c\n"]), max_size=30)


@given(old=LINES, new=LINES, context=st.integers(0, 4), last=st.sampled_from(["", "end"]))
def test_what_difflib_writes_applies(
    old: list[str], new: list[str], context: int, last: str
) -> None:
    before, after = "".join(old), "".join(new) + last
    patch = diff_of(before, after, context)
    if patch and before and any(not hunk.old for hunk in parse(patch, "p")[0].hunks):
        assert context == 0
        assert "no old line that tells its place" in str(refusal(before, patch))
    elif patch:
        assert patched(before, patch) == after
