# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own code ends memslots where MAXPHYADDR does; with shadow paging at 52 bits."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from difffuzz.facts.errno import EINVAL
from difffuzz.facts.paging import MAXPHYADDR, PAGE_SHIFT
from difffuzz.program import parse
from difffuzz.program.limits import area_base
from difffuzz.sides import KvmFactory, open_side

from .kernel import built, built_newer


@pytest.mark.parametrize("version", [built, built_newer])
@pytest.mark.parametrize(
    ("paging", "mmu", "bits"),
    [("tdp", "tdp", MAXPHYADDR), ("tdp", "legacy", MAXPHYADDR), ("nonpaging", "legacy", 52)],
)
def test_no_memslot_reaches_beyond(
    version: Callable[[], str], paging: str, mmu: str, bits: int
) -> None:
    factory = open_side(f"native:{version()}:{mmu}")
    assert isinstance(factory, KvmFactory)
    side = factory.start(parse(f"difffuzz program v1\nconfig paging={paging}\n").config)
    create = factory.package.memslot_update.kvm_set_memory_region
    end = 1 << bits - PAGE_SHIFT
    assert create(side.kvm, 0, 0, end - 1, 2, area_base(0), 0) == -EINVAL
    assert create(side.kvm, 0, 0, end - 2, 2, area_base(0), 0) == 0
    side.destroy()
