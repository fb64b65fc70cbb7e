# SPDX-License-Identifier: GPL-2.0-only
"""Patches of a build: unified diffs and named changes, applied to copies of the tree's files."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ..errors import UsageError
from ..files.read import read_file
from .cache import write_atomic
from .named_change import apply_changes
from .run import Failed, run
from .tree import KernelTree
from .tree_names import checked_name, tree_file

Files = dict[str, bytes | None]
"""Content of what the patches change, by name relative to the tree; None: the file is gone."""

NAMED = ".toml"
NO_FILE = "/dev/null"

_HEADER = re.compile(r"^--- ([^\t\n]+)(?:\t.*)?\n\+\+\+ ([^\t\n]+)", re.MULTILINE)
_ODD_MODE = re.compile(
    r"^(?:new file mode|deleted file mode|old mode|new mode|index \S+) (?!100)\d+$", re.MULTILINE
)
"""What git says of symbolic links and submodules."""
_PATCHING = re.compile(r"^(?:patching|checking) file '?([^'\n]+?)'?$", re.MULTILINE)
_FAILED = re.compile(r"^Hunk #(\d+) (FAILED) at (\d+)", re.MULTILINE)


def apply_patches(tree: KernelTree, patches: Iterable[Path]) -> Files:
    """What the tree's files are after all patches, in their order.

    UsageError: one cannot be read or does not fit; the line names patch, file and place.
    """
    files: Files = {}
    for patch in patches:
        text = read_file(patch).decode(errors="surrogateescape")
        if patch.suffix == NAMED:
            apply_changes(patch, text, tree, files)
        else:
            _apply_diff(patch, text, tree, files)
    return files


def _apply_diff(patch: Path, text: str, tree: KernelTree, files: Files) -> None:
    """Let `patch` work in a folder that has only what the diff names."""
    strip, pairs = _names(patch, text)
    with tempfile.TemporaryDirectory(prefix="difffuzz-patch-") as temporary:
        work = Path(temporary)
        for old, new in pairs:
            found = [_put(work, tree, files, name) for name in {old, new} - {NO_FILE}]
            if old != NO_FILE and not any(found):
                raise UsageError(f"{patch}: {old}: the tree has no such file")
        command = ["patch", "--force", "--unified", f"-p{strip}", "-F0", "-r-"]
        command += ["--no-backup-if-mismatch"]
        try:
            run([*command, "-d", temporary], stdin=text)
        except Failed as failed:
            raise UsageError(f"{patch}: {_refusal(failed.output)}") from None
        for name in {name for pair in pairs for name in pair} - {NO_FILE}:
            path = work / name
            if path.is_file():
                files[name] = path.read_bytes()
            elif current(tree, files, name) is not None:
                files[name] = None


def _put(work: Path, tree: KernelTree, files: Files, name: str) -> bool:
    """Put a file where `patch` works, if there is one."""
    content = current(tree, files, name)
    if content is not None:
        write_atomic(work / name, content)
    return content is not None


def current(tree: KernelTree, files: Files, name: str) -> bytes | None:
    """A file as the patches so far have left it."""
    if name in files:
        return files[name]
    path = tree_file(tree.root, name, "patch")
    return path.read_bytes() if path.is_file() else None


def _names(patch: Path, text: str) -> tuple[int, list[tuple[str, str]]]:
    """How many folders are to be stripped from the names, and each file's two names then."""
    odd = _ODD_MODE.search(text)
    if odd:
        raise UsageError(f"{patch}: {odd[0]}: only plain files are patched")
    named = [(old.strip(), new.strip()) for old, new in _HEADER.findall(text)]
    if not named or "\n@@ " not in text:
        raise UsageError(f"{patch}: no unified diff and not named *{NAMED}")
    prefixed = all(
        name.startswith(("a/", "b/")) or name == NO_FILE for pair in named for name in pair
    )
    strip = 1 if prefixed else 0
    pairs = [tuple(_stripped(patch, name, strip) for name in pair) for pair in named]
    return strip, [(old, new) for old, new in pairs]


def _stripped(patch: Path, name: str, strip: int) -> str:
    if name == NO_FILE:
        return name
    return checked_name(name[2:] if strip else name, str(patch))


def _refusal(output: str) -> str:
    """Which file and hunk, from what `patch` said."""
    if "previously applied) patch detected" in output:
        file = _PATCHING.search(output)
        return f"{file[1] if file else 'a file'}: is applied already, or belongs to another tree"
    failed = _FAILED.search(output)
    if failed:
        files = [file[1] for file in _PATCHING.finditer(output, 0, failed.start())]
        return f"{files[-1] if files else '?'}: hunk {failed[1]} does not fit at line {failed[3]}"
    lines = output.strip().splitlines()
    return lines[-1].removeprefix("patch: ").strip("* ") if lines else "patch refuses it"
