# SPDX-License-Identifier: GPL-2.0-only
"""RET_PF_* as each kernel counts them (arch/x86/kvm/mmu/mmu_internal.h)."""

from __future__ import annotations

_TABLE: tuple[tuple[tuple[int, int], tuple[str, ...]], ...] = (
    ((6, 12), ("CONTINUE", "RETRY", "EMULATE", "WRITE_PROTECTED", "INVALID", "FIXED", "SPURIOUS")),
    ((0, 0), ("CONTINUE", "RETRY", "EMULATE", "INVALID", "FIXED", "SPURIOUS")),
)
"""From a version on, the newest first; RET_PF_WRITE_PROTECTED came with 6.12."""


def ret_pf_names(kernel: tuple[int, int]) -> tuple[str, ...]:
    """What comes behind RET_PF_, by number."""
    return next(names for since, names in _TABLE if kernel >= since)
