# SPDX-License-Identifier: GPL-2.0-only
"""Run a tool of the build, quietly, with its output in a log."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from ..errors import MissingTool

PACKAGES = {
    "gcc": "gcc",
    "clang-14": "clang-14",
    "ld": "binutils",
    "as": "binutils",
    "ar": "binutils",
    "nm": "binutils",
    "objcopy": "binutils",
    "objdump": "binutils",
    "make": "make",
    "flex": "flex",
    "bison": "bison",
    "bc": "bc",
    "m4": "m4",
    "awk": "mawk",
    "cmp": "diffutils",
    "bash": "bash",
    "sed": "sed",
    "grep": "grep",
    "patch": "patch",
    "tar": "tar",
    "xz": "xz-utils",
    "apt-get": "apt",
    "apt-cache": "apt",
    "dpkg-deb": "dpkg",
}
"""The Debian package that a tool is in."""

_INHERITED = ("PATH", "HOME", "TMPDIR", "http_proxy", "https_proxy", "no_proxy")


def environment() -> dict[str, str]:
    """What the tools see: nothing of the caller's that would steer make or a compiler."""
    kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {**kept, "LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"}


def find(tool: str) -> str | None:
    """The absolute path of a tool, or None."""
    return shutil.which(tool)


def required(tool: str, *packages: str) -> str:
    """The absolute path of a tool.  MissingTool says how to install it and what it needs."""
    path = find(tool)
    if path is None:
        packages = packages or (PACKAGES.get(tool, tool),)
        raise MissingTool(f"{tool} is not installed", install_command(*packages))
    return path


def install_command(*packages: str) -> str:
    """What a user of Debian types."""
    sudo = "" if os.geteuid() == 0 else "sudo "
    return f"{sudo}apt-get install {' '.join(packages)}"


class Failed(Exception):
    """A tool ended with a status other than 0; `output` is what it said (both streams)."""

    def __init__(self, tool: str, status: int, output: str) -> None:
        super().__init__(f"{tool} ended with status {status}")
        self.output = output


def run(
    command: Sequence[str], *, cwd: Path | None = None, log: Path | None = None, stdin: str = ""
) -> str:
    """Run and return what was said on both streams. Failed, or MissingTool: it is not installed."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=environment(),
            input=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="surrogateescape",
            check=False,
        )
    except FileNotFoundError:
        tool = command[0]
        raise MissingTool(
            f"{tool} is not installed", install_command(PACKAGES.get(tool, tool))
        ) from None
    if log is not None:
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(f"$ {' '.join(command)}\n{done.stdout}", errors="surrogateescape")
    if done.returncode:
        raise Failed(command[0], done.returncode, done.stdout)
    return done.stdout
