# SPDX-License-Identifier: GPL-2.0-only
"""What is reviewed: a patch, a mailbox of patches, or a range of commits of the tree."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..files.read import read_text
from ..native.named_change import read_changes
from ..native.patches import NAMED
from ..native.run import required

MAX_BYTES = 16 << 20
PARTS = ("arch/x86/kvm", "virt/kvm", "include", "arch/x86/include", "arch/x86/mm", "mm", "lib")
"""Of a range of commits: what can be in the library."""
_RANGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/^~@{}-]*")
_SUBJECT = re.compile(r"^Subject: (.*(?:\n[ \t].*)*)", re.MULTILINE)


class Subject(NamedTuple):
    """The patches that make the tree what it was before the change, and what it is after."""

    title: str
    before: tuple[Path, ...]
    after: tuple[Path, ...]

    @property
    def change(self) -> Path:
        """The patch itself, if the tree is as it was before."""
        return (*self.after, *self.before)[0]


@contextmanager
def open_subject(what: str, tree: Path) -> Iterator[Subject]:
    """The subject, as long as the block lasts.

    UsageError: it is no file, and no range of commits of the tree; or the tree is at neither end.
    """
    path = Path(what)
    if path.is_file():
        yield Subject(_title(path), (), (path,))
        return
    if not _RANGE.fullmatch(what):
        raise UsageError(f"{what}: no patch, and no range of commits")
    if not (tree / ".git").exists():
        raise UsageError(f"{what}: no such file, and {tree} is no git tree")
    first, _, last = what.partition("..")
    old, new = (_commit(tree, first), _commit(tree, last or "HEAD"))
    if ".." not in what:
        old, new = _commit(tree, f"{first}^"), old
    head = _commit(tree, "HEAD")
    if head not in (old, new):
        raise UsageError(f"{what}: check out {old[:12]} or {new[:12]} in {tree}")
    forward = head == old
    text = _git(tree, "diff", old if forward else new, new if forward else old, "--", *PARTS)
    if not text:
        raise UsageError(f"{what}: changes nothing below {', '.join(PARTS)}")
    title = _git(tree, "log", "-1", "--format=%s", new).strip()
    with tempfile.TemporaryDirectory(prefix="difffuzz-review-") as folder:
        patch = Path(folder) / f"{new[:12]}.patch"
        patch.write_text(text)
        yield Subject(title, () if forward else (patch,), (patch,) if forward else ())


def _title(path: Path) -> str:
    """The subject of named changes, the first one of mails, or the file's name."""
    text = read_text(path, MAX_BYTES)
    if path.suffix == NAMED:
        return read_changes(path, text).subject
    found = _SUBJECT.findall(text)
    if not found:
        return path.name
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return " ".join(found[0].split()) + more


def _commit(tree: Path, name: str) -> str:
    return _git(tree, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}").strip()


def _git(tree: Path, *words: str) -> str:
    """What git says.  UsageError if it refuses, MissingTool."""
    command = [required("git"), "-C", str(tree), "--no-pager", *words]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UsageError(f"{tree}: git {words[0]}: {said[-1] if said else f'no {words[-1]}'}")
    return done.stdout
