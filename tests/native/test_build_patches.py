# SPDX-License-Identifier: GPL-2.0-only
"""Patches of the kernel's source: what they change, and what is said of one that does not fit."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.native.patches import apply_patches
from difffuzz.native.tree import KernelTree, open_tree

from .needs import needs

MMU_C = "arch/x86/kvm/mmu/mmu.c"

DIFF = """\
--- a/arch/x86/kvm/mmu/mmu.c
+++ b/arch/x86/kvm/mmu/mmu.c
@@ -4,5 +4,5 @@
 static int inner(void)
 {
-\treturn ANSWER;
+\treturn 7;
 }
 int answer(void)
"""

NAMED = """\
subject = "another answer"
undoes = "0123456789ab"
[[change]]
file = "arch/x86/kvm/mmu/mmu.c"
function = "inner"
find = "return   ANSWER ;"
replace = "return 7;"
"""

needs_patch = needs("patch")


def patched(tree: Path, folder: Path, *texts: tuple[str, str]) -> str:
    """mmu.c after the patches, each with the name of its file."""
    for name, text in texts:
        (folder / name).write_text(text)
    files = apply_patches(open_tree(tree), [folder / name for name, _ in texts])
    content = files[MMU_C]
    assert content is not None
    return content.decode()


def refusal(tree: Path, folder: Path, *texts: tuple[str, str]) -> str:
    with pytest.raises(UsageError) as caught:
        patched(tree, folder, *texts)
    message = str(caught.value)
    assert "\n" not in message
    return message.removeprefix(f"{folder}/")


@needs_patch
def test_a_diff_applies_and_the_tree_stays(tree: Path, tmp_path: Path) -> None:
    assert "return 7;" in patched(tree, tmp_path, ("a.patch", DIFF))
    assert "return 7;" not in (tree / MMU_C).read_text()


@needs_patch
def test_a_diff_without_prefixes_applies(tree: Path, tmp_path: Path) -> None:
    plain = DIFF.replace("--- a/", "--- ").replace("+++ b/", "+++ ")
    assert "return 7;" in patched(tree, tmp_path, ("a.patch", plain))


@needs_patch
def test_a_diff_that_does_not_fit_is_named_with_file_and_hunk(tree: Path, tmp_path: Path) -> None:
    said = refusal(tree, tmp_path, ("a.patch", DIFF.replace("static int inner", "static int x")))
    assert said == f"a.patch: {MMU_C}: hunk 1 does not fit at line 4"


@needs_patch
def test_a_file_that_is_not_there_is_named(tree: Path, tmp_path: Path) -> None:
    said = refusal(tree, tmp_path, ("a.patch", DIFF.replace("mmu.c", "none.c")))
    assert said == "a.patch: arch/x86/kvm/mmu/none.c: the tree has no such file"


def test_no_diff_at_all(tree: Path, tmp_path: Path) -> None:
    assert "no unified diff" in refusal(tree, tmp_path, ("a.patch", "hello\n"))


def test_a_diff_does_not_leave_the_tree(tree: Path, tmp_path: Path) -> None:
    said = refusal(tree, tmp_path, ("a.patch", DIFF.replace("arch/x86", "../../x86")))
    assert said == "a.patch: ../../x86/kvm/mmu/mmu.c is no name inside a kernel tree"


def test_a_named_change(tree: Path, tmp_path: Path) -> None:
    assert "{\n\treturn 7;\n}" in patched(tree, tmp_path, ("a.toml", NAMED))


def test_a_named_change_without_a_function_looks_at_the_whole_file(
    tree: Path, tmp_path: Path
) -> None:
    text = NAMED.replace('function = "inner"\n', "")
    assert "{\n\treturn 7;\n}" in patched(tree, tmp_path, ("a.toml", text))


@needs_patch
def test_patches_apply_in_their_order(tree: Path, tmp_path: Path) -> None:
    second = NAMED.replace("return   ANSWER ;", "return 7;").replace('"return 7;"', '"return 8;"')
    second = second.replace('find = "return 8;"', 'find = "return 7;"')
    assert "return 8;" in patched(tree, tmp_path, ("a.patch", DIFF), ("b.toml", second))


def test_text_in_comments_does_not_count(tree: Path, tmp_path: Path) -> None:
    text = NAMED.replace("inner", "answer").replace("return   ANSWER ;", "return inner();")
    changed = patched(tree, tmp_path, ("a.toml", text))
    assert "/* return inner(); */\n\treturn 7;" in changed


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('"inner"', '"outer"', "change 1: arch/x86/kvm/mmu/mmu.c: outer(): no such function"),
        ("return   ANSWER ;", "return 3;", "inner(): 'return 3;' is not there, once expected"),
        ('function = "inner"\n', "", "'return' is there 3 times, once expected"),
        ("mmu.c", "none.c", "change 1: arch/x86/kvm/mmu/none.c: Linux 6.1.192 has no such file"),
        ("find =", "fid =", "unknown field `fid` - at `$.change[0]`"),
        ('subject = "another answer"', "", "missing required field `subject`"),
        ("[[change]]", "[[change", "at line 3"),
        ("replace", 'versions = ["6.12"]\nreplace', "no change is for Linux 6.1"),
    ],
)
def test_a_named_change_that_does_not_fit(
    tree: Path, tmp_path: Path, old: str, new: str, said: str
) -> None:
    text = NAMED.replace(old, new)
    if "3 times" in said:
        text = text.replace("return   ANSWER ;", "return")
    message = refusal(tree, tmp_path, ("a.toml", text))
    assert message.startswith("a.toml: ")
    assert message.endswith(said) or said in message


@pytest.mark.parametrize(("minor", "applies"), [(1, True), (7, True), (12, False), (13, False)])
def test_versions_of_a_change(tree: Path, tmp_path: Path, minor: int, applies: bool) -> None:
    """A series between the known ones is taken for the one before it."""
    text = NAMED.replace("replace", 'versions = ["6.1"]\nreplace')
    (tmp_path / "a.toml").write_text(text)
    kernel = KernelTree(tree, 6, minor, 0, "")
    if applies:
        assert MMU_C in apply_patches(kernel, [tmp_path / "a.toml"])
    else:
        with pytest.raises(UsageError, match=f"no change is for Linux 6.{minor}"):
            apply_patches(kernel, [tmp_path / "a.toml"])
