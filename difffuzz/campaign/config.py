# SPDX-License-Identifier: GPL-2.0-only
"""What a campaign is to do: one TOML file, read strictly."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from ..errors import UsageError
from ..files.read import read_text
from ..fuzz.options import MAX_JOBS
from ..running.runner import MODES, Runner
from ..sides.names import parse_name
from .template import TEMPLATE

FILE = "campaign.toml"
VERSION = 1
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


class Lane(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One way to fuzz: two sides, and how their threads run.  Workers move between lanes."""

    name: str
    left: str = "legacy"
    right: str = "tdp"
    mode: str = "portfolio"
    searching: bool = False
    """Most of the time goes into schedules of small programs."""


class Config(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file.  Times are in seconds."""

    version: int
    jobs: int = 2
    seed: int = 1
    time: float = 0.0
    """What a `campaign run` takes; 0: until it is stopped."""
    corpus: tuple[str, ...] = ()
    """Folders of programs to start from, from the folder of the campaign on; none: those that
    come with difffuzz."""
    baseline: str = ""
    memory_mb: int = 4096
    """Of a worker."""
    turn: float = 300.0
    """How long a worker stays in its lane at least."""
    least_share: float = 0.1
    """Of the time, that each lane gets whatever it finds."""
    minimize_every: float = 3600.0
    retest_every: float = 3600.0
    """0: never."""
    shrink_seconds: float = 60.0
    """For each finding."""
    lane: tuple[Lane, ...]


def read_config(folder: Path, *, to_run: bool = True) -> Config:
    """The configuration of a campaign's folder, its names of sides made absolute.

    `to_run`: its sides can be run, which takes a while to find out.  UsageError with the file and
    the place.
    """
    path = folder / FILE
    if not path.is_file():
        raise UsageError(f"{path}: is not there: 'difffuzz campaign init {folder}' writes one")
    try:
        config = msgspec.toml.decode(read_text(path), type=Config)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: {error}") from error
    wrong = _wrong(config)
    if wrong:
        raise UsageError(f"{path}: {wrong}")
    lanes = tuple(_checked(lane, folder, path, to_run) for lane in config.lane)
    return msgspec.structs.replace(config, lane=lanes)


def write_config(folder: Path, builds: tuple[str, ...] = ()) -> Path:
    """A configuration with comments; a lane for each of the native builds.  UsageError: there is
    one already."""
    path = folder / FILE
    lanes = "".join(
        f'\n[[lane]]\nname = "native-{build}"\nleft = "native:{build}:legacy"\n'
        f'right = "native:{build}:tdp"\n'
        for build in builds
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("x") as file:
            file.write(TEMPLATE + lanes)
    except FileExistsError:
        raise UsageError(f"{path}: is there already") from None
    return path


def _wrong(config: Config) -> str:
    """What is wrong with it, in a line; empty if nothing."""
    if config.version != VERSION:
        return f"version {config.version}: this difffuzz knows {VERSION}"
    if not 1 <= config.jobs <= MAX_JOBS:
        return f"jobs = {config.jobs}: expected 1 to {MAX_JOBS}"
    if not config.lane:
        return "there is no [[lane]]"
    names = [lane.name for lane in config.lane]
    for lane in config.lane:
        if not _NAME.fullmatch(lane.name) or names.count(lane.name) > 1:
            return f"lane {lane.name!r}: a name of its own, of letters, digits, '.', '_' and '-'"
        if lane.mode not in MODES:
            return f"lane {lane.name}: mode {lane.mode!r} is not one of {', '.join(MODES)}"
    if not 0 <= config.least_share <= 1 / len(names):
        return f"least_share = {config.least_share}: expected 0 to {1 / len(names):.2g}"
    for field in ("time", "turn", "minimize_every", "retest_every", "shrink_seconds"):
        if not 0 <= getattr(config, field) < 1e9:
            return f"{field}: expected seconds, 0 or more"
    if config.memory_mb < 256:
        return f"memory_mb = {config.memory_mb}: a worker takes 256 at least"
    if not 0 <= config.seed < 1 << 31:
        return f"seed = {config.seed}: expected 0 to {(1 << 31) - 1}"
    return ""


def _checked(lane: Lane, folder: Path, path: Path, to_run: bool) -> Lane:
    """The lane with files of patches as seen from the campaign's folder."""
    try:
        left, right = (_placed(name, folder) for name in (lane.left, lane.right))
        if to_run:
            Runner(left, right, lane.mode)
    except UsageError as error:
        raise UsageError(f"{path}: lane {lane.name}: {error}") from error
    return msgspec.structs.replace(lane, left=left, right=right)


def _placed(name: str, folder: Path) -> str:
    if parse_name(name).build is not None:
        return name
    first, *parts = name.split("+")
    foreign = set(parse_name(name).foreign)
    return "+".join([first, *(str(folder.absolute() / x) if x in foreign else x for x in parts)])
