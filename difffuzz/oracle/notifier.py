# SPDX-License-Identifier: GPL-2.0-only
"""An mmu notifier that listens to nothing: what those of the oracles have in common."""

from __future__ import annotations


class SilentNotifier:
    """The calls that no oracle needs."""

    __slots__ = ()

    def change_pte(self, addr: int, pte: int) -> None:
        """Part of an invalidation."""

    def clear_flush_young(self, start: int, end: int) -> int:
        """Aging invalidates nothing."""
        return 0

    def clear_young(self, start: int, end: int) -> int:
        """Aging invalidates nothing."""
        return 0

    def test_young(self, addr: int) -> int:
        """Aging invalidates nothing."""
        return 0

    def release(self) -> None:
        """The address space ends."""
