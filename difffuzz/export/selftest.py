# SPDX-License-Identifier: GPL-2.0-only
"""A KVM selftest as a patch against a kernel tree: a test by kvm_util, its line of the Makefile.

Where tests of x86 are, and what the Makefile's list of them is called, is looked up in the tree.
"""

from __future__ import annotations

import difflib
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..files.read import read_text
from .c_form import UTIL, as_c
from .cannot import remarks
from .reproducer import Reproducer
from .text import as_text

FOLDER = Path("tools/testing/selftests/kvm")
_LISTS = ("TEST_GEN_PROGS_x86_64", "TEST_GEN_PROGS_x86")
_WIDTH = 72
MAX_SUBJECT = 120


class Layout(NamedTuple):
    """How the selftests of a tree are laid out."""

    version: str
    """As in "6.1.192"."""
    makefile: str
    """Its name below FOLDER."""
    text: str
    """Its content."""
    folder: str
    """Where tests of x86 are, below FOLDER."""
    variable: str
    """The list of tests."""
    last: int
    """Index of the last line of the list that names a test in `folder`."""


def as_selftest(one: Reproducer, tree: Path) -> str:
    """The patch, with a message in front.  UsageError: the tree has no such selftests."""
    layout = look_at(tree)
    name = f"{one.name}_test"
    source = f"{FOLDER}/{layout.folder}/{name}.c"
    lines = _lines(layout.text)
    entry = f"{layout.variable} += {layout.folder}/{name}\n"
    changed = [*lines[: layout.last + 1], entry, *lines[layout.last + 1 :]]
    makefile = f"{FOLDER}/{layout.makefile}"
    patch = [
        *_diff(makefile, lines, changed),
        *_diff(source, [], _lines(as_c(one, UTIL))),
    ]
    return _message(one, layout, name) + "".join(patch)


def look_at(tree: Path) -> Layout:
    """The layout of the tree's selftests."""
    folder = tree / FOLDER
    for name in ("Makefile.kvm", "Makefile"):
        if (folder / name).is_file():
            text = read_text(folder / name)
            for variable in _LISTS:
                entry = re.compile(rf"{variable}\s*\+?=\s*(?P<folder>x86(?:_64)?)/\w+\n")
                lines = _lines(text)
                matches = [(at, entry.fullmatch(line)) for at, line in enumerate(lines)]
                named = [(at, match["folder"]) for at, match in matches if match]
                if named:
                    at, tests = named[-1]
                    return Layout(_version(tree), name, text, tests, variable, at)
    raise UsageError(f"{tree}: expected a kernel tree with KVM selftests of x86 in {FOLDER}")


def _lines(text: str) -> list[str]:
    """Lines with their ends, as a patch counts them: nothing but a line feed ends one."""
    return [f"{line}\n" for line in text.removesuffix("\n").split("\n")]


def _version(tree: Path) -> str:
    """What the tree's Makefile says that it is."""
    text = read_text(tree / "Makefile")
    parts = [
        re.search(rf"^{key} = *(\d+)$", text, re.MULTILINE)
        for key in ("VERSION", "PATCHLEVEL", "SUBLEVEL")
    ]
    return ".".join(part[1] for part in parts if part)


def _diff(path: str, before: list[str], after: list[str]) -> list[str]:
    old = f"a/{path}" if before else "/dev/null"
    new = [] if before else ["new file mode 100644\n"]
    lines = difflib.unified_diff(before, after, old, f"b/{path}")
    return [f"diff --git a/{path} b/{path}\n", *new, *lines]


def _message(one: Reproducer, layout: Layout, name: str) -> str:
    """The commit message, above the line that ends it.

    What notes say stands in the subject, or indented behind a `#`: nothing of it may be a patch.
    """
    paragraphs = [
        f"Subject: [PATCH] KVM: selftests: Add a test: {one.title}"[:MAX_SUBJECT],
        "A guest and its host do the steps of this program of difffuzz:",
        "\n".join(f"    {line}" for line in as_text(one).strip().split("\n")),
        *(textwrap.fill(f"- {line}", _WIDTH, subsequent_indent="  ") for line in remarks(one)),
        textwrap.fill(
            f"For the selftests of Linux {layout.version}: {layout.folder}/{name}.",
            _WIDTH,
        ),
    ]
    return "\n\n".join(paragraphs) + "\n---\n"
