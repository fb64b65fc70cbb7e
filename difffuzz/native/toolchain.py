# SPDX-License-Identifier: GPL-2.0-only
"""Which compiler, and with which flags: the kernel's recipe, made fit for a shared library."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from ..errors import MissingTool
from .run import PACKAGES, find, install_command
from .tree import KernelTree
from .units import Unit

CLANG = "clang-14"
GCC = "gcc"

_HEADERS = (
    "arch/x86/include",
    "arch/x86/include/generated",
    "include",
    "arch/x86/include/uapi",
    "arch/x86/include/generated/uapi",
    "include/uapi",
    "include/generated/uapi",
    "arch/x86/kvm",
    "virt/kvm",
    ".",
)
_FORCED = ("compiler-version.h", "kconfig.h", "compiler_types.h")

_KERNEL = (
    "-nostdinc", "-std=gnu11", "-O2", "-g1", "-D__KERNEL__",
    # What the kernel's C means.
    "-fno-strict-aliasing", "-fno-common", "-fshort-wchar", "-fno-strict-overflow",
    "-fno-delete-null-pointer-checks",
    # No vector registers, as in the kernel: asm statements do not name them.
    "-m64", "-mno-sse", "-mno-mmx", "-mno-sse2", "-mno-3dnow", "-mno-avx", "-mno-80387",
    "-mno-red-zone", "-fcf-protection=none", "-fno-stack-protector",
    "-fno-asynchronous-unwind-tables",
    # A library instead of a kernel.
    "-fPIC", "-mcmodel=small", "-ffunction-sections", "-fdata-sections",
    # What is called without being declared would become a stub that nobody expects.
    "-Werror=implicit-function-declaration", "-Werror=implicit-int", "-Werror=return-type",
    "-Wno-pointer-sign", "-Wno-address-of-packed-member",
)  # fmt: skip
_KERNEL_GCC = (
    "-mpreferred-stack-boundary=4", "-mskip-rax-setup", "-fconserve-stack",
    "-fno-allow-store-data-races", "-fno-stack-clash-protection",
    "-Werror=incompatible-pointer-types", "-Werror=designated-init",
)  # fmt: skip
_KERNEL_CLANG = (
    "-fno-integrated-as", "-Werror=incompatible-pointer-types", "-Wno-gnu",
    "-Wno-unused-command-line-argument", "-Wno-tautological-constant-out-of-range-compare",
)  # fmt: skip
_MODULE = (
    "-DKBUILD_MODFILE=\"kvm\"",
    "-DKBUILD_MODNAME=\"kvm\"",
    "-D__KBUILD_MODNAME=kmod_kvm",
)  # fmt: skip
_LIBC = (
    "-std=gnu11", "-O2", "-g1", "-fPIC", "-fvisibility=hidden", "-fno-stack-protector",
    "-ffunction-sections", "-fdata-sections", "-Wall", "-Wextra",
    "-Werror=implicit-function-declaration",
    # A request that nobody answers.
    "-Werror=switch",
    # What is allocated once stays where no reset brings it back; clang would make variables of it.
    "-fno-builtin-malloc", "-fno-builtin-calloc", "-fno-builtin-realloc",
    "-fno-builtin-aligned_alloc",
)  # fmt: skip
_LIBC_GCC = ("-fno-tree-loop-distribute-patterns",)
_COVERAGE = ("-fsanitize-coverage=inline-bool-flag",)
_TRACE = ("-fsanitize-coverage=trace-pc",)
"""gcc calls at each block of code, from where it stands: reached.py makes lines of it."""
_STORES = ("-fsanitize=kernel-address", "-DDIFFFUZZ_STORES")
_STORES_GCC = (
    *_STORES, "-fasan-shadow-offset=0x7fff8000", "--param=asan-stack=0", "--param=asan-globals=0",
    "--param=asan-instrument-reads=0", "--param=asan-instrumentation-with-call-threshold=0",
)  # fmt: skip
_STORES_CLANG = (
    *_STORES,
    *("-mllvm", "-asan-mapping-offset=0x7fff8000", "-mllvm", "-asan-stack=0"),
    *("-mllvm", "-asan-globals=0", "-mllvm", "-asan-instrument-reads=0"),
    *("-mllvm", "-asan-instrumentation-with-call-threshold=0"),
)
"""A call before each store and none before loads (user/plain_stores.c); no shadow is looked at."""
_UNDEFINED = ("-fno-sanitize-recover=all",)
_KERNEL_SANITIZERS = ("-fsanitize=bounds,shift,bool,enum,unreachable,return", *_UNDEFINED)
"""Those of undefined behaviour that the kernel's C does not allow itself."""
_LIBC_SANITIZERS = (
    "-fsanitize=undefined", *_UNDEFINED,
    # Nothing around variables, which a reset copies, and frames, which an early leave jumps over.
    "-fsanitize=address", "--param=asan-globals=0", "--param=asan-stack=0",
)  # fmt: skip
SANITIZERS = ("-fsanitize=address,undefined",)


class Compiler(NamedTuple):
    """A compiler that is installed."""

    path: str
    clang: bool
    identity: str
    """Changes when another is installed in its place."""
    traced: bool = False
    """With gcc's notes of which code was passed."""
    sanitize: bool = False
    """With gcc's sanitizers of addresses and of undefined behaviour."""
    stores: bool = False
    """With a call before each store of the kernel's code."""

    @property
    def name(self) -> str:
        """As the user calls it."""
        return CLANG if self.clang else GCC


def choose_compiler(
    coverage: bool | None, sanitize: bool = False, traced: bool = False
) -> Compiler:
    """clang if coverage is wanted, or not said and clang is there; else gcc. MissingTool.

    `sanitize` and `traced` are gcc's, whatever `coverage` says.
    """
    if sanitize or traced:
        return choose_compiler(False)._replace(sanitize=sanitize, traced=traced)
    clang = find(CLANG)
    if coverage and clang is None:
        raise MissingTool(f"coverage needs {CLANG}", install_command(PACKAGES[CLANG]))
    with_clang = clang is not None and coverage is not False
    path = clang if with_clang else find(GCC)
    if path is None:
        raise MissingTool("no compiler", install_command(PACKAGES[GCC]))
    return compiler_at(path, with_clang)


def compiler_at(path: str, with_clang: bool) -> Compiler:
    """The compiler that is installed there."""
    real = os.path.realpath(path)
    stat = os.stat(real)
    return Compiler(path, with_clang, f"{real} {stat.st_size} {stat.st_mtime_ns}")


def flags(
    unit: Unit, tree: KernelTree, harness: Path, headers: Path, compiler: Compiler
) -> list[str]:
    """The flags of a unit, but for those that only place it: the same in every folder.

    `headers` are those that the build writes (abi/header.py).
    """
    own = [f"-DDIFFFUZZ_KERNEL={tree.number}", *unit.flags]
    if unit.target:
        own.append("-DDIFFFUZZ_TARGET")
        if compiler.clang:
            own += _COVERAGE
    if unit.kind == "kernel":
        if compiler.traced and not _is_assembly(unit):
            own += _TRACE
        if compiler.sanitize and not _is_assembly(unit):
            own += _KERNEL_SANITIZERS
        if compiler.stores and (unit.stores or unit.in_tree) and not _is_assembly(unit):
            own += _STORES_CLANG if compiler.clang else _STORES_GCC
        return [*_kernel_flags(unit, harness, compiler), f"-I{headers}", *own]
    if unit.kind == "asm":
        return ["-D__ASSEMBLY__", f"-I{harness}", *own]
    if compiler.sanitize:
        own += _LIBC_SANITIZERS
    return [*libc_flags(compiler), f"-I{harness}", f"-I{headers}", *own]


def libc_flags(compiler: Compiler) -> list[str]:
    """Those of a unit that sees the C library, wherever its headers are."""
    return [*_LIBC, *(() if compiler.clang else _LIBC_GCC)]


def bare_flags(compiler: Compiler) -> list[str]:
    """Those of a unit that sees the kernel's headers, without the headers."""
    if compiler.clang:
        return [*_KERNEL, *_KERNEL_CLANG]
    return [*_KERNEL, *_KERNEL_GCC]


def _kernel_flags(unit: Unit, harness: Path, compiler: Compiler) -> list[str]:
    shim = harness / "shim"
    found = [*bare_flags(compiler), *_MODULE]
    found.append(f'-DKBUILD_BASENAME="{unit.name}"')
    found += [f"-I{shim}", *(f"-I./{folder}" for folder in _HEADERS)]
    for header in _FORCED[:2] if _is_assembly(unit) else _FORCED:
        found += ["-include", f"./include/linux/{header}"]
    if _is_assembly(unit):
        found.append("-D__ASSEMBLY__")
    else:
        found += ["-include", str(shim / "prelude.h")]
    return found


def _is_assembly(unit: Unit) -> bool:
    return unit.source.endswith(".S")
