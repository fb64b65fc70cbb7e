# SPDX-License-Identifier: GPL-2.0-only
"""Stand-ins for what the kernel's objects want and nobody defines: each says its name and ends.

A function's stub calls `difffuzz_unreached(name)` of the harness. A variable's stub is a page of
its own between `difffuzz_absent_start` and `difffuzz_absent_end`, which the harness can make
unreadable; `difffuzz_absent_names` has their names in order, each ended by a zero.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from .elf import Symbols

UNREACHED = "difffuzz_unreached"
ABSENT = ("difffuzz_absent_start", "difffuzz_absent_end", "difffuzz_absent_names")

NEVER = ("__start_", "__stop_", "__sanitizer_", "__asan_", "__tsan_", "__ubsan_")
NEVER_NAMES = frozenset(("_GLOBAL_OFFSET_TABLE_", UNREACHED, *ABSENT))


class Stubs:
    """What needs a stub."""

    __slots__ = ("functions", "variables")

    def __init__(self, functions: Collection[str], variables: Collection[str]) -> None:
        self.functions = sorted(functions)
        self.variables = sorted(variables)


def needed(kernel: Iterable[Symbols], user: Iterable[Symbols], keep: Iterable[str]) -> Stubs:
    """What objects with the kernel's headers want, and neither they nor the others define.

    What objects with the C library's headers want is the linker's business, and so is a name that
    both want: memcpy() is the C library's for both, or the harness defines it.
    """
    wanted: set[str] = set()
    read: set[str] = set()
    defined = set(keep)
    for symbols in kernel:
        wanted.update(symbols.wanted)
        read.update(symbols.read)
        defined.update(symbols.defined)
    for symbols in user:
        defined.update(symbols.defined)
        defined.update(symbols.wanted)
    missing = {
        name for name in wanted - defined if name not in NEVER_NAMES and not name.startswith(NEVER)
    }
    return Stubs(missing - read, missing & read)


def assembly(stubs: Stubs) -> str:
    """The stubs as a file for the assembler. Sections of their own let the linker drop some."""
    lines = ['.section .note.GNU-stack,"",@progbits']
    for name in stubs.functions:
        lines += [
            f'.section .text.stub.{name},"ax",@progbits',
            *_symbol(name, "function"),
            "push %rbp",
            "mov %rsp, %rbp",
            "and $-16, %rsp",
            "lea 1f(%rip), %rdi",
            f"call {UNREACHED}",
            "ud2",
            f'1: .asciz "{name}"',
            f".size {name}, . - {name}",
        ]
    start, end, names = ABSENT
    lines += ['.section difffuzz_absent,"aw",@nobits', ".balign 4096", *_symbol(start, "object")]
    for name in stubs.variables:
        lines += [*_symbol(name, "object"), ".skip 4096", f".size {name}, 4096"]
    lines += _symbol(end, "object")
    lines += ['.section .rodata.difffuzz_absent_names,"a",@progbits', *_symbol(names, "object")]
    lines += [f'.asciz "{name}"' for name in stubs.variables]
    lines.append(".byte 0")
    return "\n".join(lines) + "\n"


def _symbol(name: str, kind: str) -> list[str]:
    return [f".globl {name}", f".hidden {name}", f".type {name}, @{kind}", f"{name}:"]
