# SPDX-License-Identifier: GPL-2.0-only
"""KVM's selftests (tools/testing/selftests/kvm), built static out of a tree that stays as it is."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.cache import Cache, locked, short_digest
from difffuzz.native.run import Failed, run
from difffuzz.native.tree import open_tree

FOLDER: Final = "tools/testing/selftests/kvm"
ARCHS: Final = ("", "x86/", "x86_64/")
"""Where tests of a name may be; the folder of x86 was renamed in 6.14."""
DONE: Final = ".done"
SUITE: Final = (
    "demand_paging_test -b 2M -v 2",
    "kvm_page_table_test -b 4M -v 1",
    "memslot_modification_stress_test -i 10 -v 2 -b 2M",
    "dirty_log_test -i 3 -I 10 -M dirty-log",
    "dirty_log_test -i 3 -I 10 -M clear-log",
    "dirty_log_page_splitting_test -b 4M -s anonymous_thp",
    "pre_fault_memory_test",
)
"""Tests that map a lot, unmap and log, with arguments that keep each to seconds."""


class Selftest(NamedTuple):
    """A test that was built.  `name`: with its arguments, as it was asked for."""

    name: str
    binary: Path
    arguments: tuple[str, ...]

    @property
    def slug(self) -> str:
        """For a file's name."""
        return "".join(c if c.isalnum() or c in "_-" else "-" for c in self.name)


def split(asked: str) -> tuple[str, tuple[str, ...]]:
    """Name and arguments.  UsageError: a quote is open, or there is no name."""
    try:
        words = shlex.split(asked)
    except ValueError as error:
        raise UsageError(f"selftest {asked!r}: {error}") from None
    if not words or "\0" in asked:
        raise UsageError(f"selftest {asked!r}: expected a name, as dirty_log_test")
    return words[0], tuple(words[1:])


def source_of(tree: Path, name: str) -> str:
    """Where the test is, below FOLDER and without .c.  UsageError: the tree has none so named."""
    for arch in ARCHS:
        if (tree / FOLDER / f"{arch}{name}.c").is_file():
            return f"{arch}{name}"
    there = sorted(
        path.stem for arch in ARCHS for path in (tree / FOLDER / arch).glob("*.c")
    )  # fmt: skip
    near = difflib.get_close_matches(name, there, 3)
    hint = f"; near are {', '.join(near)}" if near else ""
    raise UsageError(f"{tree}: no KVM selftest {name}{hint}")


def built(
    cache: Cache, tree: Path, asked: Sequence[str], say: Callable[[str], None]
) -> list[Selftest]:
    """Builds the tests, which takes half a minute for the first of a tree.

    UsageError: one is not there, or does not compile.  MissingTool: make or gcc is not there.
    """
    tree = tree.absolute()
    open_tree(tree)
    if not (tree / FOLDER / "Makefile").is_file():
        raise UsageError(f"{tree}: it has no {FOLDER}")
    wanted = [(one, *split(one)) for one in asked]
    sources = {name: source_of(tree, name) for _, name, _ in wanted}
    place = cache.root / "booted" / f"selftests-{short_digest(str(tree))}"
    place.mkdir(parents=True, exist_ok=True)
    with locked(place):
        _headers(tree, place, say)
        _make(tree, place, sorted(set(sources.values())), say)
    return [
        Selftest(one, place / "tests" / sources[name], arguments) for one, name, arguments in wanted
    ]


def _headers(tree: Path, place: Path, say: Callable[[str], None]) -> None:
    """The kernel's headers for user space, once for a tree."""
    to = place / "headers"
    if (to / DONE).is_file():
        return
    say(f"installing the headers of {tree.name}")
    command = ["make", f"-j{os.cpu_count() or 1}", "-s", "-C", str(tree), f"O={to}", "ARCH=x86"]
    try:
        run([*command, "headers"], log=place / "headers.log")
    except Failed as failed:
        raise UsageError(f"{tree}: make headers: {_told(failed)}") from None
    (to / DONE).touch()


def _make(tree: Path, place: Path, sources: list[str], say: Callable[[str], None]) -> None:
    """make decides what has to be built again."""
    to = place / "tests"
    say(f"building {len(sources)} selftest{'s' * (len(sources) > 1)} of {tree.name}")
    # A name that tests of Debian's 6.1 use and its library does not have.
    library = (tree / FOLDER / "include" / "test_util.h").read_text(errors="replace")
    more = [] if "TEST_ASSERT_EQ" in library else ["EXTRA_CFLAGS=-DTEST_ASSERT_EQ=ASSERT_EQ"]
    command = [
        "make", f"-j{os.cpu_count() or 1}", "-s", "-C", str(tree / FOLDER), "ARCH=x86",
        f"OUTPUT={to}", f"LINUX_HDR_PATH={place / 'headers/usr/include'}/", "LDFLAGS=-static",
        *more, *(str(to / source) for source in sources),
    ]  # fmt: skip
    try:
        run(command, log=place / "tests.log")
    except Failed as failed:
        raise UsageError(f"{tree}: a selftest does not build: {_told(failed)}") from None
    for source in sources:
        if not (to / source).is_file():
            raise MissingTool(f"{to / source} was not built", f"cat {place / 'tests.log'}")


def _told(failed: Failed) -> str:
    lines = [line.strip() for line in failed.output.splitlines() if line.strip()]
    errors = [line for line in lines if "rror" in line or "cannot find" in line]
    return (errors or lines or [str(failed)])[0][:200]
