# SPDX-License-Identifier: GPL-2.0-only
"""Carries patches against the model over to a model that was changed since.

A variant of the model is a unified diff (docs/refactoring.md), and a diff applies exactly or not at
all. Whoever changes `difffuzz/kvm` would have to write dozens of them anew. Each is applied to the
model of the commit that it was made for; what it changed there is merged with what the model has
become (`git merge-file`), and written as a diff again. One that applies as it is stays as it is;
so does one that was carried by hand.

Exit status 1: some patches conflict with the change; they are named, and left alone.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from ..errors import UsageError
from ..native.run import required
from ..script import end, note
from ..variants.engine import MODEL, model_sources
from ..variants.unified_diff import PatchError, apply, parse, read_patch, split_lines

ROOT = Path(__file__).resolve().parents[2]
VARIANTS = ROOT / "difffuzz" / "variants"
KERNELS = VARIANTS / "kernels"
PROPOSAL = VARIANTS / "refactors" / "seed-proposal.patch"
"""The seed's refactoring, which the tests' variations of it stand on."""
CONTEXT = 2
"""Lines of context: few, so that a patch for the base fits the models of kernels too."""
MOST_CONFLICTS = 127
"""A higher status of `git merge-file` is an error."""
Sources = dict[str, str]
"""Path of a module, as patches spell it -> its text."""


NAMES = ("-L", "the model", "-L", "the model before", "-L", "the patch")
_CONFLICT = re.compile(
    r"^<<<<<<< [^\n]*\n(?P<ours>.*?)^\|\|\|\|\|\|\| [^\n]*\n(?P<base>.*?)^=======\n"
    r"(?P<theirs>.*?)^>>>>>>> [^\n]*\n",
    re.MULTILINE | re.DOTALL,
)
_BESIDE = re.compile(r"^(@@ -\S+ \+\S+ @@).*")  # the function that a hunk is in
_ABOUT = ("diff --git ", "index ", "new file mode ", "deleted file mode ")


def patches() -> Iterator[tuple[Path, tuple[Path, ...]]]:
    """Every patch with those that it stands on, these first."""
    for path in sorted(KERNELS.glob("*.patch")):
        yield path, ()
    for path in sorted((KERNELS / "mended").glob("*.patch")):
        yield path, (KERNELS / path.name,)
    for path in sorted((VARIANTS / "bugs").glob("v*/*.patch")):
        yield path, (KERNELS / f"{path.parent.name}.patch",)
    for folder in ("bugs", "planted", "refactors"):
        for path in sorted((VARIANTS / folder).glob("*.patch")):
            yield path, ()
    for path in sorted((ROOT / "tests" / "variants" / "refactors").glob("*.patch")):
        yield path, (PROPOSAL,)


def sources_of(commit: str) -> Sources:
    """The model as it was in a commit.  UsageError if there is no such commit."""
    listed = _git("ls-tree", "-r", "--name-only", commit, f"{MODEL}/")
    names = [name for name in listed.splitlines() if name.endswith(".py")]
    return {name: _git("show", f"{commit}:{name}") for name in names}


def carried(text: str, name: str, before: Sources, now: Sources) -> tuple[str, dict[str, str]]:
    """A patch against `before` as one against `now`; and by file, where the two conflict."""
    merged = dict(now)
    conflicts: dict[str, str] = {}
    for diff in parse(text, name):
        path = diff.path
        theirs = apply(before, diff, name).get(path, "")
        text_now = merge(now.get(path, ""), before.get(path, ""), theirs)
        left = [region[0] for region in _CONFLICT.finditer(text_now)]
        if left:
            conflicts[path] = "".join(left)
        if diff.new or left:
            merged[path] = text_now
        else:
            merged.pop(path, None)  # the patch takes the file away
    if not conflicts and applies(text, name, now) and patched(text, name, now) == merged:
        return text, {}
    return _header(text) + unified(now, merged), conflicts


def patched(text: str, name: str, sources: Sources) -> Sources:
    """The sources with a patch applied.  PatchError if it does not apply."""
    for diff in parse(text, name):
        sources = apply(sources, diff, name)
    return sources


def applies(text: str, name: str, sources: Sources) -> bool:
    """Does a patch apply to the sources?"""
    try:
        patched(text, name, sources)
    except PatchError:
        return False
    return True


def merge(ours: str, base: str, theirs: str) -> str:
    """Three texts merged.  Where they conflict it says so, as `git merge-file --diff3` does; but
    where `ours` has other comments only, it is as `theirs` has it, without the comments of `base`.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("ours", "base", "theirs")]
        for file, text in zip(files, (ours, base, theirs), strict=True):
            file.write_text(text, encoding="utf-8")
        words = ("merge-file", "-p", "-q", "--diff3", *NAMES, *map(str, files))
        merged = _git(*words, most=MOST_CONFLICTS)
    return _CONFLICT.sub(_decided, merged)


def _decided(region: re.Match[str]) -> str:
    ours, base, theirs = (split_lines(region[name]) for name in ("ours", "base", "theirs"))
    if [*filter(_is_code, ours)] != [*filter(_is_code, base)]:
        return region[0]
    return "".join(line for line in theirs if _is_code(line) or line not in base)


def _is_code(line: str) -> bool:
    return not line.lstrip().startswith("#")


def unified(before: Mapping[str, str], after: Mapping[str, str]) -> str:
    """The diff from one set of sources to another."""
    with tempfile.TemporaryDirectory() as folder:
        for side, sources in (("a", before), ("b", after)):
            (Path(folder) / side).mkdir()
            for path, text in sources.items():
                file = Path(folder) / side / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_text(text, encoding="utf-8")
        words = ("diff", "--no-index", "--no-prefix", f"-U{CONTEXT}", "a", "b")
        diff = _git(*words, folder=Path(folder), most=1)
    lines = (_BESIDE.sub(r"\1", line) for line in split_lines(diff))
    return "".join(line for line in lines if not line.startswith(_ABOUT))


def carry(commit: str, write: bool) -> int:
    """Carries all patches from the model of `commit` to that of the working tree; the status."""
    before, now = sources_of(commit), model_sources(ROOT / MODEL)
    there = set(_git("ls-tree", "-r", "--name-only", commit).splitlines())
    known: dict[Path, tuple[Sources, Sources]] = {}
    status = 0
    for path, below in patches():
        name = str(path.relative_to(ROOT))
        if name not in there:
            continue  # newer than the commit
        if below and below[0] not in known:
            note(f"{name}: stands on {below[0].relative_to(ROOT)}")
            continue
        old, new = known[below[0]] if below else (before, now)
        text, found = _git("show", f"{commit}:{name}"), read_patch(path)
        if found != text and applies(found, name, new):
            result, conflicts = found, dict[str, str]()  # somebody did it by hand
        else:
            result, conflicts = carried(text, name, old, new)
        if conflicts:
            status = 1
            for file, regions in conflicts.items():
                note(f"{name}: {file}: conflicts with the change:\n{regions}")
            continue
        if path.parent == KERNELS or path == PROPOSAL:
            known[path] = patched(text, name, old), patched(result, name, new)
        if result != found:
            print(name)
            if write:
                path.write_text(result, encoding="utf-8")
    return status


def _header(text: str) -> str:
    """What stands before the diff: what the patch is."""
    lines = split_lines(text)
    return "".join(lines[: next(i for i, line in enumerate(lines) if line.startswith("--- "))])


def _git(*words: str, folder: Path = ROOT, most: int = 0) -> str:
    """What git says, run in a folder.  UsageError if its status is above `most`; MissingTool."""
    command = [required("git"), "-C", str(folder), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if not 0 <= done.returncode <= most:
        raise UsageError(f"git: {(done.stderr.strip().splitlines() or ['refused'])[-1]}")
    return done.stdout


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("commit", help="the commit whose model the patches apply to")
    parser.add_argument("--dry-run", action="store_true", help="name what would change, only")
    options = parser.parse_args()
    return carry(options.commit, not options.dry_run)


if __name__ == "__main__":
    end("carry-patches", main)
