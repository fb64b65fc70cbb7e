# SPDX-License-Identifier: GPL-2.0-only
"""units.toml of the harness: which files make the library."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Literal

import msgspec

from ..errors import UsageError
from .tree import KNOWN, KernelTree

LIST = "units.toml"
FROM_TREE = "tree:"


class Unit(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One file to compile."""

    source: str
    """Relative to the harness; `tree:lib/rbtree.c` is a file of the kernel tree as it is."""
    kind: Literal["kernel", "libc", "asm"]
    """Which headers it sees: the kernel's, the C library's, or none."""
    target: bool = False
    """It gets coverage and DIFFFUZZ_TARGET."""
    stores: bool = False
    """It is the kernel's code, with a way to it: a build with stores sees each that it makes."""
    versions: tuple[str, ...] = ()
    """The series it is for; empty: all."""
    optional: bool = False
    """A file of the tree that some trees do not have."""
    symbols: tuple[str, ...] = ()
    """What it must define for others, none of them static."""
    flags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its file's name without the suffix."""
        return Path(self.source.removeprefix(FROM_TREE)).stem

    @property
    def in_tree(self) -> str | None:
        """The name relative to the tree, if it is a file of the tree."""
        named = self.source.startswith(FROM_TREE)
        return self.source.removeprefix(FROM_TREE) if named else None

    def is_in(self, tree: KernelTree) -> bool:
        """Does the library of that tree have it?"""
        if not meant_for(self.versions, tree):
            return False
        path = self.in_tree
        return not self.optional or path is None or (tree.root / path).is_file()


class Units(msgspec.Struct, forbid_unknown_fields=True):
    """The whole list."""

    unit: tuple[Unit, ...]
    flags: tuple[str, ...] = ()
    """For every unit that sees the kernel's headers."""
    link_flags: tuple[str, ...] = ()
    keep_undefined: tuple[str, ...] = ()
    """Symbols that get no stub: the C library has them, or the linker makes them."""

    def of(self, tree: KernelTree) -> list[Unit]:
        """The units for this tree."""
        return [unit for unit in self.unit if unit.is_in(tree)]


def read_units(harness: Path) -> Units:
    """Read the list of the harness."""
    path = harness / LIST
    try:
        return msgspec.convert(tomllib.loads(path.read_text()), Units)
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file") from None
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}") from None


def meant_for(versions: tuple[str, ...], tree: KernelTree) -> bool:
    """Do the versions name the tree's series, or the known one that it is taken for?"""
    return not versions or tree.series in versions or taken_for(tree) in versions


def taken_for(tree: KernelTree) -> str:
    """The known series that is nearest from below, else the first."""
    below = [known for known in KNOWN if known <= (tree.major, tree.minor)]
    major, minor = max(below) if below else KNOWN[0]
    return f"{major}.{minor}"
