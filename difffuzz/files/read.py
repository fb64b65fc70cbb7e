# SPDX-License-Identifier: GPL-2.0-only
"""Reads a file that the user named: a regular one or standard input, and no more than a limit."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path

from ..errors import UsageError

STDIN = Path("-")
MAX_FILE = 4 << 20
"""Bytes of the largest file of any kind that is read whole."""


def read_file(path: Path, limit: int = MAX_FILE) -> bytes:
    """The content; `-` is standard input.

    UsageError, with the file's name: it cannot be read, is no regular file (a device or a FIFO
    might never end), or is longer than `limit` bytes.
    """
    try:
        data = _stdin(limit) if path == STDIN else _regular(path, limit)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except ValueError as error:  # a NUL in the name
        raise UsageError(f"{path}: {error}") from error
    if len(data) > limit:
        raise UsageError(f"{path}: longer than {limit} bytes")
    return data


def read_text(path: Path, limit: int = MAX_FILE) -> str:
    """The same as text in UTF-8, with lines as they are: nothing but a line feed ends one."""
    data = read_file(path, limit)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UsageError(f"{path}: byte {error.start + 1}: expected UTF-8 text") from error


def _stdin(limit: int) -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise UsageError("-: standard input is closed")
    return sys.stdin.buffer.read(limit + 1)


def _regular(path: Path, limit: int) -> bytes:
    # Opening a FIFO would wait for a writer.
    with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        if stat.S_ISDIR(mode):
            raise UsageError(f"{path}: is a directory")
        if not stat.S_ISREG(mode):
            raise UsageError(f"{path}: is no regular file")
        return file.read(limit + 1)
