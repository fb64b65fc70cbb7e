# SPDX-License-Identifier: GPL-2.0-only
"""Link objects and stubs into the library."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from ..errors import UsageError
from .messages import Places, first_error
from .objects import Object
from .run import Failed, run
from .stubs import Stubs, assembly
from .toolchain import Compiler

FLAGS = (
    "-shared", "-Wl,-Bsymbolic", "-Wl,--gc-sections", "-Wl,-z,defs", "-Wl,-z,noexecstack",
    "-Wl,--build-id=none",
)  # fmt: skip


def link(compiler: Compiler, objects: list[Object], stubs: Stubs, library: Path, log: Path) -> None:
    """Make the library; it is whole whenever it is there.

    UsageError: a symbol is defined twice, or a unit of the C library's side wants what nobody has.
    """
    library.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=library.parent, prefix=".link-") as temporary:
        work = Path(temporary)
        source = work / "stubs.s"
        source.write_text(assembly(stubs))
        made = work / library.name
        inputs = [str(each.path) for each in objects]
        try:
            run([compiler.path, "-c", "-o", str(work / "stubs.o"), str(source)], log=log)
            run(
                [compiler.path, *FLAGS, "-o", str(made), *inputs, str(work / "stubs.o")],
                log=log,
            )
        except Failed as failed:
            raise UsageError(f"link: {first_error(failed.output, Places())} (see {log})") from None
        os.replace(made, library)
