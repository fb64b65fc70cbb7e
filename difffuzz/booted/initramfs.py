# SPDX-License-Identifier: GPL-2.0-only
"""An initramfs: a cpio archive of the form "newc" (Documentation/driver-api/early-userspace)."""

from __future__ import annotations

from collections.abc import Mapping

_DIRECTORY = 0o040755
_FILE = 0o100755
_NODE = 0o020600
_CONSOLE = (5, 1)


def archive(files: Mapping[str, bytes]) -> bytes:
    """The archive; names are paths without a leading slash, their folders come by themselves."""
    parts: list[bytes] = []
    folders = {"dev"} | {
        "/".join(name.split("/")[:depth])
        for name in files
        for depth in range(1, name.count("/") + 1)
    }
    number = 1
    for folder in sorted(folders):
        parts.append(_entry(number, folder, _DIRECTORY, b""))
        number += 1
    parts.append(_entry(number, "dev/console", _NODE, b"", _CONSOLE))
    for name, data in files.items():
        number += 1
        parts.append(_entry(number, name, _FILE, data))
    parts.append(_entry(0, "TRAILER!!!", 0, b""))
    return b"".join(parts)


def _entry(
    number: int, name: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)
) -> bytes:
    """A header of 13 numbers, then the name and the data, each filled up to four bytes."""
    raw = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(raw), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    return head + bytes(-len(head) % 4) + data + bytes(-len(data) % 4)
