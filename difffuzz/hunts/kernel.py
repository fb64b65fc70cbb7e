# SPDX-License-Identifier: GPL-2.0-only
"""Bugs put back into the kernel's own code: their patches and builds, the sides to hunt with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ..errors import MissingTool, UsageError
from ..native.build import Wish, build
from ..native.cache import default_cache
from ..native.fetch import source_path
from ..native.named_change import read_changes
from ..native.tree import KernelTree, open_tree
from ..native.units import meant_for
from ..program import parse
from ..script import note
from ..shipped import HARNESS
from ..variants.catalogue import Bug, catalogue

PATCHES = HARNESS / "patches"
PLAIN = "plain"
"""The build without a patch."""
MODELS = {"6.1": "@v6.1", "6.12": "@v6.12", "7.2": "@v7.2"}
"""By series: the model that behaves as that kernel, if there is one."""


def fetched_tree() -> KernelTree:
    """The fetched 6.1; MissingTool if it was not fetched."""
    tree = source_path(default_cache())
    if not tree.is_dir():
        raise MissingTool("no kernel tree", "difffuzz native fetch")
    return open_tree(tree)


def build_plain(tree: KernelTree) -> None:
    """Builds the kernel's code as it is."""
    build(Wish(tree=tree.root, name=PLAIN), default_cache(), note)


def build_with(bug: Bug, tree: KernelTree) -> str:
    """Builds the kernel's code with the bug put back; the name of that build."""
    name = f"bug-{bug.id}"
    patches = (PATCHES / f"{bug.id}.toml",)
    build(Wish(tree=tree.root, patches=patches, name=name), default_cache(), note)
    return name


def sides(bug: Bug, name: str, model: str) -> Iterator[tuple[str, str]]:
    """The pairs of sides to hunt a bug with in the build of that name; `model` is which one."""
    legacy, tdp = f"native:{name}:legacy", f"native:{name}:tdp"
    if bug.right == "spec":
        yield legacy, "spec"
        return
    yield legacy, tdp
    if bug.path in "LB":
        yield legacy, f"tdp{model}"
    if bug.path in "TB":
        yield f"legacy{model}", tdp


def plain_pair(pair: tuple[str, str], name: str) -> tuple[str, str]:
    """The same sides of the build without the patch."""
    left, right = (side.replace(f"native:{name}:", f"native:{PLAIN}:") for side in pair)
    return left, right


def patched_bugs(tree: KernelTree) -> set[str]:
    """The bugs that a patch brings back in that kernel's code."""
    return {
        path.stem
        for path in sorted(PATCHES.glob("*.toml"))
        if any(meant_for(one.versions, tree) for one in read_changes(path, path.read_text()).change)
    }


def chosen(names: Iterable[str], tree: KernelTree) -> list[Bug]:
    """Those to hunt, all without names; UsageError for a name without a patch for this kernel."""
    bugs = {bug.id: bug for bug in catalogue()}
    patched = patched_bugs(tree)
    for name in names:
        if name not in patched:
            raise UsageError(f"{name}: no patch for Linux {tree.series}: see {PATCHES}")
    return [bugs[name] for name in (list(names) or sorted(patched)) if name in bugs]


def is_race(bug: Bug) -> bool:
    """Does it need a schedule?  A parked fault is enough for some that need concurrency."""
    return bool(parse(bug.program_on(""), bug.id).schedule)


def mode_of(bug: Bug) -> str:
    """How it is hunted in the kernel's code."""
    return "concurrent" if is_race(bug) else "lockstep"
