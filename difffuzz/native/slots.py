# SPDX-License-Identifier: GPL-2.0-only
"""The memslots of the kernel's own KVM with the attributes of difffuzz.kvm's."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar, overload

from difffuzz.native.abi.view import Memslot, VmNumbers
from difffuzz.native.library import Library

D = TypeVar("D")


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

    def __init__(self, as_id: int, slot: int, found: Memslot) -> None:
        self.as_id = as_id
        self.id = slot
        self.base_gfn = found.base_gfn
        self.npages = found.npages
        self.userspace_addr = found.userspace_addr
        self.flags = found.flags
        at = found.dirty_bitmap
        self.dirty_bitmap = DirtyBitmap(at, self.npages) if at else None
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

    @overload
    def get(self, number: int, default: None = None) -> int | None: ...

    @overload
    def get(self, number: int, default: D) -> int | D: ...

    def get(self, number: int, default: D | None = None) -> int | D | None:
        """The word, or `default` if it is 0."""
        word: int = self._words[number]
        return word or default

    def __iter__(self) -> Iterator[int]:
        return (number for number, word in enumerate(self._words) if word)

    def __len__(self) -> int:
        return sum(1 for _ in self)


class SlotsById:
    """id_hash of a struct kvm_memslots."""

    def __init__(self, library: Library, as_id: int) -> None:
        self._library = library
        self._as_id = as_id

    def get(self, slot: int) -> NativeSlot | None:
        """The slot of that id."""
        found = Memslot()
        if not self._library.memslot(self._as_id, slot, ctypes.addressof(found)):
            return None
        return NativeSlot(self._as_id, slot, found)

    def values(self) -> list[NativeSlot]:
        """All slots; none once the VM is gone."""
        return []


class NativeMemslots:
    """struct kvm_memslots in use."""

    def __init__(self, library: Library, numbers: Callable[[], VmNumbers], as_id: int) -> None:
        self._numbers = numbers
        self._as_id = as_id
        self.id_hash = SlotsById(library, as_id)

    @property
    def generation(self) -> int:
        """Its generation."""
        generation: int = self._numbers().generations[self._as_id]
        return generation
