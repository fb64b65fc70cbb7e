# SPDX-License-Identifier: GPL-2.0-only
"""Plant a bug in the model: a patch made from a replacement, so that it always applies."""

from __future__ import annotations

import difflib
from pathlib import Path

from difffuzz.variants.engine import model_sources


def plant(directory: Path, file: str, old: str, new: str) -> Path:
    """A patch in `directory` that replaces the one place where `file` of the model says `old`."""
    path = f"difffuzz/kvm/{file}"
    source = model_sources()[path]
    assert source.count(old) == 1
    lines = difflib.unified_diff(
        source.splitlines(keepends=True),
        source.replace(old, new).splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
    )
    patch = directory / "planted.patch"
    patch.write_text("".join(lines))
    return patch


def plant_stale(directory: Path) -> Path:
    """A fault maps although its page was invalidated since the pfn was looked up."""
    return plant(
        directory,
        "mmu.py",
        "return fault.slot is not None and mmu_invalidate_retry_hva(",
        "return fault.slot is None and mmu_invalidate_retry_hva(",
    )


def plant_at_fault(directory: Path, statement: str) -> Path:
    """The TDP MMU runs a statement for each fault that it maps; `fault` and `kvm` are there."""
    return plant(
        directory,
        "tdp_mmu.py",
        "    kvm_mmu_hugepage_adjust(vcpu, fault)\n    root =",
        f"    {statement}\n    kvm_mmu_hugepage_adjust(vcpu, fault)\n    root =",
    )
