# SPDX-License-Identifier: GPL-2.0-only
"""Every schedule of a small program, on the kernel's own code."""

from __future__ import annotations

import pytest

from difffuzz.engine.explore import explore
from difffuzz.engine.sampling import sample
from difffuzz.errors import UsageError
from difffuzz.program import parse
from difffuzz.running.runner import Runner
from difffuzz.sides import SideFactory, open_side

from .kernel import built
from .test_kernel_side import LINK_RACE

RACE = parse("""\
difffuzz program v1
slot 0 gfn=0x0 pages=0x10 area=1
vcpu0: write gfn=0x3
host0: dontneed area=1 page=0x3 n=0x1
""")


def sides() -> tuple[SideFactory, SideFactory]:
    """Both MMUs of the kernel's own code."""
    name = built()
    return open_side(f"native:{name}:legacy"), open_side(f"native:{name}:tdp")


def test_the_kernel_survives_every_schedule_with_one_preemption() -> None:
    orders = []
    for preemptions in (0, 1):
        found = explore(RACE, *sides(), preemptions, reduce=False)
        assert found.complete
        assert found.shown == []
        assert found.ends[0] == found.ends[1] == {("ok",)}
        orders.append(found.schedules)
    assert orders[0] == 4  # either thread first, on each side
    assert orders[1] > 50


def test_there_is_no_reduction_for_what_is_not_seen() -> None:
    with pytest.raises(UsageError, match="--no-reduction only"):
        explore(RACE, *sides(), 1)


@pytest.mark.parametrize("series", ["pos", "portfolio"])
def test_the_kernel_survives_schedules_that_are_drawn(series: str) -> None:
    found = sample(RACE, *sides(), series, seed=5, schedules=40)
    assert found.shown == []
    assert found.schedules == 80
    again = sample(RACE, *sides(), series, seed=5, schedules=40)
    assert again.steps == found.steps


def test_constraints_on_what_the_kernel_reads_show_a_race_of_it() -> None:
    program, both = parse(LINK_RACE), sides()
    for seed in range(7, 40):  # one of three shows it within 400 schedules
        found = sample(
            program, *both, "reads-from", seed=seed, schedules=400, first_only=True, sides=(1,)
        )
        if found.shown:
            break
    assert [one.divergence.oracle for one in found.shown] == ["crash"]


SPLIT_LOST = parse("""\
difffuzz program v1
config vcpus=2 ad=off
slot 0 as=0 gfn=0x200 pages=0x400 area=0 page=0x0
vcpu1: write gfn=0x200
vmm: sync
vcpu0: write gfn=0x240
vcpu1: write gfn=0x400
vmm: memslot_flags slot=0 as=0 flags=dirty
host0: age area=0 page=0x0 n=0x1 flush=off
""")


def test_a_table_that_lost_its_race_is_used_for_another_huge_page() -> None:
    """What a table maps is read again then: a false alarm once."""
    name = built()
    runner = Runner(f"native:{name}:legacy", f"native:{name}:tdp", "concurrent")
    assert runner(SPLIT_LOST).divergences == []
