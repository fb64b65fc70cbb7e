# SPDX-License-Identifier: GPL-2.0-only
"""A kernel's modules: which are needed, in which order, unpacked."""

from __future__ import annotations

import lzma
import re
from collections.abc import Iterable
from pathlib import Path

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.run import install_command

KVM = ("kvm", "kvm_amd", "kvm_intel")
VIRTIO = ("virtio_pci", "virtio_console")
GROUPS = {"virtio": VIRTIO, "kvm": KVM}
"""The lists in the initramfs, and what each is for."""

_DEPENDS = re.compile(rb"\0depends=([^\0]*)\0")
_NAME = re.compile(r"(.+)\.ko(\.xz|\.zst|\.gz)?")


def found_below(folder: Path) -> dict[str, Path]:
    """Modules by name, with `_` for `-`, wherever they are below the folder."""
    modules: dict[str, Path] = {}
    for path in sorted(folder.rglob("*.ko*")):
        match = _NAME.fullmatch(path.name)
        if match:
            modules.setdefault(match[1].replace("-", "_"), path)
    return modules


def content(path: Path) -> bytes:
    """The module, unpacked.  MissingTool: it is packed as zstd, for which Python has nothing."""
    data = path.read_bytes()
    if path.suffix == ".xz":
        try:
            return lzma.decompress(data)
        except lzma.LZMAError as error:
            raise UsageError(f"{path}: {error}") from None
    if path.suffix in (".zst", ".gz"):
        tool = "unzstd" if path.suffix == ".zst" else "gunzip"
        raise MissingTool(f"{path}: unpack it first", f"{tool} {path}")
    if not data.startswith(b"\x7fELF"):
        raise UsageError(f"{path}: not a module")
    return data


def depends(module: bytes) -> list[str]:
    """The modules that it needs, from its .modinfo."""
    found = _DEPENDS.search(b"\0" + module)
    names = found[1].decode().split(",") if found and found[1] else []
    return [name.replace("-", "_") for name in names]


class Closure:
    """Modules that are wanted and those that they need; others are taken to be built in."""

    def __init__(self, available: dict[str, Path]) -> None:
        self._available = available
        self.contents: dict[str, bytes] = {}
        """By file name, as in the initramfs."""

    def ordered(self, wanted: Iterable[str]) -> list[str]:
        """File names in the order in which they are loaded."""
        order: list[str] = []
        for name in wanted:
            self._visit(name, order)
        return order

    def _visit(self, name: str, order: list[str]) -> None:
        path = self._available.get(name)
        if path is None:
            return
        match = _NAME.fullmatch(path.name)
        assert match is not None
        file = f"{match[1]}.ko"
        if file in order:
            return
        if file not in self.contents:
            self.contents[file] = content(path)
        for needed in depends(self.contents[file]):
            self._visit(needed, order)
        order.append(file)


def tell_missing(what: str) -> MissingTool:
    """A kernel without a module, in one line."""
    return MissingTool(f"the kernel has no {what}", install_command("linux-image-amd64"))
