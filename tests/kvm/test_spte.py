# SPDX-License-Identifier: GPL-2.0-only
"""What an SPTE says: access tracking, volatile bits, dirty, writable, executable.

Every number was worked out by hand from the kernel's spte.h and spte.c; spte_values.py names bits.
"""

from __future__ import annotations

import pytest

from difffuzz.kvm import spte

from .spte_values import EPT, EPT_NO_AD, NPT, PFN, WRITABLE, each_layout
from .vm import model


@each_layout
def test_the_frozen_spte_is_nothing_else(layout: str) -> None:
    masks = model(layout).kvm.masks
    assert spte.REMOVED_SPTE == 0x5A0
    assert spte.is_removed_spte(0x5A0)
    assert not spte.is_shadow_present_pte(0x5A0)
    assert not spte.is_mmio_spte(masks, 0x5A0)
    assert not spte.is_removed_spte(0)


@pytest.mark.parametrize(
    ("layout", "marked", "restored"),
    [
        (EPT, 0x0600_0000_1234_5A77, None),
        (EPT_NO_AD, 0x0750_0000_1234_5870, 0x0610_0000_1234_5875),
        (NPT, 0x0000_0000_1234_5E47, None),
    ],
)
def test_access_tracking(layout: str, marked: int, restored: int | None) -> None:
    kvm = model(layout).kvm
    m = kvm.masks
    before = WRITABLE[layout]
    assert spte.is_accessed_spte(m, before)
    assert spte.mark_spte_for_access_track(kvm, before) == marked
    assert spte.mark_spte_for_access_track(kvm, marked) == marked
    assert not spte.is_accessed_spte(m, marked)
    assert spte.is_access_track_spte(m, marked) == (restored is not None)
    if restored is not None:
        # The W bit is given back by a write fault only.
        assert spte.restore_acc_track_spte(m, marked) == restored
    assert kvm.splats == []


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (0x0210_0000_1234_5877, "writable SPTE is not MMU-writable"),
        (0x0410_0000_1234_5875, "MMU-writable SPTE is not host-writable"),
        (0x0650_0000_1234_5877, "saved bits are not zero"),
    ],
)
def test_access_tracking_checks_what_it_saves(wrong: int, text: str) -> None:
    kvm = model(EPT_NO_AD).kvm
    spte.mark_spte_for_access_track(kvm, wrong)
    assert [splat[1] for splat in kvm.splats] == [text]


@pytest.mark.parametrize(
    ("layout", "expected"),
    [
        (EPT, 0x0000_0000_0077_7A75),
        (EPT_NO_AD, 0x0150_0000_0077_7870),
        (NPT, 0x0000_0000_0077_7845),
    ],
)
def test_changed_pte(layout: str, expected: int) -> None:
    """Read-only at the new pfn, for good, and to be seen when accessed next; D stays."""
    kvm = model(layout).kvm
    made = spte.kvm_mmu_changed_pte_notifier_make_spte(kvm, WRITABLE[layout], 0x777)
    assert f"{made:#018x}" == f"{expected:#018x}"
    assert kvm.splats == []


@pytest.mark.parametrize(
    ("layout", "value", "volatile"),
    [
        (EPT, 0x0600_0000_1234_5B77, False),
        (EPT, 0x0600_0000_1234_5A77, True),  # the CPU may set A
        (EPT, 0x0600_0000_1234_5977, True),  # the CPU may set D
        (EPT, 0x0600_0000_1234_5975, True),  # a fast page fault may set W
        (EPT, 0x0200_0000_1234_5975, False),
        (EPT_NO_AD, 0x0610_0000_1234_5877, False),
        (EPT_NO_AD, 0x0610_0000_1234_5875, True),
        (EPT_NO_AD, 0x0150_0000_1234_5870, True),  # a fast page fault may restore R and X
        (EPT_NO_AD, 0x0010_0000_1234_5875, False),
        (NPT, 0x0000_0000_1234_5E67, False),
        (NPT, 0x0000_0000_1234_5E47, True),
        (NPT, 0x0000_0000_1234_5E27, True),
        (NPT, 0x0000_0000_1234_5825, False),
    ],
)
def test_volatile_bits(layout: str, value: int, volatile: bool) -> None:
    assert spte.spte_has_volatile_bits(model(layout).kvm.masks, value) == volatile


@pytest.mark.parametrize(
    ("layout", "value", "dirty", "executable", "writable"),
    [
        (EPT, 0x0600_0000_1234_5B77, True, True, True),
        (EPT, 0x0600_0000_1234_5973, False, False, True),
        (EPT_NO_AD, 0x0610_0000_1234_5877, True, True, True),
        (EPT_NO_AD, 0x0610_0000_1234_5875, False, True, False),
        (NPT, 0x0000_0000_1234_5E67, True, True, True),
        (NPT, 0x8000_0000_1234_5E25, False, False, False),
    ],
)
def test_state_of_a_leaf(
    layout: str, value: int, dirty: bool, executable: bool, writable: bool
) -> None:
    m = model(layout).kvm.masks
    assert spte.is_dirty_spte(m, value) == dirty
    assert spte.is_executable_pte(m, value) == executable
    assert spte.is_writable_pte(value) == writable
    assert spte.spte_to_pfn(value) == PFN
