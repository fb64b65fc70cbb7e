# SPDX-License-Identifier: GPL-2.0-only
"""Instrument the model as it is imported, and nothing else.

`atheris.instrument_imports()` chooses by top-level package and would slow down the codec, the
scheduler and the oracles as well, so an import hook of our own chooses, and marks branches in the
cheaper way of branches.py. Variants of the model come from a loader of their own
(difffuzz.variants.engine); the hook wraps whatever loader finds the module.
"""

from __future__ import annotations

import importlib.abc
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Protocol, cast

from ..errors import MissingTool
from ..shipped import to_install
from .branches import Branches

MODELS = ("difffuzz.kvm", "difffuzz.machine")
VARIANTS = "difffuzz_variant_"


class _SourceLoader(Protocol):
    """What an instrumented module's own loader must offer (importlib.abc.InspectLoader)."""

    def get_source(self, fullname: str) -> str | None: ...


def atheris_module() -> Any:
    """The atheris module, which has no types; MissingTool if it does not import."""
    try:
        import atheris
    except ImportError as error:
        raise MissingTool(f"atheris does not import ({error})", to_install("atheris")) from error
    return atheris


def is_model(module: str) -> bool:
    """Is this module one whose branches guide the fuzzer?"""
    return module.startswith(VARIANTS) or any(
        module == package or module.startswith(f"{package}.") for package in MODELS
    )


def install() -> Branches:
    """Instrument every model module that is imported from now on; the branches fill up with it."""
    early = sorted(name for name in sys.modules if is_model(name))
    assert not early, f"imported before the instrumentation: {early}"
    branches = Branches()
    sys.meta_path.insert(0, InstrumentingFinder(branches))
    return branches


def leave_off() -> None:
    """What is imported from now on is not instrumented: the models that only judge."""
    sys.meta_path[:] = [one for one in sys.meta_path if not isinstance(one, InstrumentingFinder)]


class InstrumentingFinder(importlib.abc.MetaPathFinder):
    """Finds model modules with the finders behind it and wraps their loaders."""

    def __init__(self, branches: Branches) -> None:
        self.branches = branches

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not is_model(fullname):
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "get_source"):
                    inner = cast(_SourceLoader, spec.loader)
                    spec.loader = _InstrumentingLoader(inner, self.branches)
                return spec
        return None


class _InstrumentingLoader(importlib.abc.Loader):
    """Runs a module with its branches marked; all else is its own loader's answer."""

    def __init__(self, inner: _SourceLoader, branches: Branches) -> None:
        self._inner = inner
        self._branches = branches

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        source = self._inner.get_source(name)
        filename = (module.__spec__ and module.__spec__.origin) or name
        if source is not None:
            module.__dict__.update(self._branches.names)
            exec(self._branches.compile(source, filename, name), module.__dict__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
