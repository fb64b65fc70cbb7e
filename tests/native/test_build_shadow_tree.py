# SPDX-License-Identifier: GPL-2.0-only
"""The shadow of a tree: what is in it, how it follows the tree, which stays as it is."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from difffuzz.native.shadow_tree import ShadowTree

from .fake_tree import snapshot, write_files


def refreshed(tree: Path, shadow: Path) -> ShadowTree:
    """A shadow tree as a new process would see it."""
    shadow_tree = ShadowTree(tree, shadow)
    shadow_tree.refresh()
    return shadow_tree


def test_sources_are_links_and_folders_are_real(tree: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    refreshed(tree, shadow)
    file = shadow / "arch/x86/kvm/mmu/mmu.c"
    assert file.is_symlink()
    assert file.readlink() == tree / "arch/x86/kvm/mmu/mmu.c"
    assert not any(path.is_symlink() for path in file.relative_to(shadow).parents)


def test_scripts_are_copies(tree: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    refreshed(tree, shadow)
    (shadow / "scripts/config").write_text("overwritten by a tool")
    assert (tree / "scripts/config").read_text() == "#!/bin/sh\n"


def test_a_copy_follows_its_original(tree: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    refreshed(tree, shadow)
    (tree / "scripts/config").write_text("#!/bin/sh\nexit 0\n")
    refreshed(tree, shadow)
    assert (shadow / "scripts/config").read_text() == "#!/bin/sh\nexit 0\n"


def test_of_drivers_only_kconfig_is_there(tree: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    refreshed(tree, shadow)
    assert os.listdir(shadow / "drivers/gpu") == ["Kconfig"]


@pytest.mark.parametrize(
    "name",
    [
        ".config",
        ".git/config",
        "include/generated/autoconf.h",
        "include/config/auto.conf",
        "arch/x86/include/generated/asm/types.h",
        "kernel/bounds.s",
        "lib/rbtree.o",
        "lib/.rbtree.o.cmd",
        "scripts/kconfig/parser.tab.c",
        "vmlinux",
    ],
)
def test_an_earlier_build_is_not_seen(tree: Path, tmp_path: Path, name: str) -> None:
    write_files(tree, {name: "made"})
    refreshed(tree, tmp_path / "shadow")
    assert not (tmp_path / "shadow" / name).exists()


def test_a_program_of_an_earlier_build_is_not_seen(tree: Path, tmp_path: Path) -> None:
    write_files(tree, {"scripts/kconfig/conf": "\x7fELF", "scripts/tool": "#!/bin/sh\n"})
    (tree / "scripts/kconfig/conf").chmod(0o755)
    refreshed(tree, tmp_path / "shadow")
    assert not (tmp_path / "shadow/scripts/kconfig/conf").exists()
    assert (tmp_path / "shadow/scripts/tool").exists()


def test_added_and_removed_files_are_followed(tree: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    refreshed(tree, shadow)
    write_files(tree, {"include/linux/new/new.h": "", "include/linux/other.h": ""})
    (tree / "arch/x86/kvm/x86.h").unlink()
    assert refreshed(tree, shadow).changed
    assert (shadow / "include/linux/new/new.h").is_symlink()
    assert (shadow / "include/linux/other.h").is_symlink()
    assert not (shadow / "arch/x86/kvm/x86.h").is_symlink()
    (tree / "include/linux/new/new.h").unlink()
    (tree / "include/linux/new").rmdir()
    refreshed(tree, shadow)
    assert not (shadow / "include/linux/new").exists()
    assert not refreshed(tree, shadow).changed


def test_a_file_that_becomes_a_folder_is_not_written_through(tree: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    write_files(tree, {"include/linux/thing": ""})
    refreshed(tree, shadow)
    (tree / "include/linux/thing").unlink()
    write_files(tree, {"include/linux/thing/a.h": ""})
    refreshed(tree, shadow)
    assert not (shadow / "include/linux/thing").is_symlink()
    assert not (tree / "include/linux/thing/a.h").is_symlink()


def test_what_make_leaves_in_the_shadow_stays(tree: Path, tmp_path: Path) -> None:
    shadow = tmp_path / "shadow"
    refreshed(tree, shadow)
    write_files(shadow, {"include/generated/autoconf.h": "made"})
    write_files(tree, {"include/new.h": ""})
    refreshed(tree, shadow)
    assert (shadow / "include/generated/autoconf.h").read_text() == "made"


def test_the_tree_is_never_written_to(tree: Path, tmp_path: Path) -> None:
    before = snapshot(tree)
    refreshed(tree, tmp_path / "shadow")
    refreshed(tree, tmp_path / "shadow")
    assert snapshot(tree) == before
