# SPDX-License-Identifier: GPL-2.0-only
"""Everything that reads what somebody mailed: programs, patches of the model, patches of a tree."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from difffuzz.commands.loaded import Choice, load_program
from difffuzz.errors import UsageError
from difffuzz.files.notes import text_of
from difffuzz.files.printable import printable
from difffuzz.native.patches import apply_patches
from difffuzz.native.tree import KernelTree
from difffuzz.program import ProgramError, decode, encode, parse
from difffuzz.variants.engine import patched

TREE = {
    "virt/kvm/a.c": "int f(int a)\n{\n\tif (a)\n\t\treturn 1;\n\treturn 0;\n}\n",
    "arch/x86/kvm/b.c": "static int g(void)\n{\n\treturn f(2);\n}\n",
}
DIFF = """From: A Developer
Subject: x

---
diff --git a/virt/kvm/a.c b/virt/kvm/a.c
index 1234567..89abcde 100644
--- a/virt/kvm/a.c
+++ b/virt/kvm/a.c
@@ -2,4 +2,4 @@
 {
-\tif (a)
+\tif (!a)
 \t\treturn 1;
 \treturn 0;
--- a/arch/x86/kvm/b.c
+++ b/arch/x86/kvm/b.c
@@ -1,4 +1,5 @@
 static int g(void)
 {
+\tf(1);
 \treturn f(2);
 }
"""
CHANGES = """subject = "x"
undoes = "0123456789ab"
[[change]]
file = "virt/kvm/a.c"
function = "f"
find = "if (a)"
replace = "if (!a)"
versions = ["6.1"]

[[change]]
file = "arch/x86/kvm/b.c"
find = "f(2)"
replace = "f(3)"
"""


class Reader(NamedTuple):
    """`name` of the file that is read, texts to begin with, and what reads it."""

    name: str
    texts: tuple[bytes, ...]
    read: Callable[[Path], object]

    def __repr__(self) -> str:
        return self.name


def readers(folder: Path, corpus: Path, bugs: Path) -> list[Reader]:
    """Programs of `corpus`, patches of `bugs`; a small kernel tree is made in `folder`."""
    tree = KernelTree(folder / "tree", 6, 1, 0, "")
    for name, text in TREE.items():
        (tree.root / name).parent.mkdir(parents=True, exist_ok=True)
        (tree.root / name).write_text(text)
    programs = tuple(path.read_bytes() for path in sorted(corpus.glob("*/*"))[::9])
    patches = tuple(path.read_bytes() for path in sorted(bugs.glob("*.patch"))[::5])
    return [
        Reader("a.difffuzz", programs, read_program),
        Reader("a.difffuzz", programs, read_program),
        Reader("a.difffuzz", programs, read_program),
        Reader("a.patch", patches, lambda path: patched([path])),
        Reader("a.toml", (CHANGES.encode(),), lambda path: apply_patches(tree, [path])),
        Reader("a.diff", (DIFF.encode(),), lambda path: apply_patches(tree, [path])),
    ]


def read_program(path: Path) -> None:
    """As `replay` does up to the run; a program that is read comes back from both its forms."""
    loaded = load_program(path)
    loaded.sides(Choice())
    assert parse(text_of(loaded.program, loaded.notes), "again") == loaded.program
    assert decode(encode(loaded.program)) == loaded.program


def answer(reader: Reader, path: Path) -> str:
    """The one line with which a file is refused, "" if it is read.  Raises anything else."""
    try:
        reader.read(path)
    except (UsageError, ProgramError) as error:
        line = printable(str(error))
        assert "\n" not in line
        assert "Permission denied" not in line
        return line
    return ""
