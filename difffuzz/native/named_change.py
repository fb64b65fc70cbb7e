# SPDX-License-Identifier: GPL-2.0-only
"""Changes of kernel source that are named by function and a few words, not by their context.

subject = "..."            what the change does
undoes = "<commit>"        the upstream commit that it takes back, if it does

[[change]]
file = "arch/x86/kvm/mmu/tdp_mmu.c"
function = "tdp_mmu_zap_spte_atomic"    optional: only in the body of this function
find = "text"                           must be there once, however its tokens are set apart
replace = "text"
versions = ["6.1"]                      optional: the series that the change is for
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import msgspec

from ..errors import UsageError
from .c_text import Span, bodies, occurrences
from .tree import KernelTree
from .tree_names import checked_name, tree_file
from .units import meant_for


class Change(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """One replacement in one file."""

    file: str
    find: str
    replace: str
    function: str | None = None
    versions: tuple[str, ...] = ()


class NamedPatch(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A file of changes."""

    subject: str
    change: tuple[Change, ...]
    undoes: str | None = None
    why: str | None = None


def read_changes(path: Path, text: str) -> NamedPatch:
    """Check the form. UsageError names the field or the line."""
    try:
        patch = msgspec.convert(tomllib.loads(text), NamedPatch)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise UsageError(f"{path}: {error}") from None
    except (RecursionError, ValueError) as error:  # brackets too deep, a number too long
        raise UsageError(f"{path}: no TOML that can be read: {error}") from None
    if not patch.change:
        raise UsageError(f"{path}: no [[change]]")
    for number, change in enumerate(patch.change, 1):
        checked_name(change.file, f"{path}: change {number}")
    return patch


def apply_changes(path: Path, text: str, tree: KernelTree, files: dict[str, bytes | None]) -> None:
    """Apply the changes for the tree's series on top of `files`, which holds the outcome."""
    changes = read_changes(path, text).change
    applied = 0
    for number, change in enumerate(changes, 1):
        if meant_for(change.versions, tree):
            where = f"{path}: change {number}: {change.file}"
            files[change.file] = _apply(change, where, _content(change, where, tree, files))
            applied += 1
    if not applied:
        raise UsageError(f"{path}: no change is for Linux {tree.series}")


def _content(change: Change, where: str, tree: KernelTree, files: dict[str, bytes | None]) -> bytes:
    content = files.get(change.file)
    if content is not None:
        return content
    source = tree_file(tree.root, change.file, where)
    if not source.is_file() or change.file in files:
        raise UsageError(f"{where}: Linux {tree.version} has no such file")
    return source.read_bytes()


def _apply(change: Change, where: str, content: bytes) -> bytes:
    text = content.decode(errors="surrogateescape")
    parts: list[Span] = [(0, len(text))]
    if change.function is not None:
        where = f"{where}: {change.function}()"
        parts = bodies(text, change.function)
        if not parts:
            raise UsageError(f"{where}: no such function")
    found = [
        (start + first, start + last)
        for start, end in parts
        for first, last in occurrences(text[start:end], change.find)
    ]
    if len(found) != 1:
        count = "is not there" if not found else f"is there {len(found)} times"
        raise UsageError(f"{where}: {_short(change.find)} {count}, once expected")
    [(first, last)] = found
    return (text[:first] + change.replace + text[last:]).encode(errors="surrogateescape")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return repr(line if len(line) <= 60 else f"{line[:57]}...")
