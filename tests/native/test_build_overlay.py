# SPDX-License-Identifier: GPL-2.0-only
"""The second tree of a patched build: it shows the patches, the shadow does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.native.overlay import patched_root
from difffuzz.native.shadow_tree import ShadowTree

from .fake_tree import snapshot

X86_H = "arch/x86/kvm/x86.h"
MMU_C = "arch/x86/kvm/mmu/mmu.c"
HOST_H = "include/linux/kvm_host.h"


@pytest.fixture
def shadow(tree: Path, tmp_path: Path) -> Path:
    """The shadow of the fake tree."""
    ShadowTree(tree, tmp_path / "shadow").refresh()
    return tmp_path / "shadow"


def test_a_patched_file_hides_the_original_here_only(shadow: Path, tmp_path: Path) -> None:
    root = patched_root(shadow, tmp_path / "over", {MMU_C: b"patched"})
    assert (root.path / MMU_C).read_bytes() == b"patched"
    assert root.locate(MMU_C) == str(root.path / MMU_C)
    assert (shadow / MMU_C).read_bytes() != b"patched"


def test_other_files_are_those_of_the_shadow(shadow: Path, tmp_path: Path) -> None:
    root = patched_root(shadow, tmp_path / "over", {MMU_C: b"patched"})
    assert (root.path / HOST_H).resolve() == (shadow / HOST_H).resolve()
    assert root.locate(HOST_H) == str(shadow / HOST_H)
    assert root.locate("/usr/include/stdio.h") == "/usr/include/stdio.h"


def test_a_neighbour_sees_it_through_dots(shadow: Path, tmp_path: Path) -> None:
    """mmu/mmu_internal.h includes "../x86.h", and the system resolves the dots."""
    root = patched_root(shadow, tmp_path / "over", {X86_H: b"patched"})
    assert (root.path / "arch/x86/kvm/mmu/../x86.h").read_bytes() == b"patched"


def test_other_patches_take_the_place_of_the_first(shadow: Path, tmp_path: Path) -> None:
    over = tmp_path / "over"
    patched_root(shadow, over, {HOST_H: b"one"})
    assert not (over / "include/linux").is_symlink()
    patched_root(shadow, over, {MMU_C: b"two"})
    assert (over / HOST_H).read_bytes() == (shadow / HOST_H).read_bytes()
    assert (over / MMU_C).read_bytes() == b"two"
    patched_root(shadow, over, {HOST_H: b"three"})
    assert (over / HOST_H).read_bytes() == b"three"
    assert (shadow / HOST_H).read_bytes() != b"three"
    assert (over / MMU_C).read_bytes() == (shadow / MMU_C).read_bytes()


def test_a_file_may_be_new_or_gone(shadow: Path, tmp_path: Path) -> None:
    over = tmp_path / "over"
    patched_root(shadow, over, {X86_H: None, "arch/x86/kvm/new.h": b"new"})
    assert not (over / X86_H).exists()
    assert (over / "arch/x86/kvm/new.h").read_bytes() == b"new"


def test_the_shadow_stays_as_it_is(shadow: Path, tmp_path: Path) -> None:
    before = snapshot(shadow)
    patched_root(shadow, tmp_path / "over", {HOST_H: b"one"})
    patched_root(shadow, tmp_path / "over", {MMU_C: b"two"})
    assert snapshot(shadow) == before
