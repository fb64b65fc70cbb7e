# SPDX-License-Identifier: GPL-2.0-only
"""Tail pages of an allocation of high order, mapped by a driver: nobody may count references."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from difffuzz.engine.lockstep import Step, run
from difffuzz.facts.errno import EFAULT
from difffuzz.program import parse
from difffuzz.sides import open_side
from difffuzz.sides.base import ERROR, OK

from .recorder import Host, bracket

Make = Callable[[str], Host]
TEXT = """difffuzz program v1
area 0 pfnmap_tails
slot 0 as=0 gfn=0x0 pages=0x10 area=0 page=0x0
vcpu0: write gfn=0x1
vcpu0: read gfn=0x1
"""


def test_a_drivers_pages_live_until_they_are_unmapped(make_host: Make) -> None:
    host = make_host("pfnmap_tails")
    host.write(0, 7)
    pfn = host.pfn(0)
    frames = host.mm.frames
    assert frames.is_tail(pfn)
    assert not frames.is_device(pfn)
    assert [frames.page_count(pfn), frames.is_free(pfn), host.read(0)] == [0, False, 7]
    host.events()
    host.mm.munmap(*host.span(0, 1))
    assert host.events()[-2:] == bracket(0, 1)
    assert frames.is_free(pfn)
    assert not frames.is_free(pfn + 1)
    host.mm.mmap(*host.span(0, 1))
    assert host.read(0) == 0
    assert host.pfn(0) != pfn


@pytest.mark.parametrize(("kernel", "maps"), [("", False), ("@v6.12", False), ("@v7.2", True)])
def test_kvm_refuses_them_as_long_as_it_counts(kernel: str, maps: bool) -> None:
    sides = open_side(f"legacy{kernel}"), open_side(f"tdp{kernel}")
    verdict = run(parse(TEXT), *sides, trace=True)
    assert verdict.divergences == []
    steps = [step for step in verdict.trace if isinstance(step, Step)]
    ends = {(one.result, one.value) for step in steps for one in (step.left, step.right) if one}
    assert ends == {(OK, 1) if maps else (ERROR, -EFAULT)}
