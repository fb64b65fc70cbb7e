# SPDX-License-Identifier: GPL-2.0-only
"""The processes that work for a folder, as /proc has them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """One that has the folder in its command line."""

    pid: int
    parent: int
    command: str

    @property
    def kind(self) -> str:
        """worker, shrink, retesting, measuring, cover, supervisor; "" for another one."""
        words = {
            "difffuzz.fuzz.worker": "worker",
            "difffuzz.shrink": "shrink",
            "difffuzz.campaign.retesting": "retesting",
            "difffuzz.campaign.measuring": "measuring",
            "difffuzz.fuzz.cover": "cover",
            "campaign run": "supervisor",
            "difffuzz serve": "dashboard",
        }
        return next((kind for word, kind in words.items() if word in self.command), "")


def below(pid: int) -> list[Process]:
    """All descendants of a process."""
    everybody = list(_all())
    found: list[Process] = []
    parents = {pid}
    while True:
        more = [one for one in everybody if one.parent in parents and one not in found]
        if not more:
            return found
        found += more
        parents = {one.pid for one in more}


def left_over(folder: Path) -> list[Process]:
    """Those of a campaign that work for the folder."""
    return [one for one in _all() if one.kind and str(folder) in one.command]


def _all() -> list[Process]:
    found = []
    for path in Path("/proc").iterdir():
        if path.name.isdigit():
            with suppress(OSError, ValueError, IndexError):
                command = (path / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                fields = (path / "stat").read_text().rpartition(")")[2].split()
                if fields[0] != "Z":
                    found.append(Process(int(path.name), int(fields[1]), command))
    return found
