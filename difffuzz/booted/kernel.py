# SPDX-License-Identifier: GPL-2.0-only
"""A kernel that can be booted: its image and its modules, fetched or of the user's own."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from difffuzz.errors import UsageError
from difffuzz.native.cache import Cache

from .modules import found_below

IMAGE = "vmlinuz"
MODULES = "modules"
_MAGIC_AT = 0x202
_MAGIC = b"HdrS"
_VERSION_AT = 0x20E
_VERSION = re.compile(r"(\d+)\.(\d+)\S*")


class Kernel(NamedTuple):
    """Its release is what `uname -r` says."""

    image: Path
    modules: dict[str, Path]
    release: str
    name: str
    """What the user called it."""

    @property
    def number(self) -> tuple[int, int]:
        """(6, 12)."""
        found = _VERSION.match(self.release)
        assert found is not None
        return int(found[1]), int(found[2])

    @property
    def series(self) -> str:
        """6.12."""
        return "{}.{}".format(*self.number)

    @property
    def both_at_once(self) -> bool:
        """tdp_mmu may be set while kvm is loaded, and is read when a VM is made (up to 6.2)."""
        return self.number < (6, 3)


def fetched(cache: Cache, series: str) -> Kernel:
    """A kernel of the cache.  UsageError: it was not fetched."""
    folder = cache.kernels / series
    if not re.fullmatch(r"\d+\.\d+", series):
        raise UsageError(f"kernel {series!r}: expected one as 6.1, 6.12, 7.2")
    if not (folder / IMAGE).is_file():
        raise UsageError(
            f"kernel {series} is not here: run 'difffuzz kernel fetch {series}', or name one with "
            "--image and --modules"
        )
    return own(folder / IMAGE, folder / MODULES, series)


def own(image: Path, modules: Path | None, name: str = "") -> Kernel:
    """A kernel of the user's; `modules`: a folder below which they are, None: all is built in.

    UsageError: that is no bzImage, or no folder.
    """
    release = release_of(image)
    if modules is not None and not modules.is_dir():
        raise UsageError(f"{modules}: not a folder with modules")
    return Kernel(
        image, found_below(modules) if modules is not None else {}, release, name or release
    )


def release_of(image: Path) -> str:
    """The release that a bzImage states (Documentation/arch/x86/boot.rst, kernel_version)."""
    try:
        with image.open("rb") as file:
            head = file.read(0x10000)
    except OSError as error:
        raise UsageError(f"{image}: {error.strerror}") from None
    if head[_MAGIC_AT : _MAGIC_AT + 4] != _MAGIC:
        raise UsageError(f"{image}: not a kernel image (bzImage)")
    at = int.from_bytes(head[_VERSION_AT : _VERSION_AT + 2], "little") + 0x200
    text = head[at : head.find(b"\0", at)].decode("ascii", "replace").split(" ")[0]
    if not _VERSION.match(text):
        raise UsageError(f"{image}: it does not say which version it is")
    return text
