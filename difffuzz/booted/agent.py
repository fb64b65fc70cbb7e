# SPDX-License-Identifier: GPL-2.0-only
"""The agent: C of harness/agent, built by the system's gcc on first use, static."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from difffuzz.errors import MissingTool
from difffuzz.native.cache import Cache, short_digest
from difffuzz.native.run import Failed, install_command, required, run
from difffuzz.shipped import AGENT, to_restore

from .protocol import header

PACKAGES = ("gcc", "libc6-dev")
"""Debian's packages that build it."""
FLAGS = ("-O2", "-static", "-pthread", "-Wall", "-Wextra", "-Wno-override-init", "-std=gnu11")


def agent(cache: Cache) -> Path:
    """The agent's binary, for which the sources and the protocol are as they are now.

    MissingTool: no compiler, no static C library, or no sources.
    """
    sources = sorted(AGENT.glob("*.c"))
    if not sources:
        raise MissingTool(f"{AGENT} has no C", to_restore("harness/agent"))
    compiler = required("gcc", *PACKAGES)
    parts = [header(), *(path.read_text() for path in [*sources, *sorted(AGENT.glob("*.h"))])]
    binary = cache.root / "booted" / f"agent-{short_digest(*parts)}"
    if not binary.is_file():
        binary.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=binary.parent, prefix=".agent-") as name:
            work = Path(name)
            (work / "protocol.h").write_text(header())
            made = work / "agent"
            build(compiler, [str(one) for one in sources], made, f"-I{work}", f"-I{AGENT}")
            os.replace(made, binary)
    return binary


def build(compiler: str, sources: list[str], to: Path, *more: str) -> None:
    """A static binary.  MissingTool: the compiler says why not."""
    try:
        run([compiler, *FLAGS, *more, "-o", str(to), *sources])
    except Failed as failed:
        lines = [line for line in failed.output.splitlines() if "error" in line or "cannot" in line]
        told = lines[0] if lines else str(failed)
        raise MissingTool(f"gcc: {told}", install_command(*PACKAGES)) from None
