# SPDX-License-Identifier: GPL-2.0-only
"""Every allowed difference is used by a program that needs it, and by none that does not."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import pytest

from difffuzz.engine import lockstep
from difffuzz.facts.errno import EFAULT
from difffuzz.facts.kvm import RET_PF_EMULATE, RET_PF_INVALID, RET_PF_RETRY
from difffuzz.oracle import ORACLES
from difffuzz.oracle.access import compare_outcomes
from difffuzz.oracle.allowed import ALLOWED
from difffuzz.oracle.retry import Flight, parked_violations
from difffuzz.program import Config
from difffuzz.sides import open_side
from difffuzz.sides.base import ERROR, MMIO, OK, SIGBUS, Outcome
from difffuzz.sides.memory_map import MemoryMap

from .broken import program_of, run_as_it_is

SMALL = "slot 0 gfn=0x0 pages=0x400 area=1\n"
HUGE = "slot 0 gfn=0x0 pages=0x800 area=2\n"
HUGE_FIRST = (
    "slot 0 gfn=0x0 pages=0x200 area=0\nvmm: track_add gfn=0x0\nvcpu0: read gfn=0x8\n"
    "vmm: track_remove gfn=0x0\n"
)
LIMITED = f"config mmu_pages=8 vcpus=4\n{SMALL}"

SLOT_LATER = "vmm: memslot_create slot=0 gfn=0x200 n=0x200 area=0 page=0x200\n"
READONLY_LATER = (
    "host0: host_write area=1 page=0x3\nhost0: hwpoison area=1 page=0x3\nvcpu0: read gfn=0x3\n"
    "vmm: memslot_create slot=0 gfn=0x0 n=0x8 area=1 page=0x0 flags=readonly\n"
)
OVER_TRACKED = (
    "slot 0 gfn=0x0 pages=0x200 area=0\nslot 1 as=1 gfn=0x0 pages=0x1 area=0\n"
    "vcpu0: write gfn=0x0\nvmm: track_add as=1 gfn=0x0\n"
    "vmm: memslot_flags slot=0 flags=dirty\nvmm: memslot_flags slot=0 flags=none\n"
)


class Use(NamedTuple):
    """A program that needs the rule, and a neighbour that does not.  Neither meets a divergence."""

    rule: str
    program: str
    neighbour: str
    left: str = "legacy"
    right: str = "tdp"


AGE = "host0: age area=0 page=0x0 n=0x1 flush=off\n"
FOUR_AND_FIVE = (
    "config vcpus=2 root_level=5 maxphyaddr=52 four_levels=vcpu1\n"
    "slot 0 gfn=0x0 pages=0x1 area=1\nvcpu0: read gfn=0x0\n"
)
TWO_VCPUS = "config vcpus=2\nslot 0 gfn=0x0 pages=0x10 area=0\n"

USES = (
    Use(
        "freed-on-one-side",
        f"{SMALL}vcpu0: write gfn=0x8\nvcpu0: write gfn=0x9\n"
        "host0: lazy_free area=1 page=0x0 n=0x10\nvcpu0: read gfn=0x8\n"
        "host0: swap_out area=1 page=0x0 n=0x10\n",
        f"{SMALL}vcpu0: write gfn=0x8\nvcpu0: write gfn=0x9\n"
        "host0: lazy_free area=1 page=0x0 n=0x10\nhost0: swap_out area=1 page=0x0 n=0x10\n",
    ),
    Use(
        "cached-on-one-side",
        f"{TWO_VCPUS}vcpu1: begin_fault gfn=0x0 access=read\nvcpu0: read gfn=0x0\n"
        f"vcpu1: end_fault\n{AGE}vcpu0: read gfn=0x0\n{AGE}",
        f"{TWO_VCPUS}vcpu0: read gfn=0x0\n{AGE}vcpu0: read gfn=0x0\n{AGE}",
    ),
    Use(
        "no-mmu-pages",
        # Three vCPUs keep two obsolete roots each, and two new ones are all that the limit leaves.
        LIMITED
        + "".join(
            f"vcpu{n}: read gfn=0x0\nvcpu{n}: guest_mode on\nvcpu{n}: read gfn=0x0\nvmm: nx {nx}\n"
            for n, nx in ((1, "on"), (2, "off"), (3, "on"))
        )
        + "vcpu0: read gfn=0x0\nvcpu0: guest_mode on\nvcpu0: read gfn=0x0\n",
        LIMITED
        + "".join(
            f"vcpu{n}: read gfn=0x0\nvcpu{n}: guest_mode on\nvcpu{n}: read gfn=0x0\n"
            for n in range(4)
        ),
    ),
    Use(
        "nx-split",
        f"config nx=on\n{HUGE}vcpu0: read gfn=0x200\nvcpu0: exec gfn=0x201\n",
        f"config nx=on\n{HUGE}vcpu0: read gfn=0x200\nvcpu0: exec gfn=0x401\n",
    ),
    Use(
        "late-fault",
        # The second fault leaves the dirty bit out in the legacy MMU. It finds it so already where
        # vcpu2 made that MMU prefetch gfn 3.
        f"config vcpus=3\n{SMALL}"
        + "".join(f"host0: host_write area=1 page={page:#x}\n" for page in range(4))
        + "vcpu0: begin_fault gfn=0x3 access=read\nvcpu1: begin_fault gfn=0x3 access=read\n"
        "vcpu2: read gfn=0x8\nvcpu0: end_fault\nvcpu1: end_fault\n",
        f"config vcpus=3\n{SMALL}"
        + "".join(f"host0: host_write area=1 page={page:#x}\n" for page in range(4))
        + "vcpu0: begin_fault gfn=0x3 access=read\nvcpu1: begin_fault gfn=0x3 access=read\n"
        "vcpu2: read gfn=0x0\nvcpu0: end_fault\nvcpu1: end_fault\n",
    ),
    Use(
        "parked-on-one-side",
        f"{SMALL}host0: host_write area=1 page=0x0\nhost0: host_write area=1 page=0x1\n"
        "vcpu0: read gfn=0x0\nvcpu0: begin_fault gfn=0x1 access=read\n",
        f"{SMALL}host0: host_write area=1 page=0x0\nhost0: host_write area=1 page=0x8\n"
        "vcpu0: read gfn=0x0\nvcpu0: begin_fault gfn=0x8 access=read\n",
    ),
    Use(
        "any-invalidation",
        f"{SMALL}vcpu0: write gfn=0x100\nvcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: dontneed area=1 page=0x100 n=0x1\nvcpu0: end_fault\n",
        f"{SMALL}vcpu0: write gfn=0x100\nvcpu0: begin_fault gfn=0x3 access=write\n"
        "host0: dontneed area=2 page=0x100 n=0x1\nvcpu0: end_fault\n",
    ),
    Use(
        "own-copy-on-write",
        f"{SMALL}vcpu0: write gfn=0x3\nhost0: fork area=1 page=0x0 n=0x8\nvcpu0: write gfn=0x3\n",
        f"{SMALL}vcpu0: write gfn=0x3\nhost0: fork area=1 page=0x8 n=0x8\nvcpu0: write gfn=0x3\n",
    ),
    Use(
        "async-page-fault",
        f"config async_pf=on\n{SMALL}vcpu0: write gfn=0x3\n"
        "host0: swap_out area=1 page=0x3 n=0x1\nvcpu0: read gfn=0x3\n",
        f"{SMALL}vcpu0: write gfn=0x3\n"
        "host0: swap_out area=1 page=0x3 n=0x1\nvcpu0: read gfn=0x3\n",
    ),
    Use(
        "emulated-or-not",
        f"{SMALL}vcpu0: write gfn=0x3\nhost0: mprotect area=1 page=0x3 n=0x1 prot=r\n"
        "vmm: track_add gfn=0x3\nvcpu0: read gfn=0x3\nvcpu0: write gfn=0x3\n",
        f"{SMALL}vcpu0: write gfn=0x3\nvmm: track_add gfn=0x3\n"
        "vcpu0: read gfn=0x3\nvcpu0: write gfn=0x3\n",
        right="spec",
    ),
    Use(
        "misconfig-is-a-read",
        # The read meets the poison; the write would have been an MMIO exit.
        f"{READONLY_LATER}vcpu0: write gfn=0x3\n",
        f"{READONLY_LATER}vcpu0: write gfn=0x4\n",
        right="spec",
    ),
    Use(
        "misconfig-is-a-read",
        # The legacy MMU reclaims the table with the MMIO SPTE; the host has no page there.
        "config mmu_pages=8\nvcpu0: read gfn=0x3\n"
        "vmm: memslot_create slot=0 gfn=0x0 n=0x8 area=1 page=0x0 flags=readonly\n"
        "host0: munmap area=1 page=0x3 n=0x1\nvcpu0: read gfn=0x80000\nvcpu0: write gfn=0x3\n",
        "vcpu0: read gfn=0x3\n"
        "vmm: memslot_create slot=0 gfn=0x0 n=0x8 area=1 page=0x0 flags=readonly\n"
        "host0: munmap area=1 page=0x3 n=0x1\nvcpu0: read gfn=0x80000\nvcpu0: write gfn=0x3\n",
    ),
    Use(
        "stale-mmio-kept",
        # A huge page takes the place of the table with the MMIO SPTE, and gives it back.
        f"vcpu0: read gfn=0x203\n{SLOT_LATER}vcpu0: read gfn=0x280\n"
        "host0: thp_split area=0 page=0x200\nvcpu0: read gfn=0x280\nvcpu0: read gfn=0x203\n",
        f"vcpu0: read gfn=0x203\n{SLOT_LATER}vcpu0: read gfn=0x203\n"
        "host0: thp_split area=0 page=0x200\nvcpu0: read gfn=0x203\n",
    ),
    Use(
        "table-kept",
        # gfn 0x8 is mapped by a small page, then by a huge one, and then small again.
        f"{HUGE_FIRST}vcpu0: read gfn=0x0\nvmm: track_add gfn=0x0\nvcpu0: write gfn=0x8\n",
        f"{HUGE_FIRST}vcpu0: read gfn=0x0\nvmm: track_add gfn=0x0\nvcpu0: write gfn=0x9\n",
        left="legacy@v7.2",
        right="tdp@v7.2",
    ),
    Use(
        "no-prefault",
        f"{SMALL}vcpu0: prefault gfn=0x1 n=0x1\n",
        f"{SMALL}vcpu0: read gfn=0x1\n",
        left="tdp",
        right="tdp@v7.2",
    ),
    Use(
        "tracked-absent",
        f"config mmu_pages=8\n{SMALL}vmm: track_add gfn=0x1\nvcpu0: read gfn=0x1\n"
        "vcpu0: read gfn=0x0\nvcpu0: write gfn=0x1\n",
        f"{SMALL}vmm: track_add gfn=0x1\nvcpu0: read gfn=0x1\n"
        "vcpu0: read gfn=0x0\nvcpu0: write gfn=0x1\n",
    ),
    Use(
        "tables-shared",
        # vcpu1's root is the child of vcpu0's where the legacy MMU has them.
        f"{FOUR_AND_FIVE}vmm: track_add gfn=0x0\nvcpu1: write gfn=0x0\n",
        f"{FOUR_AND_FIVE.replace('=vcpu1', '=vcpu0,vcpu1')}vmm: track_add gfn=0x0\n"
        "vcpu1: write gfn=0x0\n",
    ),
    Use(
        "huge-over-tracked",
        f"{OVER_TRACKED}vcpu0: write gfn=0x1\n",
        # The tracked page itself, and a huge page whose first gfn is another.
        f"{OVER_TRACKED}vcpu0: read gfn=0x1\nvcpu0: write gfn=0x0\n",
    ),
    Use(
        "dirty-when-mapped",
        "slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty\nhost0: host_write area=1 page=0x3\n"
        "vcpu0: read gfn=0x3\nvmm: dirty_get slot=0\n",
        "slot 0 gfn=0x0 pages=0x400 area=1 flags=dirty\nhost0: host_write area=1 page=0x3\n"
        "vcpu0: write gfn=0x3\nvmm: dirty_get slot=0\n",
    ),
)

each_use = pytest.mark.parametrize("use", USES, ids=lambda use: use.rule)


OWN_TESTS = {
    "abandoned",
    "pae-root-request",
    "mmio-generation-window",
    "unclear-order",
    "efer-nx",
    "fault-keeps-stale",
    "npt-fetch",
    "emulated-fetch",
    "denied-table",
    "foreign-tables",
    "stale-translation",
}
"""`abandoned` excuses nothing, the next three take races that lockstep does not have, the others
guests with page tables (tests/native: test_guest_tables.py, test_nested_guests.py,
test_npt_guests.py)."""
WRAP = """\
config gen_bias=1
slot 0 gfn=0x0 pages=0x1 area=0
vmm: memslot_flags slot=0 flags=dirty
vcpu0: read gfn=0x1
"""


def test_every_rule_is_used_somewhere() -> None:
    assert {use.rule for use in USES} | OWN_TESTS == set(ALLOWED)


def test_a_schedule_decides_whether_an_mmio_spte_outlives_the_wrap() -> None:
    # vcpu0 faults between the zap of the old generation and the store of the new one, or after it.
    allowed = run_as_it_is(f"{WRAP}schedule 1:vmm 8:vcpu0 16:vmm 25:vcpu0\n").allowed
    assert allowed["mmio-generation-window"] == 1
    assert not run_as_it_is(f"{WRAP}schedule 1:vmm\n").allowed


def test_a_prefault_may_install_it_as_well() -> None:
    prefault = WRAP.replace("read gfn=0x1", "prefault gfn=0x1 n=0x1")
    verdicts = [
        run_as_it_is(
            f"{prefault}schedule 1:vmm {step}:vcpu0 {step + 30}:vmm\n", "tdp@v7.2", "tdp@v7.2"
        )
        for step in range(2, 40)
    ]
    assert not any(verdict.divergences for verdict in verdicts)
    assert any(verdict.allowed["mmio-generation-window"] for verdict in verdicts)


def test_who_came_first_is_not_told() -> None:
    # Both threads write the parameter, one on, one off; or one writes while the other has written.
    both = f"{SMALL}vmm: nx on\nworker: nx off\nschedule 1:worker 2:vmm 5:worker\n"
    assert run_as_it_is(both).allowed["unclear-order"] == 1
    assert not run_as_it_is(
        f"{SMALL}vmm: nx on\nworker: nx on\nschedule 1:worker 2:vmm 5:worker\n"
    ).allowed


def test_every_rule_says_why() -> None:
    for name, rule in ALLOWED.items():
        assert rule.name == name
        assert rule.oracle in ORACLES
        assert rule.reason
        assert rule.evidence


@each_use
def test_rule_excuses_the_difference(use: Use) -> None:
    verdict = run_as_it_is(use.program, use.left, use.right)
    assert verdict.divergences == []
    assert verdict.allowed[use.rule] > 0


@each_use
def test_rule_is_not_needed_nearby(use: Use) -> None:
    verdict = run_as_it_is(use.neighbour, use.left, use.right)
    assert verdict.divergences == []
    assert verdict.allowed[use.rule] == 0


@pytest.mark.parametrize(
    ("stale", "other", "used"),
    [
        (ERROR, MMIO, 1),
        (SIGBUS, MMIO, 1),
        (MMIO, ERROR, 0),
        (ERROR, OK, 0),
        (OK, MMIO, 0),
    ],
)
def test_only_the_side_with_the_stale_mmio_spte_may_fail(stale: str, other: str, used: int) -> None:
    # As the attempts of a write to a read-only slot, the host's page being absent.
    left, right = Outcome(stale), Outcome(other)
    left.rets, right.rets = (RET_PF_INVALID, -EFAULT), (RET_PF_EMULATE,)
    allowed: Counter[str] = Counter()
    violations = list(compare_outcomes("one", "two", left, right, True, False, False, allowed))
    assert allowed["misconfig-is-a-read"] == used
    assert bool(violations) == (not used)


def test_a_fault_without_stale_mmio_spte_may_not_fail_alone() -> None:
    left, right = Outcome(ERROR), Outcome(MMIO)
    left.rets, right.rets = (-EFAULT,), (RET_PF_EMULATE,)
    allowed: Counter[str] = Counter()
    violations = list(compare_outcomes("one", "two", left, right, True, False, False, allowed))
    assert [violation.location for violation in violations] == ["error-mmio", "R4"]
    assert not allowed


def test_a_program_of_too_much_work_is_abandoned() -> None:
    program = program_of(f"{SMALL}vcpu0: write gfn=0x3\nvcpu0: write gfn=0x200\n")
    sides = open_side("legacy"), open_side("tdp")
    assert lockstep.run(program, *sides).allowed["abandoned"] == 0
    verdict = lockstep.run(program, *sides, max_steps=40)
    assert verdict.allowed["abandoned"] == 1
    assert verdict.divergences == []


@pytest.mark.parametrize(
    ("paging", "used", "locations"), [("nonpaging", 1, []), ("tdp", 0, ["R2"])]
)
def test_only_a_pae_root_is_obsolete_on_suspicion(
    paging: str, used: int, locations: list[str]
) -> None:
    config = Config(paging=paging)
    outcome = Outcome()
    outcome.parked_ret = RET_PF_RETRY
    allowed: Counter[str] = Counter()
    violations = parked_violations(
        "legacy", config, MemoryMap(config), Flight(0, 0, 0), [], outcome, allowed
    )
    assert [violation.location for violation in violations] == locations
    assert allowed["pae-root-request"] == used
