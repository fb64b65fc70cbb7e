# SPDX-License-Identifier: GPL-2.0-only
"""Unified diffs: read one, apply it to source text in memory, refuse whatever does not match.

Context and removed lines must match character by character. A hunk applies at the line its header
states; failing that, at the only other place of the file where its old lines stand. No match, or
more than one, is an error, and so is a hunk without old lines: a patch never applies by guess.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import UsageError
from ..files.read import read_text

MAX_PATCH_BYTES = 1 << 20

_HUNK = re.compile(r"@@ -(\d{1,9})(?:,(\d{1,9}))? \+(\d{1,9})(?:,(\d{1,9}))? @@", re.ASCII)
_UNSUPPORTED = ("rename from ", "copy from ", "GIT binary patch", "Binary files ")


class PatchError(UsageError):
    """A patch that cannot be read or does not apply.

    `patch` names the patch, `file` the file it changes ("" if none yet), `hunk` counts from 1
    within that file (0: the error is not about a hunk).
    """

    def __init__(self, patch: str, file: str, hunk: int, problem: str) -> None:
        place = [patch] if patch else []
        if file:
            place.append(file)
        if hunk:
            place.append(f"hunk {hunk}")
        super().__init__(": ".join([*place, problem]))
        self.patch = patch
        self.file = file
        self.hunk = hunk


@dataclass(frozen=True, slots=True)
class Hunk:
    """`old` lines, the first of them line `start` (from 1), become `new`. Lines keep their end."""

    start: int
    old: tuple[str, ...]
    new: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FileDiff:
    """The hunks for one file. `old` is "" for a file that is created, `new` for one that goes."""

    old: str
    new: str
    hunks: tuple[Hunk, ...]

    @property
    def path(self) -> str:
        return self.new or self.old


def read_patch(path: Path) -> str:
    """The text of a patch, its lines as they are.  PatchError if it cannot be read."""
    try:
        return read_text(path, MAX_PATCH_BYTES)
    except UsageError as error:
        problem = str(error).removeprefix(f"{path}: ")
        raise PatchError(str(path), "", 0, f"cannot be read: {problem}") from error


def parse(text: str, name: str) -> tuple[FileDiff, ...]:
    """Read a diff, plain or as git writes it; text around it, such as a mail, is passed over."""
    if len(text) > MAX_PATCH_BYTES:
        raise PatchError(name, "", 0, f"longer than {MAX_PATCH_BYTES} bytes")
    lines = split_lines(text)
    files: list[FileDiff] = []
    at = 0
    while at < len(lines):
        if lines[at].startswith(_UNSUPPORTED):
            raise PatchError(name, "", 0, f"line {at + 1}: a rename, copy or binary is not read")
        if _is_file_header(lines, at):
            diff, at = _parse_file(lines, at, name)
            files.append(diff)
        else:
            at += 1
    if not files:
        raise PatchError(name, "", 0, "no unified diff in it: expected '--- FILE' and '+++ FILE'")
    return tuple(files)


def apply(sources: Mapping[str, str], diff: FileDiff, name: str) -> dict[str, str]:
    """`sources` (path -> text) with one file's diff applied; `sources` itself stays as it is."""
    result = dict(sources)
    path = diff.path
    if not diff.old:
        if path in sources:
            raise PatchError(name, path, 0, "is to be created but exists")
        result[path] = "".join(diff.hunks[0].new)
        return result
    if diff.old not in sources:
        raise PatchError(name, diff.old, 0, "is to be changed but does not exist")
    text = _apply_hunks(sources[diff.old], diff, name)
    if diff.new:
        result[path] = text
    elif text:
        raise PatchError(name, path, 0, "is to be deleted but the patch does not remove every line")
    else:
        del result[path]
    return result


def split_lines(text: str) -> list[str]:
    """Lines with their end; only a newline ends one (`str.splitlines` knows ten more)."""
    return io.StringIO(text).readlines()


def _is_file_header(lines: list[str], at: int) -> bool:
    return lines[at].startswith("--- ") and at + 1 < len(lines) and lines[at + 1].startswith("+++ ")


def _path(line: str) -> str:
    """The path of a '--- ' or '+++ ' line without git's a/ or b/; "" for /dev/null."""
    path = line[4:].rstrip("\r\n").split("\t")[0]
    if path == "/dev/null":
        return ""
    return path[2:] if path.startswith(("a/", "b/")) else path


def _parse_file(lines: list[str], at: int, name: str) -> tuple[FileDiff, int]:
    old, new = _path(lines[at]), _path(lines[at + 1])
    path = new or old
    if old and new and old != new:
        raise PatchError(name, path, 0, f"renames {old}, which is not supported")
    at += 2
    hunks: list[Hunk] = []
    while at < len(lines) and lines[at].startswith("@@"):
        hunk, at = _parse_hunk(lines, at, name, path, len(hunks) + 1)
        hunks.append(hunk)
    if not hunks:
        raise PatchError(name, path, 0, f"line {at}: expected a hunk after it")
    return FileDiff(old, new, tuple(hunks)), at


def _parse_hunk(lines: list[str], at: int, name: str, path: str, number: int) -> tuple[Hunk, int]:
    header = _HUNK.match(lines[at])
    if header is None:
        raise PatchError(name, path, number, f"line {at + 1}: not a hunk header")
    old_left, new_left = (int(header[group] or 1) for group in (2, 4))
    at += 1
    old: list[str] = []
    new: list[str] = []
    while old_left or new_left:
        if at == len(lines):
            raise PatchError(name, path, number, "the patch ends in the middle of it")
        mark, line = lines[at][:1], lines[at][1:]
        if mark == "\n":  # a mailer stripped the blank of an empty context line
            mark, line = " ", "\n"
        if mark not in " -+" or (mark != "+" and not old_left) or (mark != "-" and not new_left):
            raise PatchError(
                name, path, number, f"line {at + 1}: does not fit the counts of the hunk header"
            )
        if mark != "+":
            old.append(line)
            old_left -= 1
        if mark != "-":
            new.append(line)
            new_left -= 1
        at += 1
        if at < len(lines) and lines[at].startswith("\\"):  # "\ No newline at end of file"
            for side in [old] if mark == "-" else [new] if mark == "+" else [old, new]:
                side[-1] = side[-1].rstrip("\n")
            at += 1
    # A hunk without old lines goes in after the line that its header names.
    start = int(header[1]) if old else int(header[1]) + 1
    return Hunk(start, tuple(old), tuple(new)), at


def _apply_hunks(text: str, diff: FileDiff, name: str) -> str:
    lines = split_lines(text)
    result: list[str] = []
    done = 0  # lines of the old text that are dealt with
    drift = 0  # how far the previous hunk stood from where its header said
    for number, hunk in enumerate(diff.hunks, start=1):
        place = _find(lines, hunk, done, drift)
        if isinstance(place, str):
            raise PatchError(name, diff.path, number, place)
        drift = place - (hunk.start - 1)
        result += lines[done:place]
        result += hunk.new
        done = place + len(hunk.old)
    return "".join(result + lines[done:])


def _find(lines: list[str], hunk: Hunk, done: int, drift: int) -> int | str:
    """Index of the hunk's first old line, or what is wrong."""
    old = list(hunk.old)
    if not old and lines:
        return "has no old line that tells its place: make the patch with context"
    stated = hunk.start - 1 + drift
    if stated >= done and lines[stated : stated + len(old)] == old and stated <= len(lines):
        return stated
    last = len(lines) - len(old)
    places = [at for at in range(done, last + 1) if lines[at : at + len(old)] == old]
    if len(places) == 1:
        return places[0]
    if places:
        listed = ", ".join(str(at + 1) for at in places)
        return f"does not match at line {hunk.start} and matches at several others: {listed}"
    return _mismatch(lines, old, max(stated, done))


def _mismatch(lines: list[str], old: list[str], at: int) -> str:
    for offset, expected in enumerate(old):
        found = lines[at + offset] if at + offset < len(lines) else None
        if found != expected:
            seen = "the end of the file" if found is None else repr(found.rstrip("\n"))
            return f"line {at + offset + 1} should be {expected.rstrip(chr(10))!r}, found {seen}"
    return f"overlaps the hunk before it at line {at + 1}"
