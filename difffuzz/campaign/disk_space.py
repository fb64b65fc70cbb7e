# SPDX-License-Identifier: GPL-2.0-only
"""Is there room on the disk?  Workers pause before it is full, so that nothing is lost."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

LEAST_BYTES: Final = 64 << 20
LEAST_FILES: Final = 500
LEAST_SHARE: Final = 0.05
"""Of a small disk: this much of it is enough."""


def no_room(folder: Path) -> str:
    """What there is too little of on the folder's disk, in words; empty if there is enough."""
    disk = os.statvfs(folder)
    free, size = disk.f_bavail * disk.f_frsize, disk.f_blocks * disk.f_frsize
    if free < min(LEAST_BYTES, LEAST_SHARE * size):
        return f"{free >> 10} KiB are left"
    # A file system that makes inodes as it needs them counts none.
    if disk.f_files and disk.f_favail < min(LEAST_FILES, LEAST_SHARE * disk.f_files):
        return f"{disk.f_favail} files are left"
    return ""
