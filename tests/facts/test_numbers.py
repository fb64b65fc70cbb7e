# SPDX-License-Identifier: GPL-2.0-only
"""The numbers are those of the system."""

from __future__ import annotations

import errno as system

import pytest

from difffuzz.facts import errno, kvm, paging, spte
from difffuzz.kvm import kvm_host
from difffuzz.program import model


@pytest.mark.parametrize("name", [name for name in vars(errno) if name.startswith("E")])
def test_errno(name: str) -> None:
    # EHWPOISON is not in Python's module before 3.14.
    assert getattr(errno, name) == getattr(system, name, 133)


@pytest.mark.parametrize(
    ("first", "last", "mask"), [(0, 0, 1), (3, 10, 0x7F8), (46, 45, 0), (63, 63, 1 << 63)]
)
def test_rsvd_bits(first: int, last: int, mask: int) -> None:
    assert paging.rsvd_bits(first, last) == mask


def test_an_address_and_reserved_bits_fill_the_address_of_the_format() -> None:
    assert paging.PHYS_ADDR_MASK ^ paging.RSVD_PHYS_BITS_MASK == spte.SPTE_BASE_ADDR_MASK
    assert paging.RSVD_PHYS_BITS_MASK & 1 << 51, "KVM's MMIO SPTE of x86 tables is refused"


def test_ret_pf_has_names() -> None:
    for number, name in enumerate(kvm.RET_PF_NAMES):
        assert getattr(kvm, f"RET_PF_{name}") == number


def test_programs_and_kvm_number_the_flags_of_memslots_alike() -> None:
    """Programs know nothing of KVM, so that each has its own."""
    assert model.DIRTY_LOG == kvm_host.KVM_MEM_LOG_DIRTY_PAGES
    assert model.READONLY == kvm_host.KVM_MEM_READONLY
