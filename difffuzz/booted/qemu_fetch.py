# SPDX-License-Identifier: GPL-2.0-only
"""Fetch a QEMU of Debian that is new enough into the cache, with its own libraries.

Nothing is installed: its packages are unpacked, and a script starts it with its own libraries.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.cache import Cache, locked
from difffuzz.native.debian import Suite, checked, looked_in, suites

from .qemu import PACKAGE, PROGRAM, SOUND, Qemu, cached_qemu, find_qemu

KEPT: Final = ("lib", "lib64", "usr/lib", "usr/lib64", "usr/share/qemu", "usr/share/seabios")
"""Of the packages, besides the program."""
LOADER: Final = "ld-linux-x86-64.so.2"
_VERSION: Final = re.compile(r"(?:\d+:)?(\d+)\.(\d+)")


def fetch_qemu(cache: Cache, say: Callable[[str], None]) -> Qemu:
    """The QEMU; does nothing if it is there.  `say` takes a line of progress.

    UsageError: no suite has one that is new enough.  MissingTool: apt cannot be reached or asked.
    """
    if cached_qemu(cache) is None:
        with (
            locked(cache.qemu.parent),
            tempfile.TemporaryDirectory(dir=cache.qemu.parent, prefix=".fetch-") as temporary,
        ):
            if cached_qemu(cache) is None:
                work = Path(temporary)
                made = work / "made"
                _keep(_unpacked(work, say), made)
                find_qemu(made / PROGRAM)  # it runs here
                os.rename(made, cache.qemu)
    return find_qemu(cache.qemu / PROGRAM)


def _unpacked(work: Path, say: Callable[[str], None]) -> Path:
    for suite in suites(work, say):
        for target in ("", f"{suite.name}-backports"):
            packages = suite.needed(PACKAGE, target)
            version = packages.get(PACKAGE, "")
            if not is_sound(version):
                continue
            say(f"downloading QEMU {version} of {target or suite.name}: {len(packages)} packages")
            return _downloaded(suite, packages, work)
    raise UsageError(f"there is no QEMU {'.'.join(map(str, SOUND))} or newer in {looked_in()}")


def is_sound(version: str) -> bool:
    """Is a package's version, as 1:10.0.2+ds-2, of a QEMU that is new enough?"""
    found = _VERSION.match(version)
    return found is not None and (int(found[1]), int(found[2])) >= SOUND


def _downloaded(suite: Suite, packages: dict[str, str], work: Path) -> Path:
    root = work / "unpacked"
    for archive in suite.download_all(packages, work / "packages"):
        checked("dpkg-deb", "-x", str(archive), str(root))
    return root


def _keep(unpacked: Path, made: Path) -> None:
    """What it needs to run, and the script that starts it."""
    program = unpacked / "usr/bin" / PROGRAM
    if not program.is_file():
        raise MissingTool(f"Debian's package has no {PROGRAM}", "difffuzz kernel doctor")
    for name in (*KEPT, f"usr/bin/{PROGRAM}"):
        if (unpacked / name).exists():
            (made / name).parent.mkdir(parents=True, exist_ok=True)
            os.rename(unpacked / name, made / name)
    script = made / PROGRAM
    script.write_text("".join(f"{line}\n" for line in _script(made)))
    script.chmod(0o755)


def _script(made: Path) -> Iterator[str]:
    """The loader is the program, which finds nothing beside itself: it is told where to look."""
    [loader, *_] = sorted(path for path in made.rglob(LOADER) if path.is_file())
    folders = sorted({str(path.parent.relative_to(made)) for path in made.rglob("libc.so.6")})
    folders += [f"usr/{one}" for one in folders if (made / "usr" / one).is_dir()]
    yield "#!/bin/sh"
    yield "here=${0%/*}"
    yield f'exec "$here/{loader.relative_to(made)}" \\'
    yield f'  --library-path "{":".join(f"$here/{one}" for one in folders)}" \\'
    yield f'  "$here/usr/bin/{PROGRAM}" -L "$here/usr/share/qemu" -L "$here/usr/share/seabios" "$@"'
