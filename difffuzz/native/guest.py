# SPDX-License-Identifier: GPL-2.0-only
"""What a guest with page tables has the kernel's own code do: registers, flushes, emulation."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

from difffuzz.native.abi.limits import CR, EMULATED_FAULT, EMULATED_MMIO
from difffuzz.native.library import Library
from difffuzz.native.vcpu import NativeVcpu

CR0_PE, CR0_WP, CR0_PG = 1 << 0, 1 << 16, 1 << 31
CR4_PAE, CR4_SMEP = 1 << 5, 1 << 20
EFER_LME, EFER_LMA, EFER_NX = 1 << 8, 1 << 10, 1 << 11
NO_FAULT = -1


class Emulated(NamedTuple):
    """What the emulator's access came to: the word, or `mmio`, or a #PF that is now pending."""

    word: int
    mmio: bool = False
    faults: bool = False
    errno: int = 0


class GuestCalls:
    """Of one VM.  Addresses in bytes."""

    __slots__ = ("_library", "_word", "_word_at")

    def __init__(self, library: Library) -> None:
        self._library = library
        self._word = ctypes.c_uint64()
        self._word_at = ctypes.addressof(self._word)

    def set_cr3(self, vcpu: NativeVcpu, value: int) -> int:
        """MOV to CR3; not 0: it takes a #GP."""
        return self._library.run("set_cr", vcpu.vcpu_id, CR["CR3"], value)

    def set_wp(self, vcpu: NativeVcpu, on: bool) -> None:
        """MOV to CR0."""
        value = CR0_PG | CR0_PE | (CR0_WP if on else 0)
        self._library.run("set_cr", vcpu.vcpu_id, CR["CR0"], value)

    def set_smep(self, vcpu: NativeVcpu, on: bool) -> None:
        """MOV to CR4."""
        value = CR4_PAE | (CR4_SMEP if on else 0)
        self._library.run("set_cr", vcpu.vcpu_id, CR["CR4"], value)

    def set_nx(self, vcpu: NativeVcpu, on: bool) -> None:
        """WRMSR of EFER."""
        value = EFER_LMA | EFER_LME | (EFER_NX if on else 0)
        self._library.run("set_cr", vcpu.vcpu_id, CR["EFER"], value)

    def set_cpl(self, vcpu: NativeVcpu, user: bool) -> None:
        """The guest runs at privilege level 3 or 0."""
        self._library.run("set_cpl", vcpu.vcpu_id, 3 if user else 0)

    def invlpg(self, vcpu: NativeVcpu, gva: int) -> None:
        """INVLPG, which exits where tables are shadowed."""
        self._library.run("invlpg", vcpu.vcpu_id, gva)

    def unprotect(self, vcpu: NativeVcpu, gva: int) -> bool:
        """The page is shadowed no longer, and the instruction may be tried again."""
        return bool(self._library.run("unprotect", vcpu.vcpu_id, gva))

    def take_page_fault(self, vcpu: NativeVcpu) -> int:
        """The error code of the #PF that KVM injects; NO_FAULT for none."""
        return self._library.run("take_page_fault", vcpu.vcpu_id)

    def enter_l2(self, vcpu: NativeVcpu, root: int, ad: bool) -> None:
        """L1 enters its L2 under the EPT with that top table (gpa); `ad`: with accessed and dirty
        bits."""
        self._library.run("enter_l2", vcpu.vcpu_id, root, ad)

    def leave_l2(self, vcpu: NativeVcpu) -> None:
        """L2 exits to L1."""
        self._library.run("leave_l2", vcpu.vcpu_id)

    def invept(self, vcpu: NativeVcpu, root: int) -> None:
        """INVEPT of one EPT, by its top table (gpa)."""
        self._library.run("invept", vcpu.vcpu_id, root)

    def take_l2_fault(self, vcpu: NativeVcpu) -> int:
        """The exit to L1 that is due: the error code of a nested page fault, PFERR_RSVD_MASK for an
        EPT misconfiguration, 0 for a violation; NO_FAULT for none."""
        return self._library.run("take_l2_fault", vcpu.vcpu_id)

    def emulate(self, vcpu: NativeVcpu, gva: int, access: int, word: int) -> Emulated:
        """An access (0 read, 1 write, 2 fetch) by the kernel's emulator."""
        self._word.value = word
        r = self._library.run("emulate", vcpu.vcpu_id, gva, access, self._word_at)
        if r < 0:
            return Emulated(0, errno=r)
        if r == EMULATED_MMIO:
            return Emulated(0, mmio=True)
        return Emulated(self._word.value, faults=r == EMULATED_FAULT)
