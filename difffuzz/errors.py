# SPDX-License-Identifier: GPL-2.0-only
"""The errors that end the command line with one line and an exit status."""

from __future__ import annotations

import errno
from pathlib import Path

FULL = (errno.ENOSPC, errno.EDQUOT)
"""No room for bytes, or for one more file."""
DENIED = (errno.EACCES, errno.EPERM, errno.EROFS)
"""This user may not write there, or nobody may."""


class UsageError(Exception):
    """Wrong use or bad input: exit status 2. The message is one line that names the place."""


class MissingTool(Exception):
    """The environment is not able: exit status 3.

    `what` is missing or broken; `command` is what the user runs to mend it.
    """

    def __init__(self, what: str, command: str) -> None:
        super().__init__(f"{what}: run '{command}'")
        self.what = what
        self.command = command


def unwritable(path: Path, error: OSError) -> UsageError | MissingTool:
    """What to raise for a place that the user named: a disk that is full or may not be written is
    the environment's fault."""
    if error.errno in FULL:
        return MissingTool(f"{path}: {error.strerror}", room_command(path))
    if error.errno in DENIED:
        return MissingTool(f"{path}: {error.strerror}", f"ls -ld {path.parent}")
    return UsageError(f"{path}: {error.strerror}")


def room_command(path: Path) -> str:
    """Says how many bytes and files fit where something could not be written."""
    return f"df -h {path}; df -i {path}"
