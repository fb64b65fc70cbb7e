# SPDX-License-Identifier: GPL-2.0-only
"""What a tree has is found by looking; how it compiles C is read from its own build."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.native.features import Feature, feature_flags, read_features
from difffuzz.native.recipe import COMMAND, accepted, tree_flags
from difffuzz.native.run import find
from difffuzz.native.toolchain import compiler_at
from difffuzz.shipped import HARNESS

from .fake_tree import write_files

MENTIONED = re.compile(r"\bHAS_[A-Z0-9_]+\b")
FEATURES = (
    Feature("NEW_NAME", ("a.h", "b.h"), r"\bnew_name\(", "..."),
    Feature("OLD_NAME", ("a.h",), r"\bold_name\(", "..."),
)


def test_a_feature_is_there_if_one_of_its_files_has_it(tmp_path: Path) -> None:
    write_files(tmp_path, {"a.h": "int old_name(void);\n"})
    assert feature_flags(FEATURES, tmp_path) == ["-DHAS_NEW_NAME=0", "-DHAS_OLD_NAME=1"]
    write_files(tmp_path, {"b.h": "int new_name(void);\n"})
    assert feature_flags(FEATURES, tmp_path) == ["-DHAS_NEW_NAME=1", "-DHAS_OLD_NAME=1"]


def test_the_version_does_not_matter(tmp_path: Path) -> None:
    """A tree between two releases is what it has, whatever its Makefile says."""
    write_files(tmp_path, {"a.h": "int new_name(void);\n", "Makefile": "VERSION = 99\n"})
    assert feature_flags(FEATURES, tmp_path) == ["-DHAS_NEW_NAME=1", "-DHAS_OLD_NAME=0"]


def test_the_harness_asks_for_what_is_listed_and_for_all_of_it() -> None:
    listed = {f"HAS_{one.name}" for one in read_features(HARNESS)}
    asked = {
        name
        for path in sorted(HARNESS.rglob("*.[ch]"))
        for name in MENTIONED.findall(path.read_text())
    }
    assert asked == listed
    assert not [
        path for path in sorted(HARNESS.rglob("*.[ch]")) if "DIFFFUZZ_KERNEL" in path.read_text()
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[[feature]]\nname = 'A'\n", "missing required field"),
        ("[[feature]]\nname = 'A'\nfiles = []\npattern = '('\nwhat = ''\n", "unterminated"),
        ("feature = 1\n", "Expected `array`"),
        ("[", ""),
    ],
)
def test_a_list_that_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "features.toml").write_text(text)
    with pytest.raises(UsageError, match=rf"features\.toml: .*{says}"):
        read_features(tmp_path)


def test_a_tree_s_flags_are_those_that_say_what_c_means(tmp_path: Path) -> None:
    words = (
        "gcc -Wp,-MMD,x -nostdinc -I./include -D__KERNEL__ -fmacro-prefix-map=./= -Wall"
        " -std=gnu11 -fms-extensions -fshort-wchar -funsigned-char -fno-strict-aliasing -fno-PIE"
        " -mcmodel=kernel -mno-sse -m64 -mindirect-branch=thunk-extern -fstack-protector-strong"
        " -fcf-protection=branch -pg -mfentry -O2 -g -fpatchable-function-entry=16,16"
        " -ftrivial-auto-var-init=zero -DKBUILD_MODNAME='\"bounds\"' -S -o x x.c"
    )
    expected = ["-std=gnu11", "-fms-extensions", "-fshort-wchar", "-funsigned-char"]
    expected += ["-fno-strict-aliasing", "-mno-sse", "-m64"]
    for prefix in ("cmd", "savedcmd"):
        write_files(tmp_path, {COMMAND: f"{prefix}_kernel/bounds.s := {words}\n\ndeps := a\n"})
        assert tree_flags(tmp_path) == expected


def test_make_that_left_no_command(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="make has not noted how it compiles"):
        tree_flags(tmp_path)


def test_a_compiler_is_not_given_what_it_does_not_know() -> None:
    path = find("gcc")
    assert path is not None
    compiler = compiler_at(path, False)
    words = ["-std=gnu11", "-fno-such-flag-at-all", "-fshort-wchar"]
    assert accepted(compiler.path, compiler.identity, words) == ["-std=gnu11", "-fshort-wchar"]
