# SPDX-License-Identifier: GPL-2.0-only
"""mmu.c, spte.h: which bits an SPTE may never have (`shadow_zero_check`)."""

from __future__ import annotations

from difffuzz.facts.addresses import Spte
from difffuzz.facts.paging import PT_PAGE_SIZE_MASK, rsvd_bits

from .kvm_host import PG_LEVEL_1G, PG_LEVEL_2M, PT32E_ROOT_LEVEL, Kvm, KvmMmu, RsvdBitsValidate

LEVELS = 5
REPEAT_BYTE = 0x0101010101010101


def reserved_hpa_bits(kvm: Kvm) -> int:
    """The address bits that this CPU does not have."""
    return rsvd_bits(kvm.maxphyaddr, 63)


def __reset_rsvds_bits_mask(
    check: RsvdBitsValidate, pa_bits_rsvd: int, level: int, gbpages: bool
) -> None:
    """The masks of x86 tables of `level` levels, with NX, and AMD's bit 8."""
    check.bad_mt_xwr = 0
    leaf = [[0] * LEVELS, [0] * LEVELS]
    if level == PT32E_ROOT_LEVEL:
        high = pa_bits_rsvd & rsvd_bits(0, 62)
        leaf[0][2] = rsvd_bits(63, 63) | high | rsvd_bits(5, 8) | rsvd_bits(1, 2)
    else:
        high = pa_bits_rsvd & rsvd_bits(0, 51)
        bit_7 = 0 if gbpages else rsvd_bits(7, 7)
        leaf[0][4] = leaf[0][3] = leaf[1][4] = leaf[1][3] = high | rsvd_bits(8, 8) | rsvd_bits(7, 7)
        leaf[0][2] = high | bit_7
        leaf[1][2] = high | bit_7 | rsvd_bits(13, 29)
    leaf[0][1] = leaf[0][0] = leaf[1][0] = high
    leaf[1][1] = high | rsvd_bits(13, 20)
    check.rsvd_bits_mask = leaf


def __reset_rsvds_bits_mask_ept(
    check: RsvdBitsValidate, pa_bits_rsvd: int, execonly: bool, huge_page_level: int
) -> None:
    """For EPT; `execonly`: entries may permit fetches only."""
    high = pa_bits_rsvd & rsvd_bits(0, 51)
    large_1g = rsvd_bits(7, 7) if huge_page_level < PG_LEVEL_1G else 0
    large_2m = rsvd_bits(7, 7) if huge_page_level < PG_LEVEL_2M else 0
    upper = high | rsvd_bits(3, 7)
    check.rsvd_bits_mask = [
        [
            high,
            high | rsvd_bits(3, 6) | large_2m,
            high | rsvd_bits(3, 6) | large_1g,
            upper,
            upper,
        ],
        [
            high,
            high | rsvd_bits(12, 20) | large_2m,
            high | rsvd_bits(12, 29) | large_1g,
            upper,
            upper,
        ],
    ]
    # Bits 3..5 (memory type) may not be 2, 3 or 7; bits 0..2 (RWX) not -W- or -WX.
    check.bad_mt_xwr = 0xFF << 16 | 0xFF << 24 | 0xFF << 56 | REPEAT_BYTE << 2 | REPEAT_BYTE << 6
    if not execonly:
        check.bad_mt_xwr |= REPEAT_BYTE << 4


def reset_shadow_zero_bits_mask(kvm: Kvm, mmu: KvmMmu) -> None:
    """reset_tdp_shadow_zero_bits_mask(), or reset_shadow_zero_bits_mask() without TDP."""
    gbpages = kvm.max_huge_page_level >= PG_LEVEL_1G
    if kvm.tdp_enabled and kvm.masks.shadow_x_mask:  # not boot_cpu_is_amd()
        __reset_rsvds_bits_mask_ept(
            mmu.shadow_zero_check, reserved_hpa_bits(kvm), False, kvm.max_huge_page_level
        )
    else:
        __reset_rsvds_bits_mask(
            mmu.shadow_zero_check, reserved_hpa_bits(kvm), mmu.root_role.level, gbpages
        )


def is_rsvd_spte(check: RsvdBitsValidate, spte: Spte, level: int) -> bool:
    """True if the SPTE has a reserved bit, or a memory type or permissions that there are not."""
    if check.bad_mt_xwr >> (spte & 0x3F) & 1:
        return True
    return spte & check.rsvd_bits_mask[1 if spte & PT_PAGE_SIZE_MASK else 0][level - 1] != 0
