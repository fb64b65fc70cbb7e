# SPDX-License-Identifier: GPL-2.0-only
"""The mmu notifier that KVM registers, handed over to the kernel's own kvm_main.c."""

from __future__ import annotations

from difffuzz.native.host import x86_pte
from difffuzz.native.library import Library


class NativeNotifier:
    """struct mmu_notifier_ops of the library; addresses are hva bytes, ranges [start, end)."""

    __slots__ = ("_run",)

    def __init__(self, library: Library) -> None:
        self._run = library.run

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> object:
        """The range is about to change."""
        return self._run("invalidate_range_start", start, end, blockable)

    def invalidate_range_end(self, start: int, end: int) -> object:
        """The change is done."""
        return self._run("invalidate_range_end", start, end)

    def change_pte(self, addr: int, pte: int) -> object:
        """The entry at `addr` becomes `pte`."""
        return self._run("change_pte", addr, x86_pte(pte))

    def clear_flush_young(self, start: int, end: int) -> int:
        """Clears accessed bits and flushes."""
        return self._run("clear_flush_young", start, end)

    def clear_young(self, start: int, end: int) -> int:
        """Clears accessed bits."""
        return self._run("clear_young", start, end)

    def test_young(self, addr: int) -> int:
        """Is the accessed bit set?"""
        return self._run("test_young", addr)

    def release(self) -> object:
        """The process exits."""
        return self._run("release")
