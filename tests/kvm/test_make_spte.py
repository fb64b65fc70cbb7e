# SPDX-License-Identifier: GPL-2.0-only
"""make_spte() and the others that make SPTEs, bit by bit.

Every number was worked out by hand from the kernel's spte.h and spte.c; spte_values.py names bits.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from difffuzz.kvm import spte
from difffuzz.kvm.kvm_host import KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS

from .spte_values import EPT, EPT_NO_AD, NPT, PFN, WRITABLE, each_layout
from .vm import model, page

GFN = 0x3
HUGE_PFN = 0x12400


class Leaf(NamedTuple):
    """make_spte() with these arguments, on each layout."""

    name: str
    ept: int
    no_ad: int
    npt: int
    level: int = 1
    prefetch: bool = False
    host_writable: bool = True
    tracked: bool = False
    nx: bool = False
    access: int = 7


LEAVES = (
    Leaf("writable", WRITABLE[EPT], WRITABLE[EPT_NO_AD], WRITABLE[NPT]),
    Leaf(
        "read_only_on_the_host",
        0x0000_0000_1234_5975,
        0x0010_0000_1234_5875,
        0x0000_0000_1234_5825,
        host_writable=False,
    ),
    Leaf(
        "no_write_permission",
        0x0200_0000_1234_5975,
        0x0210_0000_1234_5875,
        0x0000_0000_1234_5A25,
        access=5,
    ),
    Leaf(
        "no_execute_permission",
        0x0600_0000_1234_5B73,
        0x0610_0000_1234_5873,
        0x8000_0000_1234_5E67,
        access=6,
    ),
    Leaf(
        "write_tracked",
        0x0200_0000_1234_5975,
        0x0210_0000_1234_5875,
        0x0000_0000_1234_5A25,
        tracked=True,
    ),
    Leaf(
        "prefetched",
        0x0600_0000_1234_5A77,
        0x0750_0000_1234_5870,
        0x0000_0000_1234_5E47,
        prefetch=True,
    ),
    Leaf(
        "huge",
        0x0600_0000_1240_0BF7,
        0x0610_0000_1240_08F7,
        0x0000_0000_1240_0EE7,
        level=2,
    ),
    Leaf(
        "huge_under_nx",
        0x0600_0000_1240_0BF3,
        0x0610_0000_1240_08F3,
        0x8000_0000_1240_0EE7,
        level=2,
        nx=True,
    ),
    Leaf("small_under_nx", WRITABLE[EPT], WRITABLE[EPT_NO_AD], WRITABLE[NPT], nx=True),
)


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.name)
@each_layout
def test_make_spte(leaf: Leaf, layout: str) -> None:
    side = model(f"{layout} nx={'on' if leaf.nx else 'off'}")
    kvm = side.kvm
    slot = kvm.memslots[0].id_hash[0]
    if leaf.tracked:
        assert slot.arch.gfn_track is not None
        slot.arch.gfn_track[GFN] = 1
    wrprot, made = spte.make_spte(
        kvm.vcpus[0],
        page(leaf.level, ad_disabled=layout == EPT_NO_AD),
        slot,
        leaf.access,
        GFN,
        PFN if leaf.level == 1 else HUGE_PFN,
        0,
        leaf.prefetch,
        True,
        leaf.host_writable,
    )
    expected = {EPT: leaf.ept, EPT_NO_AD: leaf.no_ad, NPT: leaf.npt}[layout]
    assert f"{made:#018x}" == f"{expected:#018x}"
    assert wrprot == leaf.tracked
    assert kvm.splats == []


@pytest.mark.parametrize(
    ("old", "expected"),
    [
        (0, 0x0600_0000_1234_5B77),
        # Over a writable leaf: the dirty bit is left out, tracked or not.
        (0x0600_0000_1234_5B77, 0x0600_0000_1234_5977),
        # Bit 1 of an MMIO SPTE is no permission, and a read-only leaf has none.
        (0x0000_0000_0000_3006, 0x0600_0000_1234_5B77),
        (0x0600_0000_1234_5B75, 0x0600_0000_1234_5B77),
    ],
)
def test_make_spte_over_another(old: int, expected: int) -> None:
    kvm = model(EPT).kvm
    slot = kvm.memslots[0].id_hash[0]
    made = spte.make_spte(kvm.vcpus[0], page(1), slot, 7, GFN, PFN, old, False, True, True)
    assert made == (False, expected)


def test_make_spte_of_l2_with_pml_is_write_protected_only() -> None:
    kvm = model("layout=ept dirty_mode=pml").kvm
    slot = kvm.memslots[0].id_hash[0]
    for guest_mode, expected in ((True, 0x0620_0000_1234_5B77), (False, 0x0600_0000_1234_5B77)):
        sp = page(1, guest_mode=guest_mode)
        made = spte.make_spte(kvm.vcpus[0], sp, slot, 7, GFN, PFN, 0, False, True, True)
        assert made == (False, expected)


def test_make_spte_marks_a_writable_page_dirty() -> None:
    kvm = model(EPT, "0 gfn=0x0 pages=0x400 area=1 flags=dirty").kvm
    slot = kvm.memslots[0].id_hash[0]
    spte.make_spte(kvm.vcpus[0], page(1), slot, 7, 0x40, PFN, 0, False, True, False)
    assert slot.dirty_bitmap == {}
    spte.make_spte(kvm.vcpus[0], page(1), slot, 7, 0x41, PFN, 0, False, True, True)
    assert slot.dirty_bitmap == {1: 2}
    assert kvm.splats == []
    spte.make_spte(kvm.vcpus[0], page(2), slot, 7, 0x0, HUGE_PFN, 0, False, True, True)
    assert [where for where, _ in kvm.splats] == ["make_spte"]


@pytest.mark.parametrize(
    ("layout", "ad_disabled", "expected"),
    [
        (EPT, False, 0x0000_1000_0000_0907),
        (EPT_NO_AD, True, 0x0010_1000_0000_0807),
        (NPT, False, 0x0000_1000_0000_0827),
    ],
)
def test_make_nonleaf_spte(layout: str, ad_disabled: bool, expected: int) -> None:
    masks = model(layout).kvm.masks
    assert spte.make_nonleaf_spte(masks, 0x1000_0000_0000, ad_disabled) == expected


@pytest.mark.parametrize(
    ("generation", "ept", "npt"),
    [
        (0, 0x0000_0000_0100_0006, 0x0008_0000_0100_0007),
        (4, 0x0000_0000_0100_0026, 0x0008_0000_0100_0027),
        # 19 bits: 8 to bit 3, 11 to bit 52.
        (0x5A3C7, 0x5A30_0000_0100_063E, 0x5A38_0000_0100_063F),
        (0x7FFFF, 0x7FF0_0000_0100_07FE, 0x7FF8_0000_0100_07FF),
        (0x80000, 0x0000_0000_0100_0006, 0x0008_0000_0100_0007),
        (KVM_MEMSLOT_GEN_UPDATE_IN_PROGRESS | 4, 0x0000_0000_0100_0026, 0x0008_0000_0100_0027),
    ],
)
def test_make_mmio_spte(generation: int, ept: int, npt: int) -> None:
    for layout, expected in ((EPT, ept), (EPT_NO_AD, ept), (NPT, npt)):
        kvm = model(layout).kvm
        kvm.memslots[0].generation = generation
        made = spte.make_mmio_spte(kvm.vcpus[0], 0x1000, 7)
        assert f"{made:#018x}" == f"{expected:#018x}"
        assert spte.get_mmio_spte_generation(made) == generation & 0x7FFFF
        assert spte.is_mmio_spte(kvm.masks, made)
        assert not spte.is_shadow_present_pte(made)
        assert kvm.splats == []


def test_make_mmio_spte_is_of_the_address_space_of_the_vcpu() -> None:
    kvm = model(EPT).kvm
    kvm.memslots[0].generation, kvm.memslots[1].generation = 2, 5
    kvm.vcpus[0].smm = True
    assert spte.make_mmio_spte(kvm.vcpus[0], 0x1000, 7) == 0x0000_0000_0100_002E


def test_without_mmio_caching_there_is_no_mmio_spte() -> None:
    kvm = model("layout=ept mmio_caching=off").kvm
    assert not spte.is_mmio_spte(kvm.masks, 0x0000_0000_0100_0006)
    assert not spte.is_mmio_spte(kvm.masks, 0)
    spte.make_mmio_spte(kvm.vcpus[0], 0x1000, 7)
    assert [where for where, _ in kvm.splats] == ["make_mmio_spte"]


SPLITS = (
    # name, layout, nx, huge SPTE, level of the new table, index, its entry
    ("ept", EPT, "off", 0x0600_0000_1240_0BF7, 1, 5, 0x0600_0000_1240_5B77),
    ("ept_first", EPT, "off", 0x0600_0000_1240_0BF7, 1, 0, 0x0600_0000_1240_0B77),
    ("ept_last", EPT, "off", 0x0600_0000_1240_0BF7, 1, 511, 0x0600_0000_125F_FB77),
    ("ept_1g", EPT, "off", 0x0600_0000_4000_0BF7, 2, 3, 0x0600_0000_4060_0BF7),
    ("ept_nx", EPT, "on", 0x0600_0000_1240_0BF3, 1, 5, 0x0600_0000_1240_5B77),
    ("ept_1g_nx", EPT, "on", 0x0600_0000_4000_0BF3, 2, 3, 0x0600_0000_4060_0BF3),
    ("no_ad", EPT_NO_AD, "off", 0x0610_0000_1240_08F7, 1, 5, 0x0610_0000_1240_5877),
    ("no_ad_tracked", EPT_NO_AD, "off", 0x0750_0000_1240_08F0, 1, 5, 0x0750_0000_1240_5870),
    ("no_ad_tracked_nx", EPT_NO_AD, "on", 0x0650_0000_1240_08F0, 1, 5, 0x0750_0000_1240_5870),
    ("npt", NPT, "off", 0x0000_0000_1240_0EE7, 1, 5, 0x0000_0000_1240_5E67),
    ("npt_nx", NPT, "on", 0x8000_0000_1240_0EE7, 1, 5, 0x0000_0000_1240_5E67),
    ("npt_1g_nx", NPT, "on", 0x8000_0000_4000_0EE7, 2, 3, 0x8000_0000_4060_0EE7),
)


@pytest.mark.parametrize(
    ("layout", "nx", "huge", "level", "index", "expected"),
    [row[1:] for row in SPLITS],
    ids=[row[0] for row in SPLITS],
)
def test_make_huge_page_split_spte(
    layout: str, nx: str, huge: int, level: int, index: int, expected: int
) -> None:
    kvm = model(f"{layout} nx={nx}").kvm
    made = spte.make_huge_page_split_spte(kvm, huge, page(level).role, index)
    assert f"{made:#018x}" == f"{expected:#018x}"
    assert kvm.splats == []


@pytest.mark.parametrize("wrong", [0, 0x5A0, 0x0600_0000_1234_5B77])
def test_only_a_huge_leaf_can_be_split(wrong: int) -> None:
    kvm = model(EPT).kvm
    assert spte.make_huge_page_split_spte(kvm, wrong, page(1).role, 0) == 0
    assert [where for where, _ in kvm.splats] == ["make_huge_page_split_spte"]
