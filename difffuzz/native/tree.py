# SPDX-License-Identifier: GPL-2.0-only
"""A kernel tree of the user: is it one, and of what version?"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError

KNOWN = ((6, 1), (6, 12), (7, 2), (7, 3))
"""Versions that the harness is tested with."""

NEEDED = ("Makefile", "Kconfig", "include/linux/kvm_host.h", "virt/kvm/kvm_main.c")
MMU = "arch/x86/kvm/mmu/tdp_mmu.c"

_FIELD = re.compile(r"^(VERSION|PATCHLEVEL|SUBLEVEL|EXTRAVERSION)[ \t]*=[ \t]*(\S*)", re.MULTILINE)


class KernelTree(NamedTuple):
    """A tree that was looked at; `root` is absolute."""

    root: Path
    major: int
    minor: int
    patch: int
    extra: str

    @property
    def version(self) -> str:
        """As `make kernelversion` says it: 6.1.192."""
        return f"{self.major}.{self.minor}.{self.patch}{self.extra}"

    @property
    def series(self) -> str:
        """What `versions` in a patch or a unit means: 6.1."""
        return f"{self.major}.{self.minor}"

    @property
    def number(self) -> int:
        """DIFFFUZZ_KERNEL in the harness: 6001 for 6.1."""
        return self.major * 1000 + self.minor

    @property
    def known(self) -> bool:
        """Is the harness tested with this series?"""
        return (self.major, self.minor) in KNOWN


def open_tree(path: Path) -> KernelTree:
    """Look at the tree. UsageError: it is none, or has no TDP MMU in the layout we know."""
    root = Path(os.path.abspath(path.expanduser()))
    if not root.is_dir():
        raise UsageError(f"{path}: no such folder")
    for name in NEEDED:
        if not (root / name).is_file():
            raise UsageError(f"{path}: no kernel tree, {name} is not there")
    fields = dict(_FIELD.findall((root / "Makefile").read_text(errors="replace")))
    try:
        major, minor, patch = (int(fields[name]) for name in ("VERSION", "PATCHLEVEL", "SUBLEVEL"))
    except (KeyError, ValueError):
        raise UsageError(f"{path}/Makefile: VERSION, PATCHLEVEL, SUBLEVEL expected") from None
    if not (root / MMU).is_file():
        raise UsageError(f"{path}: Linux {major}.{minor} has no {MMU}")
    return KernelTree(root, major, minor, patch, fields.get("EXTRAVERSION", ""))
