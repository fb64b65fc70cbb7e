# SPDX-License-Identifier: GPL-2.0-only
"""The user's cache: where what is built from a kernel tree stays."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ..errors import UsageError

LIBRARY = "libkvmmmu.so"
LOCK = ".lock"


class Cache:
    """The folders below one root; `root` is absolute and may not exist yet.

    The root's name goes through make and the linker, which take a blank or a colon for an end.
    """

    __slots__ = ("root",)

    def __init__(self, root: Path) -> None:
        self.root = Path(os.path.abspath(root))
        if any(letter in str(self.root) for letter in " \t\n:#$'\"\\"):
            raise UsageError(
                f"cache {self.root}: make cannot work in a folder of such a name,"
                " set DIFFFUZZ_CACHE to another"
            )

    @property
    def sources(self) -> Path:
        """Fetched kernel trees."""
        return self.root / "sources"

    @property
    def kernels(self) -> Path:
        """Fetched kernels that can be booted, by series."""
        return self.root / "kernels"

    @property
    def qemu(self) -> Path:
        """A fetched QEMU."""
        return self.root / "qemu" / "fetched"

    @property
    def objects(self) -> Path:
        """Compiled units, by content."""
        return self.root / "native" / "objects"

    def headers(self, key: str) -> Path:
        """The C headers that the build writes, by their content."""
        return self.root / "native" / "headers" / key

    def shadow(self, tree: Path) -> Path:
        """The prepared shadow of a kernel tree (an absolute path)."""
        return self.root / "native" / "trees" / short_digest(str(tree))

    def patched(self, key: str) -> Path:
        """The shadow with patches applied."""
        return self.root / "native" / "patched" / key

    def build(self, name: str) -> Path:
        """The folder of the build of that name."""
        return self.root / "native" / "builds" / name


def default_cache() -> Cache:
    """The cache that the environment names: DIFFFUZZ_CACHE, else XDG_CACHE_HOME, else ~/.cache."""
    named = os.environ.get("DIFFFUZZ_CACHE")
    if named:
        return Cache(Path(named).expanduser())
    home = os.environ.get("XDG_CACHE_HOME")
    return Cache((Path(home) if home else Path.home() / ".cache") / "difffuzz")


def short_digest(*parts: str | bytes) -> str:
    """16 hexadecimal digits that name the parts."""
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)
    return digest.hexdigest()


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder (made if absent) against other processes. UsageError: it is not ours."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / LOCK).open("w")
    except OSError as error:
        raise UsageError(
            f"cache {folder}: {error.strerror}, DIFFFUZZ_CACHE may name another"
        ) from None
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file that is whole whenever it is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
