# SPDX-License-Identifier: GPL-2.0-only
"""Load the modelled KVM with patches applied, beside the model as it is.

The patched source never touches the disk. It becomes a package `difffuzz_variant_DIGEST.kvm`, where
DIGEST names its content: the same content is loaded once, and any number of variants live in one
process. Only `difffuzz.kvm` is copied; what it stands on (machine, sched) is shared.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.abc
import importlib.util
import linecache
import re
import sys
from collections.abc import Mapping, Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import CodeType, ModuleType

from .changed_lines import MARK, ChangedLines
from .time_limit import time_limit
from .unified_diff import PatchError, apply, parse, read_patch, split_lines

PREFIX = "difffuzz_variant_"
MODEL = "difffuzz/kvm"  # what patches call the model's directory
MAX_PATCHES = 16
IMPORT_SECONDS = 20.0
"""After which the import of a variant, which takes a tenth of a second, counts as endless."""

_ABSOLUTE = re.compile(
    r"^\s*(?:import|from)\s+difffuzz\.kvm\b|^\s*from\s+difffuzz\s+import\s+.*\bkvm\b"
)


def load(patches: Sequence[Path], model: Path | None = None) -> ModuleType:
    """The package of the model with `patches` applied in order, every module of it imported.

    `model` is the directory to patch (default: the installed `difffuzz.kvm`).
    Raises PatchError naming patch, file and hunk.
    """
    sources = patched(patches, model)
    return _import(f"{PREFIX}{digest(sources)}", sources, patches)


def load_marked(patches: Sequence[Path], other: Sequence[Path]) -> tuple[ModuleType, ChangedLines]:
    """The package of load(), as one of its own that notes which of its statements have run, of
    those that the variant with the patches `other` does not have."""
    sources, others = patched(patches), patched(other)
    name = f"{PREFIX}{digest(sources)}_{digest(others)}"
    marks = _finder().marks.setdefault(name, ChangedLines(sources, others))
    return _import(name, sources, patches), marks


def _import(name: str, sources: dict[str, str], patches: Sequence[Path]) -> ModuleType:
    _finder().sources[name] = sources
    try:
        with time_limit(IMPORT_SECONDS):
            package = importlib.import_module(f"{name}.kvm")
            for path in sorted(sources):
                importlib.import_module(_module_name(name, path))
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a patch is code: it may end the process, or never end
        place = ", ".join(map(str, patches))
        raise PatchError(place, "", 0, f"the patched model does not import: {error!r}") from error
    return package


def patched(patches: Sequence[Path], model: Path | None = None) -> dict[str, str]:
    """Path (as patches spell it) -> text of every module of the model, with `patches` applied."""
    if len(patches) > MAX_PATCHES:
        raise PatchError(str(patches[0]), "", 0, f"more than {MAX_PATCHES} patches for one side")
    sources = model_sources(model)
    for patch in patches:
        for diff in parse(read_patch(patch), str(patch)):
            if not diff.path.startswith(f"{MODEL}/") or not diff.path.endswith(".py"):
                raise PatchError(str(patch), diff.path, 0, f"is not a Python file below {MODEL}")
            sources = apply(sources, diff, str(patch))
            _check(sources.get(diff.path, ""), str(patch), diff.path)
    return sources


def model_sources(model: Path | None = None) -> dict[str, str]:
    """Path (as patches spell it) -> text of every module of the model as it is."""
    if model is None:
        spec = importlib.util.find_spec("difffuzz.kvm")
        if spec is None or spec.origin is None:
            raise PatchError(MODEL, "", 0, "the model is not installed as source files")
        model = Path(spec.origin).parent
    return {
        f"{MODEL}/{path.relative_to(model).as_posix()}": path.read_text(encoding="utf-8")
        for path in sorted(model.rglob("*.py"))
    }


def digest(sources: Mapping[str, str]) -> str:
    """Twelve hex digits that name the content."""
    state = hashlib.sha256()
    for path in sorted(sources):
        for part in (path, sources[path]):
            state.update(f"{len(part)}:{part}".encode())
    return state.hexdigest()[:12]


def canonical_name(module: str) -> str:
    """The model's name of a module that may belong to a variant: `difffuzz.kvm.mmu`."""
    if not module.startswith(PREFIX):
        return module
    return "difffuzz." + module.partition(".")[2]


def _check(source: str, patch: str, path: str) -> None:
    """A variant that imports `difffuzz.kvm` would run the unpatched model without a word."""
    for number, line in enumerate(split_lines(source), start=1):
        if _ABSOLUTE.match(line):
            raise PatchError(patch, path, 0, f"line {number} imports the model absolutely")
    try:
        compile(source, path, "exec", dont_inherit=True)
    except SyntaxError as error:
        raise PatchError(
            patch, path, 0, f"line {error.lineno} is no longer Python: {error.msg}"
        ) from error
    except (ValueError, RecursionError, MemoryError) as error:  # a NUL, or too deep a nesting
        raise PatchError(patch, path, 0, f"is no longer Python: {error!r}") from error


def _module_name(variant: str, path: str) -> str:
    dotted = path.removeprefix("difffuzz/").removesuffix(".py").replace("/", ".")
    return f"{variant}.{dotted.removesuffix('.__init__')}"


def _finder() -> VariantFinder:
    for finder in sys.meta_path:
        if isinstance(finder, VariantFinder):
            return finder
    finder = VariantFinder()
    sys.meta_path.append(finder)
    return finder


class VariantFinder(importlib.abc.MetaPathFinder):
    """Finds the modules of variants in memory."""

    def __init__(self) -> None:
        self.sources: dict[str, dict[str, str]] = {}  # variant -> path -> text
        self.marks: dict[str, ChangedLines] = {}  # variant -> its marked statements

    def find_spec(
        self, fullname: str, path: object, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        variant, _, dotted = fullname.partition(".")
        sources = self.sources.get(variant)
        if sources is None:
            return None
        stem = "difffuzz" + "".join(f"/{part}" for part in dotted.split(".") if part)
        if not dotted:
            return self._spec(fullname, f"{stem}/__init__.py", "", is_package=True)
        for file, is_package in ((f"{stem}/__init__.py", True), (f"{stem}.py", False)):
            if file in sources:
                return self._spec(fullname, file, sources[file], is_package)
        return None

    def _spec(self, fullname: str, file: str, source: str, is_package: bool) -> ModuleSpec:
        variant = fullname.partition(".")[0]
        filename = file.replace("difffuzz", variant, 1)
        loader = VariantLoader(file, filename, source, is_package, self.marks.get(variant))
        spec = ModuleSpec(fullname, loader, origin=filename, is_package=is_package)
        spec.has_location = True  # sets __file__, which tracebacks and coverage show
        return spec


class VariantLoader(importlib.abc.InspectLoader):
    """Runs one module of a variant; `get_code` is the hook for instrumentation."""

    def __init__(
        self,
        path: str,
        filename: str,
        source: str,
        is_package: bool,
        marks: ChangedLines | None = None,
    ) -> None:
        self.path = path
        self.filename = filename
        self.source = source
        self.package = is_package
        self.marks = marks

    def get_source(self, fullname: str) -> str:
        return self.source

    def is_package(self, fullname: str) -> bool:
        return self.package

    def get_code(self, fullname: str) -> CodeType:
        # A line cache entry without a time stamp is kept: tracebacks show the patched lines.
        lines = split_lines(self.source)
        linecache.cache[self.filename] = (len(self.source), None, lines, self.filename)
        if self.marks is not None:
            return self.marks.compile(self.source, self.filename, self.path)
        code: CodeType = compile(self.source, self.filename, "exec", dont_inherit=True)
        return code

    def exec_module(self, module: ModuleType) -> None:
        if self.marks is not None:
            module.__dict__[MARK] = self.marks.ran.add
        super().exec_module(module)
