# SPDX-License-Identifier: GPL-2.0-only
"""Imports a patched model in a process of its own, which may read files and do nothing else.

`try_patches()` is for whoever looks at a patch of somebody else's; the process that it starts runs
this module.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from .confine import confine
from .engine import IMPORT_SECONDS, load, patched
from .unified_diff import PatchError

MARK = "difffuzz-trial "


class Trial(msgspec.Struct):
    """What came of it.  `confined`: by Landlock; else limits of resources had to do."""

    package: str
    confined: bool


def try_patches(patches: Sequence[Path]) -> Trial:
    """Applies the patches here, imports the model there.  PatchError: either fails."""
    patched(patches)
    command = [sys.executable, "-m", __name__, *map(os.path.abspath, patches)]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            cwd="/",
            timeout=2 * IMPORT_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise _refused(patches, f"is not over after {2 * IMPORT_SECONDS:g} s") from None
    said = done.stdout.decode(errors="replace").splitlines()
    last = said[-1] if said else ""
    if done.returncode == 2 and last.startswith(MARK):
        raise PatchError("", "", 0, last.removeprefix(MARK))
    try:
        return msgspec.json.decode(last.removeprefix(MARK), type=Trial)
    except msgspec.DecodeError:
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        raise _refused(patches, f"ends the process that tries it, with {how}") from None


def _refused(patches: Sequence[Path], problem: str) -> PatchError:
    return PatchError(", ".join(map(str, patches)), "", 0, f"the patched model {problem}")


def main(arguments: list[str]) -> int:
    """Confines itself, then loads: prints one line with what came of it."""
    confined = confine()
    try:
        package = load([Path(name) for name in arguments]).__name__
    except PatchError as error:
        print(f"\n{MARK}{' '.join(str(error).split())}", flush=True)
        return 2
    print(f"\n{MARK}{msgspec.json.encode(Trial(package, confined)).decode()}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
