# SPDX-License-Identifier: GPL-2.0-only
"""The models of kernel versions: they load, and their two MMUs agree with each other."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest

from difffuzz.engine import concurrent, lockstep
from difffuzz.facts import kvm as kvm_facts
from difffuzz.facts import spte as spte_facts
from difffuzz.facts.paging import MAXPHYADDR
from difffuzz.program import Program, parse
from difffuzz.program.limits import THREADS
from difffuzz.sides import KERNELS, KvmFactory, open_side
from difffuzz.variants import load

ROOT = Path(__file__).resolve().parents[2]
VERSIONS = sorted(path.stem for path in KERNELS.glob("*.patch"))
MENDED = sorted((KERNELS / "mended").glob("*.patch"))
HOST0, VCPU0 = THREADS.index("host0"), THREADS.index("vcpu0")
KNOWN = {
    "v6.1": {"clear_log_edge", "late_read_fault"},
    "v6.12": {
        "clear_log_edge",
        "late_read_fault",
        "nx_split_outlives_memslot",
        "prefault_after_delete",
    },
    "v7.2": {
        "aged_under_late_read_fault",
        "clear_log_edge",
        "nx_split_outlives_memslot",
        # kvm_zap_gfn_range() looks at memslots without SRCU.
        "host_range_flush",
        "parked_fault_zap_gfn_range",
        "zap_gfn_range",
        # NX recovery counts off the wrong list.
        "nx_huge_pages_access_tracked",
        "nx_huge_pages_dirty_log",
        "nx_huge_pages_mmu_page_limit",
        "nx_huge_pages_recovery_default",
        "nx_huge_pages_recovery_ratio",
        "nx_huge_pages_test",
        "nx_huge_pages_test_1g",
        "nx_huge_pages_test_disabled",
        "parked_fault_nx_toggle",
    },
}
"""The programs that meet bugs that the kernel has."""
KNOWN_RACES = {"v7.2": {"nx_huge_pages_test_recover"}}
"""The same of programs whose threads run at once."""
OTHER_SPACE = """difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x2 area=1 page=0x0
slot 0 as=1 gfn=0x0 pages=0x2 area=0 page=0x0
vcpu0: exec gfn=0x1
host0: munmap area=0 page=0x1 n=0x1
"""
"""What is unmapped is at the gfn of the fault, in the address space that the vCPU is not in."""
TWO_SLOTS = """difffuzz program v1
config vcpus=2
area 0 hugetlb1g
slot 0 as=0 gfn=0x0 pages=0x2 area=0 page=0x0
slot 1 as=0 gfn=0x2 pages=0x20000 area=0 page=0x0
vcpu1: write gfn=0x3
vmm: sync
host0: mprotect area=0 page=0x0 n=0x1 prot=none
vcpu0: begin_fault gfn=0x0 access=read
"""
"""Two slots have the page: the gfns of one are noted when those of the other may be unmapped."""


def corpus(folder: str) -> list[tuple[str, Program]]:
    """Name and program of every file of a folder that the TDP MMU can run."""
    paths = sorted((ROOT / "corpus" / folder).glob("*.difffuzz"))
    parsed = [(path.stem, parse(path.read_text(), str(path))) for path in paths]
    return [(name, program) for name, program in parsed if program.config.paging == "tdp"]


def facts(module: ModuleType, *prefixes: str) -> dict[str, object]:
    """The constants of a module whose names begin so."""
    return {name: value for name, value in vars(module).items() if name.startswith(prefixes)}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_numbers_that_oracles_know_are_the_version_s(version: str) -> None:
    package = load([KERNELS / f"{version}.patch"])
    expected = facts(spte_facts, "SPTE_MMU_", "SPTE_BASE_")
    assert len(expected) == 2
    assert facts(package.spte, *expected).items() >= expected.items()
    masks = package.spte_masks.SpteMasks(True, True, True, MAXPHYADDR)
    assert masks.mmio_gen_low_mask == package.spte.MMIO_SPTE_GEN_LOW_MASK
    assert masks.mmio_gen_high_mask == package.spte.MMIO_SPTE_GEN_HIGH_MASK
    assert masks.mmio_gen_mask == package.spte.MMIO_SPTE_GEN_MASK
    assert masks.tdp_ad_mask == package.spte.SPTE_TDP_AD_MASK
    assert masks.tdp_ad_disabled == package.spte.SPTE_TDP_AD_DISABLED_MASK
    assert spte_facts.is_frozen_spte(package.spte.REMOVED_SPTE)
    for ept in (True, False):
        mmio = package.spte_masks.SpteMasks(ept, True, True, MAXPHYADDR).shadow_mmio_value
        assert not spte_facts.is_frozen_spte(mmio)
    requests = facts(kvm_facts, "KVM_REQ_")
    assert facts(package.kvm_host, "KVM_REQ_").items() >= requests.items()
    answers = facts(kvm_facts, *(f"RET_PF_{name}" for name in kvm_facts.RET_PF_NAMES))
    assert len(answers) == 6
    assert facts(package.mmu_internal, "RET_PF_").items() >= answers.items()


@pytest.mark.parametrize("version", VERSIONS)
def test_the_two_mmus_agree(version: str) -> None:
    legacy, tdp = open_side(f"legacy@{version}"), open_side(f"tdp@{version}")
    found = set()
    for name, program in corpus("seeds") + corpus("regressions"):
        run = concurrent.run if program.schedule else lockstep.run
        if run(program, legacy, tdp).divergences:
            found.add(name)
    assert found == KNOWN[version]


@pytest.mark.parametrize("version", VERSIONS)
def test_the_two_mmus_agree_under_a_schedule(version: str) -> None:
    legacy, tdp = open_side(f"legacy@{version}"), open_side(f"tdp@{version}")
    found = set()
    for name, program in corpus("concurrent"):
        if concurrent.run(program, legacy, tdp).divergences:
            found.add(name)
    assert found == KNOWN_RACES.get(version, set())


@pytest.mark.parametrize("mended", MENDED, ids=lambda path: path.stem)
def test_nothing_is_left_when_the_known_bugs_are_mended(mended: Path) -> None:
    legacy, tdp = (open_side(f"{mmu}@{mended.stem}+{mended}") for mmu in ("legacy", "tdp"))
    for name, program in corpus("seeds") + corpus("regressions"):
        run = concurrent.run if program.schedule else lockstep.run
        assert run(program, legacy, tdp).divergences == [], name


def test_a_retry_for_a_gfn_of_the_other_space_has_a_cause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    program = parse(OTHER_SPACE)._replace(schedule=((0, HOST0), (12, VCPU0)))
    side = open_side("tdp@v6.12")
    assert isinstance(side, KvmFactory)
    assert concurrent.run(program, side, side).divergences == []
    package = side.package
    assert isinstance(package, ModuleType)
    # Judged by hva it has none: the cause is the gfn's.
    monkeypatch.setattr(f"{package.__name__}.kvm_host.Kvm.retries_by_gfn", False)
    found = concurrent.run(program, side, side).divergences
    assert [one.signature for one in found] == ["retry:tdp@v6.12:exec:R2"]


@pytest.mark.parametrize("name", ["tdp@v6.12", "legacy@v6.12", "tdp"])
def test_a_fault_before_its_slot_is_noted_is_no_finding(name: str) -> None:
    program, side = parse(TWO_SLOTS), open_side(name)
    for first in range(1, 40):
        for second in range(first + 1, first + 30, 3):
            schedule = ((first, HOST0), (second, VCPU0))
            found = concurrent.run(program._replace(schedule=schedule), side, side)
            assert found.divergences == []


def test_a_version_loads_without_leaving_the_model_behind() -> None:
    packages = {load([KERNELS / f"{version}.patch"]).__name__ for version in VERSIONS}
    assert len(packages) == len(VERSIONS)
