# SPDX-License-Identifier: GPL-2.0-only
"""What objects want, and the stubs for what nobody defines."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from difffuzz.native.elf import Symbols, read_symbols
from difffuzz.native.stubs import Stubs, assembly, needed, renaming

from .needs import needs

C = """\
#pragma GCC visibility push(hidden)
extern int called(void), taken(void), weak(void) __attribute__((weak));
int plain(void);
extern int variable;
static int inside(void) { return variable; }
int (*both(void))(void) { return weak ? taken : called; }
int use(void) { variable++; return plain() + called() + inside(); }
"""


def symbols(defined: str = "", wanted: str = "", read: str = "") -> Symbols:
    return Symbols(defined.split(), [], wanted.split(), read.split())


@needs("gcc")
def test_an_object_says_what_it_wants(tmp_path: Path) -> None:
    (tmp_path / "a.c").write_text(C)
    command = ["gcc", "-O1", "-fPIC", "-fno-inline", "-c", "-o", "a.o", "a.c"]
    subprocess.run(command, cwd=tmp_path, check=True)
    found = read_symbols(tmp_path / "a.o")
    assert sorted(found.defined) == ["both", "use"]
    assert "inside" in found.local
    assert sorted(set(found.wanted) - {"_GLOBAL_OFFSET_TABLE_"}) == [
        "called",
        "plain",
        "taken",
        "variable",
    ]
    assert found.read == ["variable"]


def test_no_object() -> None:
    with pytest.raises(ValueError, match="no 64-bit ELF object"):
        read_symbols(Path(__file__))


def test_what_another_object_defines_needs_no_stub() -> None:
    kernel = [symbols("a", "b c"), symbols("b", "a d", "d")]
    found = needed(kernel, [symbols("c")], [])
    assert (found.functions, found.variables) == ([], ["d"])


def test_the_harness_takes_the_place_of_a_name() -> None:
    found = needed([symbols("", "memcpy printk")], [symbols("native_memcpy")], [])
    assert (found.functions, found.forwarded) == (["printk"], ["memcpy"])
    assert "memcpy:\njmp native_memcpy\n" in assembly(found)


def test_the_kernel_does_not_get_the_c_librarys() -> None:
    """A stub of that name would be what the harness's own side calls, too."""
    found = needed([symbols("", "snprintf memcpy")], [symbols("native_memcpy", "snprintf")], [])
    assert found.renamed == ["snprintf"]
    assert renaming(found) == "snprintf kernels_snprintf\n"
    text = assembly(found)
    assert "\nkernels_snprintf:\n" in text
    assert "\nsnprintf:\n" not in text
    assert '1: .asciz "snprintf"' in text


def test_what_is_kept_undefined_gets_none() -> None:
    assert needed([symbols("", "kept other")], [], ["kept"]).functions == ["other"]


@pytest.mark.parametrize(
    "name",
    [
        "__start___ex_table",
        "__stop___ex_table",
        "__sanitizer_cov_bool_flag_init",
        "_GLOBAL_OFFSET_TABLE_",
        "native_unreached",
        "native_absent_start",
    ],
)
def test_what_the_linker_or_the_harness_has(name: str) -> None:
    assert needed([symbols("", name)], [], []).functions == []


def test_each_stub_has_its_name_and_section() -> None:
    text = assembly(Stubs(["one", "two"], ["place"], [], []))
    for name in ("one", "two"):
        assert f'.section .text.stub.{name},"ax",@progbits' in text
        assert f".hidden {name}\n" in text
        assert f'.asciz "{name}"' in text
    assert "place:\n.skip 4096" in text
