# SPDX-License-Identifier: GPL-2.0-only
"""The kernel's own code, Linux 6.1, as a side: it runs programs, and its bugs are found."""

from __future__ import annotations

import random

import pytest

from difffuzz.engine import concurrent, lockstep
from difffuzz.engine.conform import conform, conform_scheduled
from difffuzz.errors import UsageError
from difffuzz.program import generate, parse
from difffuzz.program.limits import THREADS
from difffuzz.shipped import CORPUS
from difffuzz.sides import KvmFactory, NativeFactory, open_side

from .kernel import built, programs

MMUS = ("legacy", "tdp")
VMM = THREADS.index("vmm")
BUGS = {
    "the last page of a cleared dirty log": (
        """config eager_split=off manual_protect=on init_set=on
slot 0 as=0 gfn=0x1c1 pages=0x400 area=0 page=0x1c1
vcpu0: write gfn=0x200
vmm: memslot_flags slot=0 as=0 flags=dirty
vmm: dirty_clear slot=0 as=0 first=0x0 n=0x40
vcpu0: write gfn=0x200
vmm: dirty_get slot=0 as=0
""",
        "dirty-log:legacy:dirty_get:lost",
    ),
    "a late read fault": (
        """config vcpus=2
slot 0 as=0 gfn=0x0 pages=0x1 area=2 page=0x0
vcpu1: begin_fault gfn=0x0 access=read
vcpu0: write gfn=0x0
vcpu1: end_fault
vmm: track_add as=0 gfn=0x0
vcpu0: write gfn=0x0
""",
        "permission:tdp:write:tracked",
    ),
    "a stale MMIO SPTE taken for a writable one": (
        """config vcpus=3
vcpu0: exec gfn=0x0
vmm: memslot_create slot=4 as=0 gfn=0x0 n=0x2 area=0 page=0x0 flags=none
vmm: track_add as=0 gfn=0x0
vcpu2: write gfn=0x0
vcpu2: write gfn=0x0
""",
        "permission:legacy:write:tracked",
    ),
    "a flush of the wrong range": (
        """config range_flush=on
slot 0 as=0 gfn=0x0 pages=0x200 area=2 page=0x0 flags=dirty
vcpu0: write gfn=0x1
vmm: memslot_flags slot=0 as=0 flags=none
host0: dontneed area=2 page=0x0 n=0x1
vcpu0: read gfn=0x1
""",
        "stale-access:legacy:read:tlb",
    ),
    "eager splitting leaves the last page out": (
        """config manual_protect=on init_set=on
slot 1 as=1 gfn=0x1 pages=0x3ff area=0 page=0x1
vcpu0: smm on
vcpu0: write gfn=0x200
vmm: memslot_flags slot=1 as=1 flags=dirty
vmm: dirty_clear slot=1 as=1 first=0x1c0 n=0x40
""",
        "level:tdp:dirty_clear:split",
    ),
}
"""What fuzzing the kernel's own code found in 6.1, by subject: a program, and the signature."""
LINK_RACE = """difffuzz program v1
config nx=on
slot 0 as=0 gfn=0x0 pages=0x400 area=0 page=0x0 flags=dirty
vmm: memslot_flags slot=0 as=0 flags=none
vcpu0: exec gfn=0x1
"""
"""tdp_mmu_link_sp() puts a page on its list after it linked it: a zapper finds it on none."""


def kernel(mmu: str) -> NativeFactory:
    """The kernel's own code with one of its MMUs."""
    side = open_side(f"native:{built()}:{mmu}")
    assert isinstance(side, NativeFactory)
    return side


def model(mmu: str) -> KvmFactory:
    """The model of the same version."""
    side = open_side(f"{mmu}@v6.1")
    assert isinstance(side, KvmFactory)
    return side


@pytest.mark.parametrize("mmu", MMUS)
def test_the_model_does_what_the_kernel_does(mmu: str) -> None:
    left, right = model(mmu), kernel(mmu)
    rng = random.Random(61)
    for program in programs("seeds", "regressions") + [generate(rng) for _ in range(150)]:
        if mmu == "legacy" or program.config.paging == "tdp":
            assert conform(program, left, right) is None, program


@pytest.mark.parametrize("mmu", MMUS)
def test_the_model_does_what_the_kernel_does_under_a_schedule(mmu: str) -> None:
    left, right = model(mmu), kernel(mmu)
    for seed, program in enumerate(programs("concurrent")):
        assert conform_scheduled(program, left, right, seed) is None, program


@pytest.mark.parametrize("seed", [2, 36, 41, 77])
def test_a_fault_that_a_worker_made_is_not_the_one_to_park(seed: int) -> None:
    """The program wants a fault of the guest parked, whose page a worker brought in before."""
    program = parse((CORPUS / "seeds/host_swap_out_async_pf.difffuzz").read_text())
    assert conform_scheduled(program, model("tdp"), kernel("tdp"), seed) is None


def test_the_unlike_are_told_apart() -> None:
    program = parse(f"difffuzz program v1\n{BUGS['a late read fault'][0]}")
    base = open_side("tdp")
    assert isinstance(base, KvmFactory)
    found = conform(program, base, kernel("tdp"))
    assert found is not None
    assert found.what == "parked_ret"


def test_the_kernels_two_mmus_agree_on_the_seeds() -> None:
    legacy, tdp = kernel("legacy"), kernel("tdp")
    for program in programs("seeds"):
        if program.config.paging == "tdp":
            assert lockstep.run(program, legacy, tdp).divergences == [], program


@pytest.mark.parametrize("subject", BUGS)
def test_a_bug_of_the_kernel_is_found(subject: str) -> None:
    text, expected = BUGS[subject]
    program = parse(f"difffuzz program v1\n{text}")
    mmu = expected.split(":")[1]
    verdict = lockstep.run(program, kernel("legacy"), kernel("tdp"))
    found = [one.signature.replace(f"native:{built()}:", "") for one in verdict.divergences]
    assert expected in found, (mmu, found)


def test_a_crash_of_the_kernel_ends_the_run_and_not_the_process() -> None:
    tdp = kernel("tdp")
    race = parse(LINK_RACE)
    crashes: list[str] = []
    # Where the steps lie depends on the compiler.
    for first in range(3, 10):
        for second in range(20, 120):
            schedule = ((first, VMM), (second, VMM))
            verdict = concurrent.run(race._replace(schedule=schedule), tdp, tdp)
            crashes += [one.signature for one in verdict.divergences]
        if crashes:
            break
    assert crashes
    assert all(name.startswith(f"crash:native:{built()}:tdp:") for name in crashes)
    assert any("handle" in name for name in crashes)
    program = programs("seeds")[0]
    assert conform(program, model("tdp"), tdp) is None


def test_a_run_leaves_nothing_behind() -> None:
    used, fresh = kernel("tdp"), kernel("tdp")
    first, second = programs("seeds")[:2]
    conform(first, model("tdp"), used)
    assert conform(second, used, fresh) is None


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("native:tdpp", "unknown side"),
        ("native:nobody:tdp", "run 'difffuzz native build --name nobody'"),
    ],
)
def test_a_side_that_is_not_there_gets_one_line(name: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        open_side(name)
