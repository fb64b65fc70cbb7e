# SPDX-License-Identifier: GPL-2.0-only
"""Names of files inside a kernel tree, as a patch of somebody else's gives them."""

from __future__ import annotations

from pathlib import Path

from ..errors import UsageError

MAX_NAME = 512
MAX_PART = 255
"""Bytes of the longest name in a folder: NAME_MAX."""


def checked_name(name: str, where: str) -> str:
    """The name, if it is one of a file below the tree.  UsageError begins with `where`.

    It is relative and plain: no `..`, no empty or overlong part, no control character.
    """
    parts = name.split("/")
    if (
        not name.isprintable()
        or len(name) > MAX_NAME
        or any(part in ("", ".", "..") or len(part.encode()) > MAX_PART for part in parts)
    ):
        shown = name if len(name) <= 80 else f"{name[:77]}..."
        shown = shown if shown.isprintable() and shown else ascii(shown)
        raise UsageError(f"{where}: {shown} is no name inside a kernel tree")
    return name


def tree_file(root: Path, name: str, where: str) -> Path:
    """Where the file of a checked name is, or would be.

    UsageError: a link on the way leads out of the tree.
    """
    path = root / name
    if not path.resolve().is_relative_to(root.resolve()):
        raise UsageError(f"{where}: {name} leads out of the tree by a symbolic link")
    return path
