# SPDX-License-Identifier: GPL-2.0-only
"""Answers of an access that met an MMIO SPTE out of date, as they would be without it."""

from __future__ import annotations

from difffuzz.facts.kvm import RET_PF_FIXED, RET_PF_INVALID, RET_PF_RETRY
from difffuzz.oracle.access import without_stale_mmio


def test_a_stale_mmio_spte_is_met_again_after_a_retry_only() -> None:
    met, retry, fixed = RET_PF_INVALID, RET_PF_RETRY, RET_PF_FIXED
    assert (retry, fixed) in without_stale_mmio((met, retry, met, fixed))
    assert without_stale_mmio((retry, met, fixed)) == [(retry, met, fixed)]
    assert (retry, fixed) not in without_stale_mmio((met, fixed, met, fixed))
