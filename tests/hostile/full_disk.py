# SPDX-License-Identifier: GPL-2.0-only
"""A disk of a few files, or of a few bytes: a tmpfs, which root may mount."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

MANY = 50_000
"""Files of a disk that ends by its bytes."""
MOUNT = ["mount", "-t", "tmpfs", "-o"]


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[Path]:
    """The disk, mounted on a new folder; a skip without root, but a failure where CI=true."""
    folder.mkdir()
    done = subprocess.run(
        [*MOUNT, options, "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode:
        what = f"a tmpfs cannot be mounted: {done.stderr.strip()}: run as root"
        if os.environ.get("CI") == "true":
            pytest.fail(what)
        pytest.skip(what)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def use_up(folder: Path) -> None:
    """Takes what is left of what there is less of, bytes or files."""
    try:
        for number in range(100_000):
            # What is there stays: to begin it anew would give room for a moment.
            with (folder / f"taken-{number}").open("ab", buffering=0) as file:
                if os.statvfs(folder).f_files > MANY:
                    while file.write(bytes(1 << 16)):
                        pass
    except OSError:
        return


def give_back(folder: Path) -> None:
    """There is room again."""
    for path in folder.glob("taken-*"):
        path.unlink()
