# SPDX-License-Identifier: GPL-2.0-only
"""A KVM selftest as a patch: it applies, and compiles against the tree's own library."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.errors import UsageError
from difffuzz.export.c_form import UTIL, as_c
from difffuzz.export.reproducer import Reproducer
from difffuzz.export.selftest import FOLDER, as_selftest, look_at
from difffuzz.native.cache import default_cache
from difffuzz.native.fetch import source_path
from difffuzz.variants.catalogue import find
from tests.native.needs import missing, needs

from .samples import reproducer
from .test_c_form import compiles, every_operation

BUG = "ba6e3fe25543"
VERSION = "# SPDX\nVERSION = 6\nPATCHLEVEL = 14\nSUBLEVEL = 2\n"


def made(folder: Path, makefile: str, text: str) -> Path:
    """A tree that has what is looked at."""
    selftests = folder / FOLDER
    selftests.mkdir(parents=True)
    (folder / "Makefile").write_text(VERSION)
    (selftests / makefile).write_text(text)
    return folder


def applied(patch: str, tree: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tree, check=True)
    subprocess.run(["git", "apply", "-"], input=patch.encode(), cwd=tree, check=True)


@needs("git")
@pytest.mark.parametrize(
    ("makefile", "variable", "folder"),
    [
        ("Makefile", "TEST_GEN_PROGS_x86_64", "x86_64"),
        ("Makefile.kvm", "TEST_GEN_PROGS_x86", "x86"),
    ],
)
def test_the_layout_is_looked_up(tmp_path: Path, makefile: str, variable: str, folder: str) -> None:
    """Old trees have x86_64/ and one Makefile, new ones x86/ and Makefile.kvm."""
    text = (
        f"LIBKVM += lib/assert.c\n{variable} = {folder}/cpuid_test\n"
        f"{variable} += {folder}/smm_test\n{variable} += demand_paging_test\n\nall:\n"
    )
    tree = made(tmp_path, makefile, text)
    one = reproducer(find(BUG))
    patch = as_selftest(one, tree)
    assert "Linux 6.14.2" in patch
    applied(patch, tree)
    name = f"{folder}/{one.name}_test"
    changed = (tree / FOLDER / makefile).read_text()
    assert f"{folder}/smm_test\n{variable} += {name}\n{variable} += demand_paging" in changed
    assert (tree / FOLDER / f"{name}.c").read_text() == as_c(one, UTIL)


@needs("git")
def test_notes_are_no_patch(tmp_path: Path) -> None:
    """Words of a note, however they fall into lines, change no file of the tree."""
    evil = "\u2028\x0c" + "x " * 30 + "--- a/Makefile +++ b/Makefile @@ -1 +1 @@ -# SPDX +evil"
    tree = made(tmp_path, "Makefile", "TEST_GEN_PROGS_x86_64 = x86_64/cpuid_test\n")
    one = reproducer(find(BUG))
    patch = as_selftest(one._replace(notes=dict.fromkeys(("signature", "detail"), evil)), tree)
    starts = [line for line in patch.split("\n") if line.startswith(("--- a/", "--- /dev"))]
    assert starts == [f"--- a/{FOLDER}/Makefile", "--- /dev/null"]
    applied(patch, tree)
    assert (tree / "Makefile").read_text() == VERSION


def test_a_tree_without_selftests(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UsageError, match="expected a kernel tree with KVM selftests"):
        look_at(tmp_path)
    path = tmp_path / "it"
    path.write_text(find(BUG).program)
    assert main(["export", str(path), "--to", "selftest"]) == 2
    assert main(["export", str(path), "--to", "c", "--tree", str(tmp_path)]) == 2
    assert main(["export", str(path), "--to", "selftest", "--tree", str(tmp_path)]) == 2
    assert "Traceback" not in capsys.readouterr().err


def tree_of_6_1() -> Path:
    tree = source_path(default_cache())
    if not tree.is_dir():
        missing("no fetched Linux 6.1")
    return tree


def flags(tree: Path) -> list[str]:
    """Those of the selftests' Makefile, with the headers that lie in the tree."""
    tests = tree / FOLDER
    folders = [
        tree / "tools/include",
        tree / "tools/arch/x86/include",
        tests / "include",
        tests / "include/x86_64",
        tests.parent / "rseq",
        tests.parent,
    ]
    warnings = ["-Wall", "-Wstrict-prototypes", "-Wuninitialized", "-Werror"]
    found = [f"-I{folder}" for folder in folders]
    return ["-x", "c", "-fsyntax-only", "-O2", "-std=gnu99", *warnings, *found]


@needs("gcc")
@pytest.mark.parametrize(
    "one",
    [
        every_operation("lockstep"),
        every_operation("concurrent"),
        reproducer(find(BUG)),
        reproducer(find("own-clear-log-edge")),
    ],
    ids=["every", "every-concurrent", BUG, "edge"],
)
def test_it_compiles_against_the_library_of_a_tree(one: Reproducer) -> None:
    compiles(as_c(one, UTIL), *flags(tree_of_6_1()))


def test_a_patch_for_a_real_tree() -> None:
    tree = tree_of_6_1()
    one = reproducer(find(BUG))
    patch = as_selftest(one, tree)
    subject, _, rest = patch.partition("\n")
    assert subject.startswith("Subject: [PATCH] KVM: selftests: ")
    assert "+++ b/tools/testing/selftests/kvm/Makefile\n" in rest
    assert f"+TEST_GEN_PROGS_x86_64 += x86_64/{one.name}_test\n" in rest
