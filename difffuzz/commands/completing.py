# SPDX-License-Identifier: GPL-2.0-only
"""What the shell offers for words that only difffuzz knows: sides, bugs, modes, kernel versions.

Whatever is wrong is no word and nothing else: a shell would show it in the middle of a line.
"""

from __future__ import annotations

from ..errors import UsageError
from ..native.cache import default_cache
from ..sides import KERNELS
from ..sides.names import BASES, MMUS, NATIVE
from ..variants.catalogue import Bug, catalogue


def complete_side(incomplete: str) -> list[tuple[str, str]]:
    """Sides; bugs of the catalogue once a plus sign is there."""
    base, plus, _ = incomplete.rpartition("+")
    if plus:
        return [(f"{base}+{bug.id}", bug.subject) for bug in _bugs() if not bug.held]
    models = [(base, "the model" if base in MMUS else "memslots only") for base in BASES]
    versions = [
        (f"{mmu}@{version}", f"the model of {version}")
        for version in complete_kernel()
        for mmu in MMUS
    ]
    native = [(f"{NATIVE}{mmu}", "the kernel's own code") for mmu in MMUS]
    built = [(f"{NATIVE}{name}:{mmu}", "a build") for name in _builds() for mmu in MMUS]
    return [*models, *versions, *native, *built]


def complete_bug() -> list[tuple[str, str]]:
    """Bugs of the catalogue."""
    return [(bug.id, bug.subject) for bug in _bugs()]


def complete_kernel() -> list[str]:
    """Kernel versions that there is a model of."""
    return sorted(path.stem for path in KERNELS.glob("*.patch"))


def complete_mode() -> list[str]:
    """How a program runs."""
    return ["lockstep", "concurrent", "portfolio", "guests"]


def complete_own_mode() -> list[str]:
    """The same for one program."""
    return ["lockstep", "concurrent"]


def _bugs() -> list[Bug]:
    try:
        return catalogue()
    except (UsageError, OSError):
        return []


def _builds() -> list[str]:
    try:
        return sorted(path.parent.name for path in default_cache().build("x").parent.glob("*/*.so"))
    except (UsageError, OSError):
        return []
