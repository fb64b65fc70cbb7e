# SPDX-License-Identifier: GPL-2.0-only
"""One line out of what compilers, linkers and make say."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.native.messages import Places, first_error

PLACES = Places((Path("/shadow"), ""), (Path("/tree"), ""), (Path("/harness"), "harness/native/"))

GCC = """\
In file included from /harness/kernel/mmu.c:3:
arch/x86/kvm/mmu/mmu.c: In function 'f':
arch/x86/kvm/mmu/mmu.c:90:2: warning: unused variable 'x' [-Wunused-variable]
./include/linux/../../arch/x86/kvm/mmu/mmu.c:100:7: error: expected ';' before '}' token
  100 |  a b
arch/x86/kvm/mmu/mmu.c:101:7: error: another
"""


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (GCC, "arch/x86/kvm/mmu/mmu.c:100: expected ';' before '}' token"),
        ("/tree/a.c:1:1: fatal error: b.h: No such file", "a.c:1: b.h: No such file"),
        (
            "/harness/a.c:1:1: error: implicit f [-Werror,-Wimplicit-function-declaration]",
            "harness/native/a.c:1: implicit f",
        ),
        ("/shadow/a.c: Assembler messages:\n/shadow/a.c:9: Error: bad `x'", "a.c:9: bad `x'"),
        ("ld: a.o: in function `f':\na.c:(.text+0x1): multiple definition of `f'; b.o: first",
         "f is defined twice"),
        ("ld: b.o: in function `f':\n/tree/b.c:7: multiple definition of `f'; "
         "/o/a.o:/harness/a.c:3: first defined here",
         "b.c:7: f is also defined at harness/native/a.c:3"),
        ("ld: a.o: in function `f':\na.c:(.text+0x1): undefined reference to `g'",
         "g is defined nowhere"),
        ("ld: a.o: relocation R_X86_64_32S against `.text' can not be used",
         "relocation R_X86_64_32S against `.text' can not be used"),
        ("lib/Kconfig:2: can't open file \"x\"\nmake: *** [Makefile:1: y] Error 2",
         "lib/Kconfig:2: can't open file \"x\""),
        ("arch/x86/Kconfig:2:warning: odd\nmake: *** [Makefile:1: y] Error 2",
         "[Makefile:1: y] Error 2"),
        ("something else\nlast words\n", "last words"),
        ("", "no message"),
    ],
)  # fmt: skip
def test_the_first_error(output: str, line: str) -> None:
    assert first_error(output, PLACES) == line
