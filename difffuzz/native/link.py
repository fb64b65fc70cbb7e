# SPDX-License-Identifier: GPL-2.0-only
"""Link objects and stubs into the library."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ..errors import UsageError
from .cache import short_digest
from .elf import read_symbols
from .messages import Places, first_error
from .objects import Object
from .run import Failed, run
from .stubs import Stubs, assembly, renaming
from .toolchain import SANITIZERS, Compiler

FLAGS = (
    "-shared", "-Wl,-Bsymbolic", "-Wl,--gc-sections", "-Wl,-z,defs", "-Wl,-z,noexecstack",
    "-Wl,--build-id=none",
)  # fmt: skip


class Parts(msgspec.Struct):
    """What is linked: objects that see the kernel's headers, and the others."""

    compiler: Compiler
    kernel: list[Object]
    user: list[Object]
    stubs: Stubs
    flags: Sequence[str]

    def digest(self) -> str:
        """Names the library that comes out."""
        names = [f"{each.path.parent.name}/{each.path.name}" for each in (*self.kernel, *self.user)]
        stubs = msgspec.json.encode(self.stubs)
        return short_digest(self.compiler.identity, *FLAGS, *self.flags, *names, stubs)


def link(parts: Parts, library: Path, log: Path, places: Places) -> None:
    """Make the library; it is whole whenever it is there.

    UsageError: a symbol is defined twice, or the C library's side wants what nobody has.
    """
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".link-") as temporary:
        work = Path(temporary)
        (work / "stubs.s").write_text(assembly(parts.stubs))
        (work / "renamed").write_text(renaming(parts.stubs))
        compiler = parts.compiler.path
        flags = [*FLAGS, *(SANITIZERS if parts.compiler.sanitize else ()), *parts.flags]
        user = [str(each.path) for each in parts.user]
        commands = [
            [compiler, "-c", "-o", "stubs.o", "stubs.s"],
            ["ld", "-r", "-o", "kernel.o", *(str(each.path) for each in parts.kernel)],
            ["objcopy", "--redefine-syms=renamed", "kernel.o"],
            [compiler, *flags, "-o", library.name, "kernel.o", *user, "stubs.o"],
        ]
        try:
            for command in commands:
                run(command, cwd=work, log=log)
        except Failed as failed:
            line = first_error(failed.output, places)
            raise UsageError(f"{line} (linking, see {log})") from None
        os.replace(work / library.name, library)


def reachable(library: Path, stubs: Stubs) -> list[str]:
    """The functions whose stubs the linker has kept."""
    symbols = read_symbols(library)
    kept = {*symbols.defined, *symbols.local}
    return [name for name in stubs.functions if stubs.symbol(name) in kept]
