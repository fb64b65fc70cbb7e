# SPDX-License-Identifier: GPL-2.0-only
"""Takes from this process what code that is only tried has no use for: writing, starting, time.

Landlock (Linux 5.13 and later) refuses every change of the file system and every program to start,
and from 6.7 on TCP, too; files may still be read.  Where the kernel has none, limits of resources
remain: no file grows, and time and memory end.
"""

from __future__ import annotations

import ctypes
import resource
from typing import Final

CPU_SECONDS: Final = 20
MEMORY: Final = 2 << 30
"""Bytes of address space."""

_CREATE_RULESET: Final = 444
_RESTRICT_SELF: Final = 446
"""System calls; the same on all architectures."""
_VERSION: Final = 1
_NO_NEW_PRIVS: Final = 38
_FILES: Final = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
"""Rights on files that each version of Landlock knows of, as a mask."""
_READS: Final = 1 << 2 | 1 << 3
"""READ_FILE and READ_DIR: what stays."""
_TCP: Final = {4: 3}
"""Rights on the network: to bind and to connect."""


class _Ruleset(ctypes.Structure):
    """struct landlock_ruleset_attr: what is refused unless a rule allows it, and there is none."""

    _fields_ = (("handled_access_fs", ctypes.c_uint64), ("handled_access_net", ctypes.c_uint64))


def confine() -> bool:
    """For good, and for every child.  True if the kernel refuses writes by Landlock."""
    for limit, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY),
    ):
        resource.setrlimit(limit, (most, most))
    return _landlock()


def _landlock() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    version: int = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), _VERSION)
    if version < 1:
        return False
    rules = _Ruleset(_newest(_FILES, version) & ~_READS, _newest(_TCP, version))
    size = ctypes.sizeof(rules) if version >= 4 else ctypes.sizeof(ctypes.c_uint64)
    ruleset: int = libc.syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(size), 0)
    if ruleset < 0:
        return False
    if libc.prctl(_NO_NEW_PRIVS, 1, 0, 0, 0):
        return False
    return not libc.syscall(_RESTRICT_SELF, ruleset, 0)


def _newest(rights: dict[int, int], version: int) -> int:
    return max((mask for since, mask in rights.items() if since <= version), default=0)
