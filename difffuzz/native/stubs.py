# SPDX-License-Identifier: GPL-2.0-only
"""Stand-ins for what the kernel's objects want and nobody defines.

- A name for which the harness has `native_NAME` is forwarded to that: memcpy() to native_memcpy().
- Another function says its name, and who called it, to `native_unreached(name, caller)` of the
  harness.
- A variable is a page of its own between `native_absent_start` and `native_absent_end`, which the
  harness can make unreadable; `native_absent_names` has the names in order, each ended by a zero.

The C library is for the harness's own side only. Where that side wants a name too, the kernel's
objects get the name with `kernels_` before it instead.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from .elf import Symbols

UNREACHED = "native_unreached"
ABSENT = ("native_absent_start", "native_absent_end", "native_absent_names")
OURS = "native_"
KERNELS = "kernels_"

NEVER = ("__start_", "__stop_", "__sanitizer_", "__asan_", "__tsan_", "__ubsan_")
NEVER_NAMES = frozenset(("_GLOBAL_OFFSET_TABLE_", UNREACHED, *ABSENT))


class Stubs(msgspec.Struct):
    """What stands in for what; names as the kernel's objects call them, sorted."""

    functions: list[str]
    variables: list[str]
    forwarded: list[str]
    renamed: list[str]
    """Those of all the others that the C library's side wants too."""

    def symbol(self, name: str) -> str:
        """The name that the stub defines."""
        return KERNELS + name if name in self.renamed else name


def needed(kernel: Iterable[Symbols], user: Iterable[Symbols], keep: Iterable[str]) -> Stubs:
    """Stubs for what the `kernel` objects want and neither they nor the `user` objects define."""
    wanted: set[str] = set()
    read: set[str] = set()
    users: set[str] = set()
    defined: set[str] = set()
    for symbols in kernel:
        wanted.update(symbols.wanted)
        read.update(symbols.read)
        defined.update(symbols.defined)
    for symbols in user:
        users.update(symbols.wanted)
        defined.update(symbols.defined)
    missing = {
        name
        for name in wanted - defined - set(keep)
        if name not in NEVER_NAMES and not name.startswith(NEVER)
    }
    forwarded = {name for name in missing if OURS + name in defined}
    rest = missing - forwarded
    return Stubs(
        functions=sorted(rest - read),
        variables=sorted(rest & read),
        forwarded=sorted(forwarded),
        renamed=sorted(missing & users),
    )


def assembly(stubs: Stubs) -> str:
    """The stubs as a file for the assembler. Sections of their own let the linker drop some."""
    lines = ['.section .note.GNU-stack,"",@progbits']
    for name in stubs.functions:
        lines += [
            *_function(stubs.symbol(name)),
            "push %rbp",
            "mov %rsp, %rbp",
            "mov 8(%rbp), %rsi",
            "and $-16, %rsp",
            "lea 1f(%rip), %rdi",
            f"call {UNREACHED}",
            "ud2",
            f'1: .asciz "{name}"',
        ]
    for name in stubs.forwarded:
        lines += [*_function(stubs.symbol(name)), f"jmp {OURS}{name}"]
    start, end, names = ABSENT
    lines += [f'.section {OURS}absent,"aw",@nobits', ".balign 4096", *_symbol(start, "object")]
    for name in stubs.variables:
        lines += [*_symbol(stubs.symbol(name), "object"), ".skip 4096"]
    lines += _symbol(end, "object")
    lines += [f'.section .rodata.{names},"a",@progbits', *_symbol(names, "object")]
    lines += [f'.asciz "{name}"' for name in stubs.variables]
    lines.append(".byte 0")
    return "\n".join(lines) + "\n"


def renaming(stubs: Stubs) -> str:
    """Lines for objcopy: old name, new name."""
    return "".join(f"{name} {stubs.symbol(name)}\n" for name in stubs.renamed)


def _function(name: str) -> list[str]:
    return [f'.section .text.stub.{name},"ax",@progbits', *_symbol(name, "function")]


def _symbol(name: str, kind: str) -> list[str]:
    return [f".globl {name}", f".hidden {name}", f".type {name}, @{kind}", f"{name}:"]
