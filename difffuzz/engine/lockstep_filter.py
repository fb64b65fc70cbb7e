# SPDX-License-Identifier: GPL-2.0-only
"""Which filter there is before the engine, for two sides."""

from __future__ import annotations

from difffuzz.engine.fast_lockstep import FastLockstep
from difffuzz.engine.fast_mixed import FastMixed
from difffuzz.sides import KvmFactory, NativeFactory, SideFactory


def lockstep_filter(left: SideFactory, right: SideFactory) -> FastLockstep | FastMixed | None:
    """It plays what is the kernel's own code; None if neither side is, or one has no MMU."""
    if not isinstance(left, KvmFactory) or not isinstance(right, KvmFactory):
        return None
    if isinstance(left, NativeFactory) and isinstance(right, NativeFactory):
        return FastLockstep(left, right)
    if isinstance(left, NativeFactory) or isinstance(right, NativeFactory):
        return FastMixed(left, right)
    return None
