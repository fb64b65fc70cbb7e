# SPDX-License-Identifier: GPL-2.0-only
"""What booting a kernel needs of this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.cache import Cache
from difffuzz.native.doctor import Requirement

from .agent import agent
from .kernel import IMAGE
from .qemu import PATCHES_MORE, SOUND, find_qemu, lacks_nesting

SERIES = ("6.1", "6.12", "7.2")
"""Kernels that are looked for."""
_NEWER = "difffuzz kernel fetch qemu"


def requirements(cache: Cache, qemu: Path | None = None) -> list[Requirement]:
    """Look at everything."""
    return [qemu_requirement(cache, qemu), _agent(cache), *_kernels(cache), _kvm()]


def qemu_requirement(cache: Cache, named: Path | None = None) -> Requirement:
    """Which QEMU, and how to get a newer one."""
    try:
        found = find_qemu(named, cache)
    except MissingTool as error:
        return Requirement("QEMU", "MISSING", error.what, error.command)
    except UsageError as error:
        return Requirement("QEMU", "MISSING", str(error), "command -v qemu-system-x86_64")
    if found.version[:2] < SOUND:
        detail = (
            f"{found.text} at {found.path}: fine for kernels before "
            f"{'.'.join(map(str, PATCHES_MORE))};"
            " newer ones run on one thread, for its TCG breaks code that they patch (8.1 does not)"
        )
        return Requirement("QEMU", "ok", detail, _NEWER)
    return Requirement("QEMU", "ok", f"{found.text} at {found.path}")


def _agent(cache: Cache) -> Requirement:
    try:
        return Requirement("agent", "ok", str(agent(cache)))
    except MissingTool as error:
        return Requirement("agent", "MISSING", error.what, error.command)
    except OSError as error:
        return Requirement("agent", "MISSING", f"{error.filename}: {error.strerror}", "df -h")


def _kernels(cache: Cache) -> Iterator[Requirement]:
    for series in SERIES:
        image = cache.kernels / series / IMAGE
        if image.is_file():
            yield Requirement(f"kernel {series}", "ok", str(image))
        else:
            command = f"difffuzz kernel fetch {series}"
            yield Requirement(f"kernel {series}", "absent", "not fetched", command)


def _kvm() -> Requirement:
    """--accel kvm needs a processor that nests, and may be absent."""
    lack = lacks_nesting()
    if lack:
        return Requirement("nesting", "absent", f"{lack}: kernels run under TCG")
    return Requirement("nesting", "ok", "--accel kvm works here")
