# SPDX-License-Identifier: GPL-2.0-only
"""Sides by name: legacy, tdp, spec, those with patches (tdp+FILE.patch), and native:*."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import cast

import difffuzz.kvm
from difffuzz.errors import UsageError
from difffuzz.native.kvm_functions import NativePackage
from difffuzz.native.side import open_package
from difffuzz.program import Config
from difffuzz.sched import Scheduler
from difffuzz.sched.core import STEP_LIMIT
from difffuzz.sides.base import Side, SideFactory
from difffuzz.sides.guest_side import GuestSide
from difffuzz.sides.kvm_package import AnyPackage
from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.machine import PLAIN, Machine
from difffuzz.sides.names import KERNELS, parse_name
from difffuzz.sides.spec import SpecSide
from difffuzz.variants import ChangedLines, load, load_marked

__all__ = ["KERNELS", "Side", "SideFactory", "is_model", "open_side", "short_name"]


NATIVE_STEP_LIMIT = 10 * STEP_LIMIT
"""Of the kernel's own code.  It looks at each of a table's 512 entries, the model at those that are
there: splitting a 1G page down to 4K takes 2.6 million steps in Linux 7.2, half a million here."""
NATIVE_CODE = ("difffuzz.native.kvm_functions", "difffuzz.native.notifier")
"""Where the kernel's own code is entered: Python sees no function further in."""


class KvmFactory:
    """Starts a KVM with one of its MMUs.  `code`: packages and modules of KVM's functions."""

    step_limit = STEP_LIMIT
    walks_guests = False
    """It runs guests with page tables of their own."""

    def __init__(
        self, name: str, package: AnyPackage, tdp_mmu: bool, code: tuple[str, ...]
    ) -> None:
        self.name = name
        self.package = package
        self.tdp_mmu = tdp_mmu
        self.code = code

    def check(self, config: Config) -> None:
        """UsageError if the side cannot run programs of this configuration."""
        if self.tdp_mmu and config.paging != "tdp":
            raise UsageError(
                f"side {self.name!r} cannot run a nonpaging guest: the TDP MMU needs paging"
            )
        if config.guest != "none" and not self.walks_guests:
            raise UsageError(without_guests(self.name, config))

    def start(
        self, config: Config, sched: Scheduler | None = None, machine: Machine = PLAIN
    ) -> KvmSide:
        """A VM with the program's configuration.  UsageError if the side cannot run it.

        `sched` runs its tasks; without one they run one operation at a time.  `machine`: what it
        runs on, for those who want to be told what it does.
        """
        self.check(config)
        if config.guest != "none" and sched is not None:
            raise UsageError(
                f"guest={config.guest}: the threads of a guest with page tables of its own run at "
                "once under replay, explain and fuzz only"
            )
        side = KvmSide if config.guest == "none" else GuestSide
        return side(self.name, self.package, config, self.tdp_mmu, sched, machine)

    def start_guest(self, config: Config, sched: Scheduler) -> GuestSide:
        """A VM whose guest has page tables, with threads at once.  UsageError as start()."""
        self.check(config)
        return GuestSide(self.name, self.package, config, self.tdp_mmu, sched)


class NativeFactory(KvmFactory):
    """Starts the kernel's own code, one VM at a time.  `library`: where it lives."""

    step_limit = NATIVE_STEP_LIMIT
    walks_guests = True

    def __init__(self, name: str, package: NativePackage, tdp_mmu: bool) -> None:
        super().__init__(name, cast(AnyPackage, package), tdp_mmu, NATIVE_CODE)
        self.library = package.library


class SpecFactory:
    """Starts the specification."""

    name = "spec"
    step_limit = STEP_LIMIT

    def start(self, config: Config) -> SpecSide:
        """The specification of the program's configuration.  UsageError as from a model."""
        if config.guest != "none":
            raise UsageError(without_guests(self.name, config))
        return SpecSide(self.name, config)


def without_guests(name: str, config: Config) -> str:
    """Why a side that has no such guests cannot run the configuration."""
    return (
        f"side {name!r} cannot run guest={config.guest}: guests with page tables of their own run "
        "on the kernel's own code only (native:legacy, native:tdp)"
    )


def short_name(name: str) -> str:
    """The name of a side with the stem of each patch in place of its path: tdp+my."""
    base, *patches = name.split("+")
    return "+".join([base, *(Path(patch).stem for patch in patches)])


def open_side(name: str) -> SideFactory:
    """The side of that name.  UsageError for an unknown one; PatchError for a patch that fails."""
    parts = parse_name(name)
    if parts.build is not None:
        return NativeFactory(name, open_package(parts.build), parts.base == "tdp")
    if parts.base == "spec":
        return SpecFactory()
    package = load(parts.patches) if parts.patches else difffuzz.kvm
    return _model_factory(name, package, parts.base)


def open_marked(name: str, other: str) -> tuple[KvmFactory, ChangedLines]:
    """A side that is a model, and which of the statements that the side `other` does not have ran.

    UsageError, PatchError as from open_side().
    """
    parts = parse_name(name)
    package, marks = load_marked(parts.patches, parse_name(other).patches)
    return _model_factory(name, package, parts.base), marks


def is_model(name: str) -> bool:
    """True for the name of a model, patched or not."""
    parts = parse_name(name)
    return parts.build is None and parts.base != "spec"


def _model_factory(name: str, package: ModuleType, base: str) -> KvmFactory:
    for module in ("vm", "x86", "dirty_log", "memslot_update", "mmu_roots", "mmu_zap"):
        import_module(f"{package.__name__}.{module}")
    # That packages offer all of it is checked by mypy: tests/sides/test_kvm_package.py.
    offered = cast(AnyPackage, package)
    return KvmFactory(short_name(name), offered, base == "tdp", (package.__name__,))
