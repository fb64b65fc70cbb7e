# SPDX-License-Identifier: GPL-2.0-only
"""`explain` of a race: at each switch the function, and the SPTE's value by name of bits."""

from __future__ import annotations

import re

import pytest

from difffuzz.engine import concurrent
from difffuzz.facts.paging import MAXPHYADDR
from difffuzz.kvm.spte_masks import SpteMasks
from difffuzz.program import parse
from difffuzz.report.timeline import timeline_lines
from difffuzz.sides import open_side
from difffuzz.sides.spte_text import spte_text

from ..native.kernel import built

EPT, NPT = SpteMasks(True, True, True, MAXPHYADDR), SpteMasks(False, True, True, MAXPHYADDR)
NO_AD = SpteMasks(True, False, False, MAXPHYADDR)

HEAD = """\
difffuzz program v1
config vcpus=2
slot 0 gfn=0x0 pages=0x400 area=1
vcpu0: read gfn=0x1
vcpu0: write gfn=0x1
host0: dontneed area=1 page=0x1 n=0x1
"""


def switches(left: str, right: str, steps: range = range(8, 150, 2)) -> list[str]:
    """What explain says of the switches of runs that switch at one step each."""
    found = []
    sides = open_side(left), open_side(right)
    for step in steps:
        program = parse(f"{HEAD}schedule {step}:host0\n")
        verdict = concurrent.run(program, *sides, trace=True)
        assert not verdict.divergences
        found += [line for line in timeline_lines(verdict, left, right) if "goes on" in line]
    return found


def test_a_switch_names_the_function_and_decodes_the_spte() -> None:
    said = "\n".join(switches("legacy", "tdp"))
    assert re.search(
        r"goes on \(the other one: in tdp_\w+\(\) < .*, before SPTE of gfn 0x1, level 1: "
        r"0x[0-9a-f]+ \(maps pfn 0x[0-9a-f]+, readable, ",
        said,
    )
    assert re.search(r"in mmu_spte_\w+\(\) < .*, before SPTE of gfn 0x\d+, level \d: 0x", said)
    assert re.search(r"table at pfn 0x[0-9a-f]+, readable, writable, executable", said)
    assert "in kvm_faultin_pfn() < " in said
    assert "before mmu_lock)" in said
    assert "None" not in said
    assert " spte" not in said


def test_the_model_of_a_version_has_functions_too() -> None:
    said = "\n".join(switches("legacy@v6.1", "tdp@v6.1"))
    assert re.search(r"in tdp_\w+\(\) < .*SPTE of gfn 0x1, level 1", said)


def test_the_kernels_own_code_tells_what_can_be_told() -> None:
    side = f"native:{built()}"
    # The kernel's code passes more points, how many depends on its configuration.
    said = "\n".join(switches(f"{side}:legacy", f"{side}:tdp", range(8, 330)))
    assert re.search(r"in kvm_mmu_page_fault\(\), before SPTE of gfn 0x1, level 1: 0x", said)
    assert re.search(r"in walk\(\) < translate\(\), before SPTE of gfn 0x1, level 1: 0x", said)
    assert "in invalidate_range_start()" in said
    assert "in point()" not in said


@pytest.mark.parametrize("right", ["tdp", "native"])
def test_looking_changes_nothing(right: str) -> None:
    names = ("legacy", "tdp") if right == "tdp" else (f"native:{built()}:tdp",) * 2
    sides = [open_side(name) for name in names]
    for step in range(8, 80, 6):
        program = parse(f"{HEAD}schedule {step}:host0\n")
        plain, traced = (concurrent.run(program, *sides, trace=trace) for trace in (False, True))
        assert (plain.steps, plain.features) == (traced.steps, traced.features)


@pytest.mark.parametrize(
    ("masks", "spte", "level", "words"),
    [
        (EPT, 0, 1, "absent"),
        (EPT, 0x5A0, 1, "frozen"),
        (EPT, 0x7, 1, "not present"),
        (
            EPT,
            0x0400_0000_1234_5B77,
            1,
            "maps pfn 0x12345, readable, writable, executable, MMU-writable, accessed, dirty",
        ),
        (
            EPT,
            0x0400_0000_0020_0CF5,
            2,
            "maps pfn 0x200, readable, not writable, executable, MMU-writable, huge",
        ),
        (EPT, 0x1_0000_0000_0907, 3, "table at pfn 0x1000000000, readable, writable, executable, "
         "accessed"),
        (NPT, 0x8000_0000_0000_1C67, 1, "maps pfn 0x1, readable, writable, not executable, user, "
         "MMU-writable, accessed, dirty"),
        (NO_AD, 1 << 52 | 0x1800, 1, "maps pfn 0x1, not readable, not writable, not executable, "
         "A/D bits not in use"),
        (EPT, 0x0010_0000_0000_101E, 1, "MMIO, generation bits 0x10000000000018"),
    ],
)  # fmt: skip
def test_bits_have_names(masks: SpteMasks, spte: int, level: int, words: str) -> None:
    assert spte_text(masks, spte, level) == f"{spte:#x} ({words})"
