# SPDX-License-Identifier: GPL-2.0-only
"""Which change brought a finding: by a git tree's commits, or by the patches of a series.

A commit or a patch is judged by a build of the kernel's own code, on which the finding's program
runs: it shows, it does not, or nothing can be said (the build fails, say), and then its neighbours
are looked at.  The user's tree is not touched: commits are checked out in a worktree of their own.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import UsageError
from ..native.run import required

Shows = Callable[[Path, Sequence[Path]], bool | None]
"""Of a tree with patches: does the finding show?  None: it cannot be told."""
PARTS = ("arch/x86/kvm", "arch/x86/include", "virt/kvm", "include")
"""Commits that change nothing there are passed over."""
_FIRST = " is the first bad commit"


class Culprit(NamedTuple):
    """What brought it: a commit (`commit`, its subject), or a patch (its name)."""

    commit: str
    subject: str

    @property
    def fixes(self) -> str:
        """As it stands in a mail's last lines."""
        return f'Fixes: {self.commit[:12]} ("{self.subject}")' if self.commit else self.subject


def bisect_series(
    tree: Path, patches: Sequence[Path], shows: Shows, say: Callable[[str], None]
) -> Culprit:
    """The first patch of the series with which the finding shows.

    UsageError: it shows without any, or does not show with all of them, or that cannot be told.
    """
    ends = shows(tree, ()), shows(tree, patches)
    if ends[0] or ends[0] is None:
        state = "shows" if ends[0] else "cannot be run"
        raise UsageError(f"{tree}: the finding {state} without the patches")
    if not ends[1]:
        state = "does not show" if ends[1] is False else "cannot be run"
        raise UsageError(f"{patches[-1]}: the finding {state} with all patches")
    good, bad = 0, len(patches)
    while bad - good > 1:
        for middle in _inwards(good, bad):
            answer = shows(tree, patches[:middle])
            say(f"with {middle} of {len(patches)} patches: {_word(answer)}")
            if answer is not None:
                break
        else:
            names = ", ".join(path.name for path in patches[good:bad])
            raise UsageError(f"one of these, none of which can be told from the others: {names}")
        good, bad = (good, middle) if answer else (middle, bad)
    return Culprit("", patches[bad - 1].name)


def _inwards(good: int, bad: int) -> list[int]:
    """The numbers between, those in the middle first."""
    return sorted(range(good + 1, bad), key=lambda at: abs(2 * at - good - bad))


def bisect_commits(
    tree: Path, good: str, bad: str, shows: Shows, say: Callable[[str], None]
) -> Culprit:
    """The first commit between the two with which the finding shows, as `git bisect` finds it.

    UsageError: git refuses, or the two do not differ in this.  MissingTool: no git.
    """
    # In the worktree HEAD is something else.
    ends = [
        _git(tree, "rev-parse", "--verify", f"{name}^{{commit}}").strip() for name in (good, bad)
    ]
    place = Path(tempfile.mkdtemp(prefix="difffuzz-bisect-"))
    work = place / "linux"
    try:
        _git(tree, "worktree", "add", "--quiet", "--detach", str(work), ends[1])
        for name, commit, wanted in ((bad, ends[1], True), (good, ends[0], False)):
            _git(work, "checkout", "--quiet", "--detach", commit)
            answer = shows(work, ())
            say(f"{name}: {_word(answer)}")
            if answer is not wanted:
                raise UsageError(f"{name}: the finding {_word(answer)} there")
        said = _git(work, "bisect", "start", ends[1], ends[0], "--", *PARTS)
        while _FIRST not in said:
            head = _git(work, "rev-parse", "HEAD").strip()
            answer = shows(work, ())
            say(f"{head[:12]}: {_word(answer)}")
            term = "skip" if answer is None else "bad" if answer else "good"
            said = _git(work, "bisect", term)
            if "We cannot bisect more" in said:
                raise UsageError(f"{tree}: {said.strip().splitlines()[-1]}")
        commit = said.partition(_FIRST)[0].split()[-1]
        return Culprit(commit, _git(work, "log", "-1", "--format=%s", commit).strip())
    finally:
        subprocess.run(
            ["git", "-C", str(tree), "worktree", "remove", "--force", str(work)],
            capture_output=True,
            check=False,
        )
        shutil.rmtree(place, ignore_errors=True)


def _word(answer: bool | None) -> str:
    return "cannot be run" if answer is None else "shows" if answer else "does not show"


def _git(tree: Path, *words: str) -> str:
    """What git says.  UsageError if it refuses, MissingTool."""
    command = [required("git"), "-C", str(tree), *words]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    said = done.stdout + done.stderr
    if done.returncode and "We cannot bisect more" not in said:
        lines = done.stderr.strip().splitlines()
        raise UsageError(f"{tree}: git {words[0]}: {lines[-1] if lines else 'refused'}")
    return said
