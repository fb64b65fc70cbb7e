# SPDX-License-Identifier: GPL-2.0-only
"""units.toml, kernel versions and what a tree is."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.native.toolchain import Compiler, flags
from difffuzz.native.tree import KernelTree, open_tree
from difffuzz.native.units import Unit, read_units, taken_for

HARNESS = Path("/harness")
HEADERS = Path("/headers")
GCC = Compiler("/usr/bin/gcc", False, "")
CLANG = Compiler("/usr/bin/clang-14", True, "")


def kernel(minor: int, major: int = 6) -> KernelTree:
    return KernelTree(Path("/tree"), major, minor, 0, "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[unit]]\nsource = 'a.c'\n", "missing required field `kind`"),
        ("[[unit]]\nsource = 'a.c'\nkind = 'other'\n", "Invalid enum value 'other'"),
        ("[[unit]]\nsource = 'a.c'\nkind = 'libc'\nbad = 1\n", "unknown field `bad`"),
        ("[[unit]\n", "line 1"),
    ],
)
def test_a_list_that_is_wrong(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "units.toml").write_text(text)
    with pytest.raises(UsageError, match=r"units\.toml: ") as caught:
        read_units(tmp_path)
    assert said in str(caught.value)


def test_no_list(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no such file"):
        read_units(tmp_path)


@pytest.mark.parametrize(
    ("tree", "known"),
    [
        (kernel(1), "6.1"),
        (kernel(2), "6.1"),
        (kernel(12), "6.12"),
        (kernel(18), "6.12"),
        (kernel(0, 7), "6.12"),
        (kernel(15, 5), "6.1"),
    ],
)
def test_which_known_series_a_tree_is_taken_for(tree: KernelTree, known: str) -> None:
    assert taken_for(tree) == known


def test_a_tree_says_its_version(tree: Path) -> None:
    found = open_tree(tree)
    assert (found.version, found.series, found.number) == ("6.1.192", "6.1", 6001)


def test_a_makefile_without_a_version(tree: Path) -> None:
    (tree / "Makefile").write_text("all:\n")
    with pytest.raises(UsageError, match="VERSION, PATCHLEVEL, SUBLEVEL expected"):
        open_tree(tree)


def test_only_targets_are_covered() -> None:
    target = Unit(source="kernel/mmu.c", kind="kernel", target=True)
    other = Unit(source="kernel/vm.c", kind="kernel")
    cover = "-fsanitize-coverage=inline-bool-flag"
    assert cover in flags(target, kernel(1), HARNESS, HEADERS, CLANG)
    assert cover not in flags(target, kernel(1), HARNESS, HEADERS, GCC)
    assert cover not in flags(other, kernel(1), HARNESS, HEADERS, CLANG)
    assert "-DDIFFFUZZ_TARGET" in flags(target, kernel(1), HARNESS, HEADERS, GCC)
    assert "-DDIFFFUZZ_TARGET" not in flags(other, kernel(1), HARNESS, HEADERS, GCC)


def test_the_shims_come_first() -> None:
    words = flags(Unit(source="a.c", kind="kernel"), kernel(1), HARNESS, HEADERS, GCC)
    assert next(word for word in words if word.startswith("-I")) == "-I/harness/shim"
    assert "-DDIFFFUZZ_KERNEL=6001" in words


def test_the_c_librarys_side_sees_no_kernel_header() -> None:
    words = flags(Unit(source="a.c", kind="libc"), kernel(1), HARNESS, HEADERS, GCC)
    assert [word for word in words if word.startswith("-I")] == ["-I/harness", "-I/headers"]
    assert "-nostdinc" not in words


def test_a_file_that_some_trees_lack(tree: Path) -> None:
    found = open_tree(tree)
    unit = Unit(source="tree:arch/x86/kvm/regs.c", kind="kernel", optional=True)
    assert not unit.is_in(found)
    (tree / "arch/x86/kvm").mkdir(parents=True, exist_ok=True)
    (tree / "arch/x86/kvm/regs.c").write_text("")
    assert unit.is_in(found)
    assert not unit.is_in(found._replace(root=tree / "elsewhere"))
    assert Unit(source="tree:nowhere.c", kind="kernel").is_in(found)
