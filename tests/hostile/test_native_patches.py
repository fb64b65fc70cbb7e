# SPDX-License-Identifier: GPL-2.0-only
"""Patches of a kernel tree change files of that tree, and read and follow nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.native.overlay import patched_root
from difffuzz.native.patches import apply_patches
from difffuzz.native.tree import KernelTree

SECRET = "a secret of the user's\n"


@pytest.fixture
def tree(tmp_path: Path) -> KernelTree:
    root = tmp_path / "tree"
    (root / "virt").mkdir(parents=True)
    (root / "virt" / "a.c").write_text("int a;\n")
    (root / "virt" / "out").symlink_to(tmp_path)
    (tmp_path / "secret").write_text(SECRET)
    return KernelTree(root, 6, 1, 0, "")


def diff(old: str, new: str, head: str = "") -> str:
    return f"{head}--- {old}\n+++ {new}\n@@ -1 +1 @@\n-{SECRET}+mine\n"


OUTSIDE = ("/PLACE/secret", "../secret", "virt/../../secret", "virt//a.c", "./secret", "a\tb", "")


@pytest.mark.parametrize("name", OUTSIDE)
def test_named_changes_name_files_of_the_tree(tree: KernelTree, tmp_path: Path, name: str) -> None:
    name = name.replace("/PLACE", str(tmp_path))
    change = f"subject = 'x'\n[[change]]\nfile = '{name}'\nfind = 'secret'\nreplace = 'mine'\n"
    (tmp_path / "evil.toml").write_text(change)
    with pytest.raises(UsageError, match=r"change 1: .* is no name inside a kernel tree"):
        apply_patches(tree, [tmp_path / "evil.toml"])


@pytest.mark.parametrize("name", ["/PLACE/secret", "../secret", "virt/../../secret", "virt//a.c"])
@pytest.mark.parametrize("prefix", [True, False])
def test_diffs_name_files_of_the_tree(
    tree: KernelTree, tmp_path: Path, name: str, prefix: bool
) -> None:
    name = name.replace("/PLACE", str(tmp_path))
    pair = (f"a/{name}", f"b/{name}") if prefix else (name, name)
    (tmp_path / "evil.patch").write_text(diff(*pair))
    with pytest.raises(UsageError, match="is no name inside a kernel tree"):
        apply_patches(tree, [tmp_path / "evil.patch"])


def test_a_link_of_the_tree_is_not_followed_out_of_it(tree: KernelTree, tmp_path: Path) -> None:
    (tmp_path / "evil.patch").write_text(diff("a/virt/out/secret", "b/virt/out/secret"))
    with pytest.raises(UsageError, match="leads out of the tree by a symbolic link"):
        apply_patches(tree, [tmp_path / "evil.patch"])


@pytest.mark.parametrize(
    "mode", ["new file mode 120000", "old mode 120000", "index 1234..5678 160000"]
)
def test_links_in_diffs_are_refused(tree: KernelTree, tmp_path: Path, mode: str) -> None:
    head = f"diff --git a/virt/l b/virt/l\n{mode}\n"
    patch = f"{head}--- /dev/null\n+++ b/virt/l\n@@ -0,0 +1 @@\n+../../secret\n"
    (tmp_path / "evil.patch").write_text(patch)
    with pytest.raises(UsageError, match="only plain files are patched"):
        apply_patches(tree, [tmp_path / "evil.patch"])


def test_an_ed_script_is_no_patch(tree: KernelTree, tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    script = f"--- a/virt/a.c\n+++ b/virt/a.c\n1c\n!touch {mark}\n.\n@@ -1 +1 @@\n-x\n+y\n"
    (tmp_path / "evil.patch").write_text(script)
    with pytest.raises(UsageError):
        apply_patches(tree, [tmp_path / "evil.patch"])
    assert not mark.exists()


DEEP = {
    "brackets": "subject = " + "[" * 100_000,
    "digits": "subject = " + "9" * 5000,
    "not text": "subject = \x00",
}


@pytest.mark.parametrize("what", DEEP)
def test_toml_that_is_too_much_is_one_line(tree: KernelTree, tmp_path: Path, what: str) -> None:
    (tmp_path / "evil.toml").write_text(DEEP[what])
    with pytest.raises(UsageError, match=r"evil\.toml: "):
        apply_patches(tree, [tmp_path / "evil.toml"])


def test_folders_above_any_name_are_finite(tmp_path: Path) -> None:
    (tmp_path / "shadow").mkdir()
    root = patched_root(tmp_path / "shadow", tmp_path / "made", {"virt/b.c": b"int b;\n"})
    assert (root.path / "virt" / "b.c").read_bytes() == b"int b;\n"
