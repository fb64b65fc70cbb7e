# SPDX-License-Identifier: GPL-2.0-only
"""vCPUs with roots of four and of five levels, on models and on the kernel's own code."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from difffuzz.engine import lockstep
from difffuzz.engine.conform import conform, conform_scheduled
from difffuzz.engine.fast_lockstep import FastLockstep
from difffuzz.program import Program, generate, parse
from difffuzz.program.generate import generate_config, with_differing_levels
from difffuzz.sides import KvmFactory, NativeFactory, open_side
from difffuzz.sides.base import OK
from difffuzz.sides.kvm_side import KvmSide
from tests.native.kernel import built, built_newer

TWO = """\
difffuzz program v1
config vcpus=2 root_level=5 maxphyaddr=52 four_levels=vcpu1
slot 0 gfn=0x0 pages=0x400 area=1
"""


def factory(name: str) -> KvmFactory:
    made = open_side(name)
    assert isinstance(made, KvmFactory)
    return made


def started(name: str, text: str = TWO) -> tuple[KvmSide, Program]:
    program = parse(text)
    return factory(name).start(program.config), program


def faults(name: str, text: str) -> list[int]:
    """How many attempts each operation took there; all of them must do."""
    side, program = started(name, text)
    outcomes = [side.execute(op, number) for number, op in enumerate(program.ops, 1)]
    side.destroy()
    assert {outcome.result for outcome in outcomes} == {OK}
    return [len(outcome.rets) for outcome in outcomes]


def levels(name: str) -> list[int]:
    side, _ = started(name, f"{TWO}vmm: vcpu_create\n")
    side.execute(parse(f"{TWO}vmm: vcpu_create\n").ops[0], 1)
    found = [vcpu.mmu.root_role.level for vcpu in side.kvm.vcpus]
    side.destroy()
    return found


SHARED = f"{TWO}vcpu0: write gfn=0x3\nvcpu1: write gfn=0x3\nvcpu0: write gfn=0x3\n"


@pytest.mark.parametrize("mmu", ["legacy", "tdp"])
@pytest.mark.parametrize("version", ["", "@v6.1", "@v6.12", "@v7.2"])
def test_models_follow_each_vcpus_cpuid(mmu: str, version: str) -> None:
    assert levels(mmu + version) == [5, 4, 5]


@pytest.mark.parametrize("mmu", ["legacy", "tdp"])
def test_the_kernels_own_code_does(mmu: str) -> None:
    assert levels(f"native:{built()}:{mmu}") == [5, 4, 5]
    assert levels(f"native:{built_newer('7.2')}:{mmu}") == [5, 4, 5]


def test_the_legacy_mmu_has_one_set_of_tables_below_both_roots() -> None:
    native = f"native:{built()}"
    for legacy in ("legacy", f"{native}:legacy"):
        assert faults(legacy, SHARED) == [1, 0, 0]
    for tdp in ("tdp", f"{native}:tdp"):
        assert faults(tdp, SHARED) == [1, 1, 0]


L2_ROOTS_GO = f"""{TWO.replace("area=1", "area=1 flags=readonly")}
vcpu0: guest_mode on
vcpu1: guest_mode on
vcpu1: write gfn=0x3
vcpu0: read gfn=0x3
"""
ZAPS_ROOTS = """\
--- a/difffuzz/kvm/mmu_page.py
+++ b/difffuzz/kvm/mmu_page.py
@@ -1,2 +1,2 @@
-            if unwanted and not child.root_count and invalid_list is not None:
+            if unwanted and invalid_list is not None:
                 return kvm_mmu_prepare_zap_page(kvm, child, invalid_list)
"""


def test_a_root_that_is_a_child_stays_when_its_parent_goes(tmp_path: Path) -> None:
    program = parse(L2_ROOTS_GO)
    assert not lockstep.run(program, open_side("legacy"), open_side("tdp")).divergences
    (tmp_path / "broken.patch").write_text(ZAPS_ROOTS)
    broken = open_side(f"legacy+{tmp_path / 'broken.patch'}")
    [divergence] = lockstep.run(program, broken, open_side("tdp")).divergences[:1]
    assert divergence.signature == "warn:legacy:end:kvm_mmu_zap_all"


def programs(count: int) -> list[Program]:
    """Generated ones whose vCPUs differ."""
    made = []
    for seed in range(count):
        rng = Random(seed)
        config = generate_config(rng)
        config = with_differing_levels(rng, config._replace(vcpus=max(2, config.vcpus)))
        made.append(generate(rng, config=config))
    return made


def test_generated_programs_are_quiet_on_models() -> None:
    left, right = open_side("legacy"), open_side("tdp")
    used = 0
    for program in programs(300):
        verdict = lockstep.run(program, left, right)
        assert not verdict.divergences
        used += verdict.allowed["tables-shared"]
    assert used <= 10


@pytest.mark.parametrize("mmu", ["legacy", "tdp"])
@pytest.mark.parametrize("version", ["6.1", "7.2"])
def test_models_do_what_the_kernels_own_code_does(version: str, mmu: str) -> None:
    build = built() if version == "6.1" else built_newer(version)
    native, model = factory(f"native:{build}:{mmu}"), factory(f"{mmu}@v{version}")
    for number, program in enumerate(programs(60)):
        assert conform(program, native, model) is None
        assert number % 4 or conform_scheduled(program, native, model, number) is None


def test_programs_played_in_c_end_as_under_python() -> None:
    left, right = (open_side(f"native:{built()}:{mmu}") for mmu in ("legacy", "tdp"))
    assert isinstance(left, NativeFactory)
    assert isinstance(right, NativeFactory)
    fast = FastLockstep(left, right)
    for program in programs(100):
        verdict = fast.run(program, 10_000_000)
        if verdict is not None:
            whole = lockstep.run(program, left, right)
            assert verdict.features == whole.features
