# SPDX-License-Identifier: GPL-2.0-only
"""A build: from a kernel tree, patches and the harness to a library with a name."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ..errors import UsageError
from ..shipped import HARNESS
from .abi.header import headers
from .cache import LIBRARY, Cache, locked, short_digest, write_atomic
from .compile import Workshop, compile_units, places
from .configure import prepare, stale
from .digests import Digests
from .features import feature_flags, read_features
from .fetch import source_path
from .link import Parts, link, reachable
from .objects import Object, remove_old
from .overlay import Root, patched_root, plain_root
from .patches import apply_patches
from .recipe import accepted, tree_flags
from .shadow_tree import ShadowTree
from .stubs import needed
from .toolchain import Compiler, choose_compiler
from .tree import KernelTree, open_tree
from .units import Unit, Units, read_units, taken_for

DEFAULT_NAME = "default"
RECORD = "build.json"

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


class Build(msgspec.Struct):
    """What build.json says of a library."""

    name: str
    tree: str
    version: str
    """6.1.192"""
    kernel: int
    """6001"""
    library: str
    """Absolute path."""
    digest: str
    """Of everything that went in."""
    content: str
    """SHA-256 of the library: what is loaded is what was built."""
    patches: list[str]
    compiler: str
    coverage: bool
    units: list[str]
    stubs: list[str]
    """Functions that the library may call and nobody defines."""
    variables: list[str]
    """Variables that some object uses and nobody defines."""


class Made(msgspec.Struct):
    """A build and what it took."""

    build: Build
    compiled: int
    """Units that were not in the cache."""
    seconds: float


class Wish(msgspec.Struct):
    """What the user asks for."""

    tree: Path | None = None
    """None: the fetched tree of the default series."""
    patches: Sequence[Path] = ()
    name: str | None = None
    coverage: bool | None = None
    """None: if the compiler for it is there."""
    traced: bool = False
    """It notes which lines ran (reached.py)."""
    stores: bool = False
    """All stores of the kernel's code may wait in a store buffer, not only WRITE_ONCE()."""
    keep_going: bool = False
    """Every unit is tried, and each that does not compile is told of."""
    sanitize: bool = False
    """For scripts/native-sanitize, which loads the library of the sanitizers first."""
    harness: Path = HARNESS


def build(wish: Wish, cache: Cache, say: Callable[[str], None]) -> Made:
    """Make the library, or find that it is made. `say` takes a line of progress or a warning.

    UsageError: the tree, a patch or the harness is broken. MissingTool.
    """
    began = time.monotonic()
    tree = open_tree(wish.tree or _fetched(cache))
    if not tree.known:
        say(f"warning: Linux {tree.version} is not tested, trying it as {taken_for(tree)}")
    name = build_name(wish)
    compiler = choose_compiler(wish.coverage, wish.sanitize, wish.traced)
    compiler = compiler._replace(stores=wish.stores)
    harness = wish.harness.resolve()
    units = read_units(harness)
    shadow = cache.shadow(tree.root)
    with locked(cache.build(name)), locked(shadow):
        shadow_tree = ShadowTree(tree.root, shadow)
        shadow_tree.refresh()
        digests = Digests(shadow / ".digests")
        prepare(tree, shadow, digests, say)
        root = _root(wish, tree, shadow, cache.build(name) / "tree", say)
        shop = Workshop(
            tree,
            root,
            harness,
            write_headers(cache),
            _kernel_flags(units, harness, root, shadow, compiler),
            compiler,
            cache,
            digests,
            logs=cache.build(name) / "log",
        )
        chosen = units.of(tree)
        objects, compiled = compile_units(shop, chosen, say, wish.keep_going)
        digests.save()
        parts = _parts(compiler, chosen, objects, units)
        made = _finish(wish, name, shop, chosen, parts)
    if compiled:
        remove_old(cache.objects)
    return Made(made, compiled, round(time.monotonic() - began, 3))


def _kernel_flags(
    units: Units, harness: Path, root: Root, shadow: Path, compiler: Compiler
) -> list[str]:
    """Those of the harness, what the tree has, and how the tree's own build compiles."""
    own = accepted(compiler.path, compiler.identity, tree_flags(shadow))
    return [*units.flags, *feature_flags(read_features(harness), Path(root.path)), *own]


def build_name(wish: Wish) -> str:
    """As asked for, else after the patches."""
    name = wish.name or "-".join(patch.stem for patch in wish.patches) or DEFAULT_NAME
    if not _NAME.fullmatch(name):
        raise UsageError(f"build name {name!r}: letters, digits, '_', '.', '-' expected (--name)")
    return name


def load_build(cache: Cache, name: str = DEFAULT_NAME) -> Build:
    """The build of that name. UsageError: there is none, or none can have that name."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"build {name!r}: expected letters, digits, '_', '.' and '-'")
    folder = cache.build(name)
    try:
        found = msgspec.json.decode((folder / RECORD).read_bytes(), type=Build)
    except (OSError, msgspec.DecodeError, msgspec.ValidationError):
        found = None
    if found is None or not Path(found.library).is_file():
        named = "" if name == DEFAULT_NAME else f" --name {name}"
        raise UsageError(f"no native build {name!r}: run 'difffuzz native build{named}'")
    return found


def content_digest(library: Path) -> str:
    """SHA-256.  UsageError: it cannot be read."""
    try:
        return hashlib.sha256(library.read_bytes()).hexdigest()
    except OSError as error:
        raise UsageError(f"{library}: {error.strerror}") from error


def write_headers(cache: Cache) -> Path:
    """Writes the headers of the description (abi/header.py) where units find them."""
    texts = headers()
    folder = cache.headers(short_digest(*texts, *texts.values()))
    for name, text in texts.items():
        if not (folder / name).is_file():
            write_atomic(folder / name, text.encode())
    return folder


def _fetched(cache: Cache) -> Path:
    tree = source_path(cache)
    if not tree.is_dir():
        raise UsageError("no kernel tree: run 'difffuzz native fetch', or name one with --tree")
    return tree


def _root(
    wish: Wish, tree: KernelTree, shadow: Path, path: Path, say: Callable[[str], None]
) -> Root:
    """Where to compile: patched files never show in the shadow that other builds share."""
    if not wish.patches:
        return plain_root(shadow)
    files = apply_patches(tree, wish.patches)
    if files_used := stale(shadow, files):
        say(f"warning: {files_used[0]}: configured and prepared without the patch")
    return patched_root(shadow, path, files)


def _parts(compiler: Compiler, units: list[Unit], objects: list[Object], listed: Units) -> Parts:
    pairs = list(zip(units, objects, strict=True))
    kernel = [each for unit, each in pairs if unit.kind == "kernel"]
    user = [each for unit, each in pairs if unit.kind != "kernel"]
    stubs = needed(
        [each.symbols for each in kernel], [each.symbols for each in user], listed.keep_undefined
    )
    return Parts(compiler, kernel, user, stubs, listed.link_flags)


def _finish(wish: Wish, name: str, shop: Workshop, units: list[Unit], parts: Parts) -> Build:
    """Link, unless the library is of the same parts, and write the record."""
    folder = shop.cache.build(name)
    library = folder / LIBRARY
    try:
        have: Build | None = load_build(shop.cache, name)
    except UsageError:
        have = None
    digest = parts.digest()
    if have is None or have.digest != digest or have.content != content_digest(library):
        (folder / RECORD).unlink(missing_ok=True)
        link(parts, library, shop.logs / "link.log", places(shop))
        stubs = reachable(library, parts.stubs)
    else:
        stubs = have.stubs
    wanted = Build(
        name=name,
        tree=str(shop.tree.root),
        version=shop.tree.version,
        kernel=shop.tree.number,
        library=str(library),
        digest=digest,
        content=content_digest(library),
        patches=[str(patch.resolve()) for patch in wish.patches],
        compiler=shop.compiler.name,
        coverage=shop.compiler.clang,
        units=[unit.source for unit in units],
        stubs=stubs,
        variables=parts.stubs.variables,
    )
    if have != wanted:
        write_atomic(folder / RECORD, msgspec.json.format(msgspec.json.encode(wanted)))
    return wanted
