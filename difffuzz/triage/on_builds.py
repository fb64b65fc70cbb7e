# SPDX-License-Identifier: GPL-2.0-only
"""Runs a finding of the kernel's own code on builds of other trees, in processes of their own."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import UsageError
from ..native.build import Wish, build
from ..native.cache import default_cache
from ..sides.names import NATIVE, parse_name
from .bisect import Shows
from .record import Record, plain_signature

BUILD = "bisect"
"""The name of the builds, one after the other."""


def on_build(name: str) -> str:
    """The side of that name with the build in its place; a model stays."""
    parts = parse_name(name)
    return name if parts.build is None else f"{NATIVE}{BUILD}:{parts.base}"


def shows_with(record: Record, say: Callable[[str], None]) -> Shows:
    """What tells of a tree, with patches, whether the finding shows on a build of it.

    UsageError: it is none of the kernel's own code.
    """
    left, right = on_build(record.left), on_build(record.right)
    if (left, right) == (record.left, record.right):
        raise UsageError(f"{record.id}: neither of {record.sides} is a build of the kernel")

    def shows(tree: Path, patches: Sequence[Path]) -> bool | None:
        try:
            build(Wish(tree=tree, patches=patches, name=BUILD), default_cache(), say)
        except UsageError as error:
            say(str(error))
            return None
        return _replay(record, left, right)

    return shows


def _replay(record: Record, left: str, right: str) -> bool | None:
    """Whether the finding shows on these sides; None: it cannot be run."""
    with tempfile.NamedTemporaryFile("w", suffix=".difffuzz") as file:
        file.write(record.program)
        file.flush()
        command = [sys.executable, "-m", "difffuzz", "replay", file.name]
        command += ["--left", left, "--right", right, "--mode", record.mode, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1):
        return None
    wanted = plain_signature(record.signature)
    [answer] = json.loads(done.stdout)
    return any(plain_signature(one["signature"]) == wanted for one in answer["divergences"])
