# SPDX-License-Identifier: GPL-2.0-only
"""A build of a few lines: does what a native build runs work here, and not only stand there?

Each trial says what is wrong in one line, or nothing.  The folder is of the caller's, and empty.
"""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable
from pathlib import Path

from ..errors import MissingTool, UsageError
from .elf import read_symbols
from .link import Parts, link
from .messages import Places, first_error
from .objects import Object
from .run import Failed, find, run
from .stubs import needed
from .toolchain import GCC, Compiler, bare_flags, libc_flags

ANSWER = 42
HOST_HEADERS = ("elf.h", "stdio.h")
"""What make's own programs include."""
_KERNEL_C = f"int absent(void);\nint ask(int all) {{ return all ? absent() : {ANSWER}; }}\n"
_USER_C = """\
#include <stdlib.h>
int ask(int);
void native_unreached(const char *name) { (void)name; abort(); }
__attribute__((visibility("default"))) int answer(void) { return ask(0); }
"""
_SYSTEM_HEADER = re.compile(r"^#include <([^>]+)>", re.MULTILINE)

Trial = Callable[[Path], str]


def host_program(folder: Path) -> str:
    """The compiler links a program of this machine's, and it runs: make builds some."""
    (folder / "program.c").write_text("int main(void) { return 0; }\n")
    return _said([[GCC, "-O2", "-o", "program", "program.c"], ["./program"]], folder)


def make(folder: Path) -> str:
    """make runs a shell that finds what the kernel's Makefiles use."""
    (folder / "Makefile").write_text("all:\n\t@echo one | sed s/one/two/ | grep -q two\n")
    return _said([["make", "-s", "all"]], folder)


def flex(folder: Path) -> str:
    """flex writes a scanner, with the help of m4."""
    (folder / "scan.l").write_text("%%\n. ;\n%%\n")
    return _said([["flex", "-o", "scan.c", "scan.l"]], folder)


def bison(folder: Path) -> str:
    """bison writes a parser, with the help of m4 too."""
    (folder / "parse.y").write_text("%token A\n%%\nall: A;\n%%\n")
    return _said([["bison", "-o", "parse.c", "parse.y"]], folder)


def bc(folder: Path) -> str:
    """bc calculates."""
    try:
        found = run(["bc", "-q"], cwd=folder, stdin="6*7\n").strip()
    except (Failed, OSError) as error:
        return str(error)
    except MissingTool as error:
        return error.what
    return "" if found == str(ANSWER) else f"6*7 is {found[:40]!r}"


TRIALS: dict[str, Trial] = {"make": make, "flex": flex, "bison": bison, "bc": bc, GCC: host_program}
"""By the tool that is tried."""


def headers_of(harness: Path) -> list[str]:
    """The C library's headers that a build includes."""
    found = set(HOST_HEADERS)
    for folder in ("user", "machine"):
        for path in (harness / folder).glob("*.[ch]"):
            found.update(_SYSTEM_HEADER.findall(path.read_text()))
    return sorted(found)


def missing_headers(harness: Path, folder: Path) -> str:
    """The compiler finds the C library's headers: it does not bring them."""
    lines = [f"#include <{name}>\n" for name in headers_of(harness)]
    (folder / "headers.c").write_text("#define _GNU_SOURCE\n" + "".join(lines))
    return _said([[GCC, "-fsyntax-only", "headers.c"]], folder)


def shared_object(compiler: Compiler, folder: Path) -> str:
    """Compiles as for the kernel and as for the C library, makes stubs, links, loads and calls."""
    (folder / "kernel.c").write_text(_KERNEL_C)
    (folder / "user.c").write_text(_USER_C)
    places = Places((folder, ""))
    library = folder / "try.so"
    try:
        objects = []
        for name, flags in (("kernel", bare_flags(compiler)), ("user", libc_flags(compiler))):
            made = folder / f"{name}.o"
            run([compiler.path, *flags, "-c", "-o", made.name, f"{name}.c"], cwd=folder)
            objects.append(Object(made, read_symbols(made)))
        kernel, user = objects
        stubs = needed([kernel.symbols], [user.symbols], ())
        link(Parts(compiler, [kernel], [user], stubs, ()), library, folder / "log", places)
        answer = ctypes.CDLL(str(library)).answer()
    except Failed as failed:
        return first_error(failed.output, places)
    except MissingTool as error:
        return error.what
    except (UsageError, OSError, ValueError) as error:
        return str(error)
    return "" if answer == ANSWER else f"what was built answers {answer}"


def works(tool: str, folder: Path) -> str:
    """What is wrong with a tool that is there."""
    trial = TRIALS.get(tool)
    return trial(folder) if trial is not None and find(tool) else ""


def _said(commands: list[list[str]], folder: Path) -> str:
    try:
        for command in commands:
            run(command, cwd=folder)
    except Failed as failed:
        return first_error(failed.output, Places((folder, ""))) or str(failed)
    except MissingTool as error:
        return error.what
    except OSError as error:
        return str(error)
    return ""
