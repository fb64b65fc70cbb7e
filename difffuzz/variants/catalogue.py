# SPDX-License-Identifier: GPL-2.0-only
"""The catalogue of historical bugs: facts (ID.toml) beside the patch that brings each one back.

A fact file has the fields of `Bug` below, apart from `patch`. A bug that the model cannot express
is `held`, says why, and has no patch.

Patches are against the base. On the model of a kernel (`kernels/v6.12.patch`, say) the same patch
applies, or one of its own that brings back the same bug: bugs/v6.12/ID.patch. A bug of what only
newer kernels have has no patch against the base, and says in `not_on.base` what the base lacks.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from ..errors import UsageError

DIRECTORY = Path(__file__).parent / "bugs"
PLANTED = Path(__file__).parent / "planted"
"""Bugs that nobody made: put in by hand, to measure the fuzzer by what it was not made for."""
BASE = "base"
"""The base, where a kernel is named."""
PATHS = {"T": "TDP MMU", "L": "legacy MMU", "B": "both"}


class Bug(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One historical bug."""

    id: str
    """Upstream commit that mended it."""
    subject: str
    path: str
    """Which MMU has it: T, L or B."""
    concurrent: bool
    """It needs concurrency, or a parked fault."""
    oracle: str
    """The oracle that reports it."""
    version: str = ""
    """The kernel in which it was mended."""
    why: str = ""
    """What was wrong; for a held bug also why the model cannot express it."""
    held: bool = False
    left: str = ""
    """Side to hunt it with, if not the default; `{patch}` stands for the patch's path."""
    right: str = ""
    program: str = ""
    """Text form of a program that shows it."""
    kernels: tuple[str, ...] = ()
    """Kernels whose model shows it too."""
    programs: dict[str, str] = {}
    """By kernel: a program of its own, where that of the base does not show it."""
    not_on: dict[str, str] = {}
    """By kernel, or "base": why there is nothing to bring back in its model."""
    meets: dict[str, tuple[str, ...]] = {}
    """By kernel: signatures of bugs of its own that the program meets, with this bug or without."""
    patch: Path | None = None

    def is_on(self, kernel: str) -> bool:
        """Can it be hunted on the model of that kernel, or on the base ("")?"""
        return kernel in self.kernels if kernel else self.patch is not None

    @property
    def delays(self) -> bool:
        """Its program delays a store: nothing shows it that does not."""
        return ".buffer" in self.program

    def sides(self, kernel: str = "") -> tuple[str, str]:
        """The sides to hunt it with: the patched one against the other MMU as it is.

        `kernel`: on the model of that kernel, else on the base.
        """
        default = ("legacy+{patch}", "tdp") if self.path == "L" else ("legacy", "tdp+{patch}")
        left, right = self.left or default[0], self.right or default[1]
        patch = self.patch_on(kernel)
        return _on(left, kernel).format(patch=patch), _on(right, kernel).format(patch=patch)

    def plain_sides(self, kernel: str = "") -> tuple[str, str]:
        """The same sides without the patch: what they show too is not this bug."""
        patch = f"+{self.patch_on(kernel)}"
        left, right = (side.replace(patch, "") for side in self.sides(kernel))
        return left, right

    def patch_on(self, kernel: str) -> Path | None:
        """The patch for the model of that kernel; the base's, unless it has one of its own."""
        own = DIRECTORY / kernel / f"{self.id}.patch"
        return own if kernel and own.exists() else self.patch

    def check_hunted(self, kernel: str) -> None:
        """UsageError with the reason if there is nothing to hunt on the model of that kernel."""
        if self.held:
            see = f"'difffuzz bugs show {self.id}'"
            raise UsageError(f"{self.id}: held, the model cannot express it: see {see}")
        where = kernel or BASE
        if where in self.not_on:
            raise UsageError(f"{self.id}: not on {where}: {self.not_on[where]}")

    def program_on(self, kernel: str) -> str:
        """The program for the model of that kernel; where there is none, one for another."""
        return self.programs.get(kernel, self.program) or next(iter(self.programs.values()), "")


def catalogue(directory: Path = DIRECTORY) -> list[Bug]:
    """Every bug, by id. UsageError names the file whose facts are wrong."""
    return [_read(path) for path in sorted(directory.glob("*.toml"))]


def find(name: str, directory: Path = DIRECTORY) -> Bug:
    """The bug whose id starts with `name`; UsageError if none or several do.

    Those that were planted are found by names that begin so.
    """
    if name.startswith("planted-"):
        directory = PLANTED
    found = [bug for bug in catalogue(directory) if bug.id.startswith(name)]
    if len(found) != 1:
        problem = "no bug has this id" if not found else "several bugs have ids that start so"
        raise UsageError(f"{name}: {problem}: see 'difffuzz bugs list'")
    return found[0]


def _on(side: str, kernel: str) -> str:
    """The side on the model of a kernel."""
    base, plus, patch = side.partition("+")
    return f"{base}@{kernel}{plus}{patch}" if kernel and base != "spec" else side


def _read(path: Path) -> Bug:
    try:
        bug = msgspec.toml.decode(path.read_bytes(), type=Bug)
    except msgspec.DecodeError as error:
        raise UsageError(f"{path}: {error}") from error
    patch = path.with_suffix(".patch")
    for wrong, problem in (
        (bug.id != path.stem, f"id {bug.id!r} is not the file's name"),
        (bug.path not in PATHS, f"path {bug.path!r} is not one of {', '.join(PATHS)}"),
        (bug.held and patch.exists(), "is held and has a patch"),
        (
            (bug.held or BASE in bug.not_on) == patch.exists(),
            "has a patch, and says why it has none, or has none without a reason in 'not_on.base'",
        ),
        (bug.held and not bug.why, "is held without a reason in 'why'"),
    ):
        if wrong:
            raise UsageError(f"{path}: {problem}")
    return msgspec.structs.replace(bug, patch=patch if patch.exists() else None)
