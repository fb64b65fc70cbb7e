# SPDX-License-Identifier: GPL-2.0-only
"""Landlock (Linux 5.13 and later): a process gives up what it may do to files, for good.

Source: Documentation/userspace-api/landlock.rst of the kernel.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

EXECUTE: Final = 1 << 0
WRITE_FILE: Final = 1 << 1
READ_FILE: Final = 1 << 2
READ_DIR: Final = 1 << 3
READS: Final = READ_FILE | READ_DIR
ALL: Final = (1 << 16) - 1
"""Every right on files that this module knows of."""

_CREATE_RULESET: Final = 444
_ADD_RULE: Final = 445
_RESTRICT_SELF: Final = 446
"""System calls; the same on all architectures."""
_VERSION: Final = 1
_PATH_BENEATH: Final = 1
_NO_NEW_PRIVS: Final = 38
_FILES: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: ALL}
"""Rights on files that each version of Landlock knows of, as a mask."""
_OF_A_FILE: Final = EXECUTE | WRITE_FILE | READ_FILE
_TCP: Final = {4: 3}
"""Rights on the network: to bind and to connect."""


class _Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr: what is refused unless a rule allows it."""

    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    """struct landlock_path_beneath_attr."""

    _pack_ = 1
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


def restrict(refused: int, allowed: Iterable[tuple[Path, int]] = ()) -> bool:
    """For good, and for every child: the rights of `refused` are gone, and TCP, from 6.7 on.

    `allowed` has exceptions: a folder and all below it, or a file, and rights.  False, and nothing
    is changed, if this kernel has no Landlock.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    version: int = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    known = _newest(_FILES, version)
    rules = _Ruleset(known & refused, _newest(_TCP, version))
    size = ctypes.sizeof(rules) if version >= 4 else ctypes.sizeof(ctypes.c_uint64)
    ruleset: int = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    try:
        for path, rights in allowed:
            _allow(libc, ruleset, path, rights & known & refused)
        if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
            return False
        return not libc.syscall(_RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)


def _allow(libc: ctypes.CDLL, ruleset: int, path: Path, rights: int) -> None:
    """OSError if there is no such path, or the kernel refuses the rule."""
    place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        rule = _Beneath(rights if path.is_dir() else rights & _OF_A_FILE, place)
        if libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(place)


def _newest(rights: dict[int, int], version: int) -> int:
    return max((mask for since, mask in rights.items() if since <= version), default=0)
