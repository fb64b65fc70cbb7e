# SPDX-License-Identifier: GPL-2.0-only
"""The memslots of the kernel's own KVM with the attributes of difffuzz.kvm's."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from difffuzz.native.kvm import NativeKvm


class NativeSlot:
    """struct kvm_memory_slot, as it is now."""

    __slots__ = (
        "arch",
        "as_id",
        "base_gfn",
        "dirty_bitmap",
        "flags",
        "id",
        "npages",
        "userspace_addr",
    )

    def __init__(self, as_id: int, slot: int, numbers: Any) -> None:
        self.as_id = as_id
        self.id = slot
        self.base_gfn, self.npages, self.userspace_addr, self.flags = numbers[:4]
        self.dirty_bitmap = DirtyBitmap(numbers[4], self.npages) if numbers[4] else None
        self.arch = SlotArch()


class SlotArch:
    """Its arch part: rmaps are the library's own."""

    rmap = None


class DirtyBitmap(Mapping[int, int]):
    """The words of a dirty bitmap that are not 0, by number, as they are now."""

    __slots__ = ("_words",)

    def __init__(self, at: int, npages: int) -> None:
        self._words = (ctypes.c_uint64 * ((npages + 63) >> 6)).from_address(at)

    def __getitem__(self, number: int) -> int:
        word: int = self._words[number]
        if not word:
            raise KeyError(number)
        return word

    def get(self, number: int, default: Any = None) -> Any:
        """The word, or `default` if it is 0."""
        return self._words[number] or default

    def __iter__(self) -> Iterator[int]:
        return (number for number, word in enumerate(self._words) if word)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class SlotsById:
    """id_hash of a struct kvm_memslots."""

    def __init__(self, kvm: NativeKvm, as_id: int) -> None:
        self._kvm = kvm
        self._as_id = as_id

    def get(self, slot: int) -> NativeSlot | None:
        """The slot of that id."""
        out = (ctypes.c_long * 5)()
        if not self._kvm.library.memslot(self._as_id, slot, ctypes.addressof(out)):
            return None
        return NativeSlot(self._as_id, slot, list(out))

    def values(self) -> list[NativeSlot]:
        """All slots; none once the VM is gone."""
        return []


class NativeMemslots:
    """struct kvm_memslots in use."""

    def __init__(self, kvm: NativeKvm, as_id: int) -> None:
        self._kvm = kvm
        self._as_id = as_id
        self.id_hash = SlotsById(kvm, as_id)

    @property
    def generation(self) -> int:
        """Its generation."""
        return int(self._kvm.numbers()[12 + self._as_id])
