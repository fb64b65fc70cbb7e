# SPDX-License-Identifier: GPL-2.0-only
"""What the commands of `kernel` share: which kernel, which QEMU, which models."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..booted.boot import Wish
from ..booted.kernel import Kernel, fetched, own
from ..booted.qemu import ACCELERATORS, find_qemu, lacks_nesting
from ..errors import MissingTool, UsageError
from ..native.cache import default_cache
from ..sides import KERNELS, KvmFactory, open_side
from .progress import note

What = Annotated[
    str,
    typer.Argument(
        metavar="[6.1|6.12|7.2|qemu]", help="A kernel's series; qemu: a QEMU that is new enough."
    ),
]
Which = Annotated[str, typer.Option("--kernel", metavar="V", help="A fetched kernel.")]
Image = Annotated[
    Path | None, typer.Option(metavar="FILE", help="A kernel of your own, a bzImage.")
]
Modules = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Its modules, anywhere below; without: all is built in."),
]
QemuPath = Annotated[Path | None, typer.Option("--qemu", metavar="FILE", help="Which QEMU.")]
Accel = Annotated[str, typer.Option(help="tcg, or kvm on a machine that nests.")]
Memory = Annotated[
    int, typer.Option("--memory", metavar="MIB", min=512, max=1 << 16, help="Of the machine.")
]
Together = Annotated[
    bool,
    typer.Option(
        "--together", help="A VM with each MMU at once, on the same memory (kernels before 6.3)."
    ),
]
DEFAULT = "6.1"


def wish_of(
    series: str, image: Path | None, modules: Path | None, qemu: Path | None, accel: str
) -> Wish:
    """What to boot.  UsageError, MissingTool: it is not there."""
    if accel not in ACCELERATORS:
        raise UsageError(f"--accel {accel}: {' or '.join(ACCELERATORS)}")
    if accel == "kvm" and (lack := lacks_nesting()):
        raise MissingTool(f"--accel kvm: {lack}", "difffuzz kernel doctor")
    if image is None and modules is not None:
        raise UsageError("--modules belongs to --image")
    cache = default_cache()
    which: Kernel = fetched(cache, series) if image is None else own(image, modules)
    return Wish(which, find_qemu(qemu, cache), accel)


def models_of(kernel: Kernel, model: str | None) -> dict[str, KvmFactory]:
    """The models of its version, by MMU."""
    variant = model if model is not None else f"@v{kernel.series}"
    if model is None and not (KERNELS / f"v{kernel.series}.patch").is_file():
        note(f"warning: there is no model for Linux {kernel.series}, the base is asked")
        variant = ""
    sides = {mmu: open_side(f"{mmu}{variant}") for mmu in ("legacy", "tdp")}
    models = {mmu: side for mmu, side in sides.items() if isinstance(side, KvmFactory)}
    if len(models) != len(sides):
        raise UsageError(f"{variant!r} has no page tables to compare")
    return models
