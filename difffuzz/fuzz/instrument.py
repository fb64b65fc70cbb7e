# SPDX-License-Identifier: GPL-2.0-only
"""Let atheris see the branches of the model, and of nothing else.

`atheris.instrument_imports()` chooses by top-level package and would slow down the codec, the
scheduler and the oracles as well, so the choice is made here, by an import hook that passes the
code of chosen modules through `atheris.patch_code()`. Variants of the model come from a loader of
their own (difffuzz.variants.engine); the hook wraps whatever loader finds the module.

Comparisons are not traced: libFuzzer uses them for its own byte mutations, which programs never go
through, and for value profiles, which are off.
"""

from __future__ import annotations

import importlib.abc
import sys
from importlib.machinery import ModuleSpec
from types import CodeType, ModuleType
from typing import Any, Protocol, cast

from ..errors import MissingTool

MODELS = ("difffuzz.kvm", "difffuzz.machine")
VARIANTS = "difffuzz_variant_"


class _CodeLoader(Protocol):
    """What an instrumented module's own loader must offer (importlib.abc.InspectLoader)."""

    def get_code(self, fullname: str) -> CodeType | None: ...


def atheris_module() -> Any:
    """The atheris module, which has no types; MissingTool if it does not import."""
    try:
        import atheris
    except ImportError as error:
        raise MissingTool(f"atheris does not import ({error})", "scripts/bootstrap") from error
    return atheris


def is_model(module: str) -> bool:
    """Is this module one whose branches guide the fuzzer?"""
    return module.startswith(VARIANTS) or any(
        module == package or module.startswith(f"{package}.") for package in MODELS
    )


def install() -> None:
    """Instrument every model module that is imported from now on, to the end of the process."""
    early = sorted(name for name in sys.modules if is_model(name))
    assert not early, f"imported before the instrumentation: {early}"
    sys.meta_path.insert(0, InstrumentingFinder(atheris_module()))


class InstrumentingFinder(importlib.abc.MetaPathFinder):
    """Finds model modules with the finders behind it and wraps their loaders."""

    def __init__(self, atheris: Any) -> None:
        self.atheris = atheris

    def find_spec(
        self, fullname: str, path: Any, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not is_model(fullname):
            return None
        for finder in sys.meta_path:
            spec = None if finder is self else finder.find_spec(fullname, path, target)
            if spec is not None:
                if hasattr(spec.loader, "get_code"):
                    inner = cast(importlib.abc.InspectLoader, spec.loader)
                    spec.loader = _InstrumentingLoader(inner, self.atheris)
                return spec
        return None


class _InstrumentingLoader(importlib.abc.Loader):
    """Runs a module's code with branch counters in it; all else is its own loader's answer."""

    def __init__(self, inner: _CodeLoader, atheris: Any) -> None:
        self._inner = inner
        self._atheris = atheris

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return None

    def exec_module(self, module: ModuleType) -> None:
        code = self._inner.get_code(module.__name__)
        if code is not None:  # a namespace package has none
            exec(self._atheris.patch_code(code, trace_dataflow=False), module.__dict__)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)
