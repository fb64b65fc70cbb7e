# SPDX-License-Identifier: GPL-2.0-only
"""Takes from this process what code that is only tried has no use for: writing, starting, time.

Landlock refuses every change of the file system and every program to start; files may still be
read.  Where the kernel has none, limits of resources remain: no file grows, and time and memory
end.
"""

from __future__ import annotations

import resource
from typing import Final

from .landlock import ALL, READS, restrict

CPU_SECONDS: Final = 20
MEMORY: Final = 2 << 30
"""Bytes of address space."""


def confine() -> bool:
    """For good, and for every child.  True if the kernel refuses writes by Landlock."""
    for limit, most in (
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_AS, MEMORY),
    ):
        resource.setrlimit(limit, (most, most))
    return restrict(ALL & ~READS)
