# SPDX-License-Identifier: GPL-2.0-only
"""Which lines of a tree a patch changes, as they are numbered after it."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import SequenceMatcher

from .patches import Files, current
from .tree import KernelTree


def changed_lines(
    tree: KernelTree, files: Files, *, taken_back: bool = False
) -> Iterator[tuple[str, int]]:
    """(file, line) of what is new or different in C files; the lines around what is gone.

    `files` is what apply_patches() makes of the tree; `taken_back`: that is what was there before
    the change, which the tree has.
    """
    for name in sorted(files):
        if not name.endswith((".c", ".h", ".S")):
            continue
        old, new = (
            (content or b"").decode(errors="replace").splitlines()
            for content in (current(tree, {}, name), files[name])
        )
        if taken_back:
            old, new = new, old
        for tag, _, _, first, last in SequenceMatcher(None, old, new, False).get_opcodes():
            if tag == "delete":
                first, last = max(0, first - 1), first + 1
            if tag != "equal":
                yield from ((name, number + 1) for number in range(first, min(last, len(new))))
