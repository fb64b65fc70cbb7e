# SPDX-License-Identifier: GPL-2.0-only
"""A whole build of a tree of a few files, with the real compiler."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.build import Made, Wish, build, load_build
from difffuzz.native.cache import Cache

from . import fake_tree
from .needs import needs

pytestmark = [needs("gcc", "ld", "patch"), pytest.mark.usefixtures("tools")]

MMU_C = "arch/x86/kvm/mmu/mmu.c"
CHANGE = """\
subject = "another answer"
[[change]]
file = "arch/x86/kvm/x86.h"
find = "X86_ANSWER 40"
replace = "X86_ANSWER 50"
"""


class Builder:
    """Builds with gcc and remembers what was said."""

    def __init__(self, tree: Path, harness: Path, cache: Cache) -> None:
        self.wish = Wish(tree=tree, harness=harness, coverage=False)
        self.cache = cache
        self.said: list[str] = []

    def __call__(self, **changes: object) -> Made:
        self.said.clear()
        return build(msgspec.structs.replace(self.wish, **changes), self.cache, self.said.append)

    def error(self, **changes: object) -> str:
        with pytest.raises(UsageError) as caught:
            self(**changes)
        assert "\n" not in str(caught.value)
        return str(caught.value)


@pytest.fixture
def make(tree: Path, harness: Path, cache: Cache) -> Builder:
    """Builds the fake tree."""
    return Builder(tree, harness, cache)


def answer(made: Made) -> int:
    """What the library says. A copy is loaded: the system knows a library by its name."""
    library = Path(made.build.library)
    copy = library.with_name(f"{made.build.digest}.so")
    shutil.copy(library, copy)
    return int(ctypes.CDLL(str(copy)).call_answer())


def test_the_library_runs(make: Builder) -> None:
    made = make()
    assert answer(made) == 42
    assert made.compiled == 3
    assert made.build.version == "6.1.192"
    assert made.build.units == ["kernel/mmu.c", "tree:arch/x86/kvm/mmu/tdp_mmu.c", "user.c"]
    assert ctypes.CDLL(made.build.library).kernel_number() == 6001


def test_the_record_is_found_by_name(make: Builder) -> None:
    made = make(name="mine")
    assert load_build(make.cache, "mine") == made.build
    with pytest.raises(UsageError, match=r"no native build 'other': run 'difffuzz native build"):
        load_build(make.cache, "other")


def test_nothing_is_done_twice(make: Builder) -> None:
    first = make()
    before = Path(first.build.library).stat().st_mtime_ns
    again = make()
    assert again.compiled == 0
    assert again.build == first.build
    assert Path(again.build.library).stat().st_mtime_ns == before
    assert make.said == []


def test_only_what_changed_is_compiled(make: Builder, tree: Path) -> None:
    make()
    header = tree / "arch/x86/kvm/x86.h"
    header.write_text("#define X86_ANSWER 10\n")
    made = make()
    assert (answer(made), made.compiled) == (12, 1)
    header.write_text("#define X86_ANSWER 40\n")
    made = make()
    assert (answer(made), made.compiled) == (42, 0)


def test_a_shim_that_is_added_is_seen(make: Builder, harness: Path) -> None:
    make()
    fake_tree.write_files(harness, {"shim/asm/page.h": ""})
    assert make().compiled == 2


def test_another_tree_of_the_same_content_needs_no_compiler(
    make: Builder, tree: Path, tmp_path: Path
) -> None:
    make()
    shutil.copytree(tree, tmp_path / "copy")
    assert make(tree=tmp_path / "copy").compiled == 0


def test_the_tree_is_never_written_to(make: Builder, tree: Path, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(CHANGE)
    before = fake_tree.snapshot(tree)
    make()
    make(patches=[tmp_path / "a.toml"])
    assert fake_tree.snapshot(tree) == before


def test_a_patch_shows_in_its_own_build_only(make: Builder, tmp_path: Path) -> None:
    plain = make()
    (tmp_path / "fifty.toml").write_text(CHANGE)
    patched = make(patches=[tmp_path / "fifty.toml"])
    assert patched.build.name == "fifty"
    assert answer(patched) == 52
    again = make()
    assert (again.build, again.compiled) == (plain.build, 0)
    assert answer(again) == 42


def test_a_patch_of_what_was_configured_is_warned_of(make: Builder, tmp_path: Path) -> None:
    make()
    text = CHANGE.replace("arch/x86/kvm/x86.h", "arch/x86/Kconfig").replace("X86_ANSWER 40", "bool")
    (tmp_path / "a.toml").write_text(text)
    make(patches=[tmp_path / "a.toml"])
    assert "warning: arch/x86/Kconfig: configured and prepared without the patch" in make.said


def test_what_nobody_defines_says_its_name(make: Builder) -> None:
    made = make()
    assert made.build.stubs == ["nobody"]
    assert made.build.variables == ["nothing"]
    script = "import ctypes, sys; ctypes.CDLL(sys.argv[1]).call_reach()"
    done = subprocess.run(
        [sys.executable, "-c", script, made.build.library],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (7, "nobody\n")


def test_a_syntax_error_is_one_line(make: Builder, tree: Path) -> None:
    file = tree / MMU_C
    file.write_text(file.read_text().replace("return ANSWER;", "return ANSWER"))
    said = make.error()
    assert said.startswith(f"{MMU_C}:7: expected ';'")
    assert said.endswith("/log/kernel-mmu.log)")


def test_a_call_of_nothing_is_an_error(make: Builder, tree: Path) -> None:
    file = tree / MMU_C
    file.write_text(file.read_text().replace("return inner();\n}", "return iner();\n}"))
    assert f"{MMU_C}:11: implicit declaration of function 'iner'" in make.error()


def test_a_missing_header_is_named(make: Builder, tree: Path) -> None:
    (tree / "arch/x86/kvm/x86.h").unlink()
    assert make.error().startswith("arch/x86/kvm/mmu/mmu_internal.h:1: ../x86.h: No such file")


def test_a_function_that_the_harness_needs_is_named(make: Builder, tree: Path) -> None:
    file = tree / MMU_C
    file.write_text(file.read_text().replace("int answer", "static int answer"))
    said = make.error()
    assert "Linux 6.1.192 has no answer(), which harness/native/kernel/mmu.c should" in said


def test_a_symbol_defined_twice(make: Builder, tree: Path) -> None:
    file = tree / "arch/x86/kvm/mmu/tdp_mmu.c"
    file.write_text(file.read_text() + "int answer(void) { return 1; }\n")
    said = make.error()
    assert said.startswith(
        "arch/x86/kvm/mmu/tdp_mmu.c:2: answer is also defined at harness/native/ke"
    )


def test_an_unknown_version_is_tried(make: Builder, tree: Path, harness: Path) -> None:
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("LEVEL = 1\n", "LEVEL = 7\n"))
    make()
    assert make.said[0] == "warning: Linux 6.7.192 is not tested, trying it as 6.1"
    file = harness / "kernel/mmu.c"
    file.write_text(file.read_text() + "bad\n")
    assert "[the harness knows Linux 6.1, not 6.7: what differs goes into" in make.error()


def test_a_tree_of_6_12_gets_the_units_for_it(make: Builder, tree: Path, harness: Path) -> None:
    makefile = tree / "Makefile"
    makefile.write_text(makefile.read_text().replace("LEVEL = 1\n", "LEVEL = 12\n"))
    fake_tree.write_files(harness, {"kernel/only_new.c": "int only_new(void) { return 1; }\n"})
    assert "kernel/only_new.c" in make().build.units


@pytest.mark.parametrize("name", ["a/b", "..", "a:b", "a+b", "a b"])
def test_a_bad_name(make: Builder, name: str) -> None:
    assert "build name" in make.error(name=name)


def test_no_tree_was_fetched(make: Builder) -> None:
    assert make.error(tree=None).startswith("no kernel tree: run 'difffuzz native fetch'")


def test_not_a_kernel_tree(make: Builder, tree: Path) -> None:
    (tree / "virt/kvm/kvm_main.c").unlink()
    assert make.error().endswith("no kernel tree, virt/kvm/kvm_main.c is not there")


def test_coverage_needs_clang(make: Builder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(MissingTool, match="apt-get install clang-14"):
        make(coverage=True)
    with pytest.raises(MissingTool, match="apt-get install gcc"):
        make()
