# SPDX-License-Identifier: GPL-2.0-only
"""The process that owns the VM exits while others write nx_huge_pages: all is zapped twice."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from difffuzz.engine import concurrent, lockstep
from difffuzz.engine.concurrent import split_exit
from difffuzz.engine.conform import conform_scheduled
from difffuzz.engine.explore import explore
from difffuzz.program import Config, Kind, Program, decode, encode, parse, render
from difffuzz.program.generate import generate
from difffuzz.program.normalise import normalise_config
from difffuzz.running.search import raced_phases
from difffuzz.sched.strategy import RandomWalk, Strategy
from difffuzz.sides import KvmFactory, open_side
from tests.native.kernel import built

TEXT = """difffuzz program v1
config vcpus=2 exit_races=on
slot 0 as=0 gfn=0x0 pages=0x400 area=0 page=0x0
vcpu0: write gfn=0x0
vcpu1: read gfn=0x200
vmm: sync
vcpu1: write gfn=0x201
worker: nx on
worker: nx off
"""
PROGRAM = parse(TEXT)


def kvm_factory(name: str) -> KvmFactory:
    factory = open_side(name)
    assert isinstance(factory, KvmFactory)
    return factory


def test_what_others_do_in_the_last_phase_goes_on_beside_the_exit() -> None:
    before, beside = split_exit(PROGRAM)
    assert [[index for index, _ in phase] for phase in before] == [[0, 1], [3]]
    assert [index for index, _ in beside] == [4, 5]
    assert raced_phases(PROGRAM) == [1, 3]
    usual = PROGRAM._replace(config=PROGRAM.config._replace(exit_races=False))
    assert split_exit(usual)[1] == []


def test_it_goes_with_a_host_that_does_not_err_and_a_guest_without_tables() -> None:
    assert not normalise_config(Config(exit_races=True, host_errs=True)).exit_races
    assert not normalise_config(Config(exit_races=True, guest="paging64")).exit_races
    assert decode(encode(PROGRAM)) == PROGRAM == parse(render(PROGRAM))


def always(strategy: Strategy) -> Callable[[Program], Strategy]:
    """The same for any program."""
    return lambda program: strategy


@pytest.mark.parametrize("kernel", ["", "@v6.1", "@v6.12", "@v7.2"])
def test_nothing_is_left_however_they_meet(kernel: str) -> None:
    sides = open_side(f"legacy{kernel}"), open_side(f"tdp{kernel}")
    assert lockstep.run(PROGRAM, *sides).divergences == []
    for seed in range(25):
        walk = RandomWalk(Random(seed), 4.0)
        verdict = concurrent.run(PROGRAM, *sides, strategy=always(walk))
        assert verdict.divergences == []


def test_the_exit_is_a_phase_of_its_own_to_a_search() -> None:
    found = explore(PROGRAM, open_side("legacy"), open_side("tdp"), 1, limit=400, phase=3)
    assert found.shown == []
    assert found.schedules > 2


def test_a_release_that_leaves_a_leaf_is_told(tmp_path: Path) -> None:
    source = Path("difffuzz/kvm/mmu_zap.py").read_text()
    line = "    if kvm.tdp_mmu_enabled:\n        kvm_tdp_mmu_zap_all(kvm)\n"
    assert source.count(line) == 1
    at = source[: source.index(line)].count("\n") + 1
    patch = tmp_path / "forgets.patch"
    patch.write_text(
        "--- a/difffuzz/kvm/mmu_zap.py\n+++ b/difffuzz/kvm/mmu_zap.py\n"
        f"@@ -{at},2 +{at},2 @@\n     if kvm.tdp_mmu_enabled:\n"
        "-        kvm_tdp_mmu_zap_all(kvm)\n+        pass\n"
    )
    one = parse(TEXT.replace("nx on", "nx off"))
    verdict = concurrent.run(one, open_side("legacy"), open_side(f"tdp+{patch}"))
    assert [found.signature for found in verdict.divergences][:1] == ["emptied:tdp:meeting:release"]

    usual = one._replace(config=one.config._replace(exit_races=False))
    for run in (concurrent.run, lockstep.run):
        found = run(usual, open_side("legacy"), open_side(f"tdp+{patch}")).divergences
        assert found[0].signature.startswith("emptied:tdp:")


def test_the_kernels_own_code_does_the_same() -> None:
    for mmu in ("legacy", "tdp"):
        model, native = kvm_factory(f"{mmu}@v6.1"), kvm_factory(f"native:{built()}:{mmu}")
        for seed in range(20):
            assert conform_scheduled(PROGRAM, model, native, seed) is None


def test_some_generated_programs_have_it() -> None:
    rng = Random(1)
    made = [generate(rng, ops=3, concurrent=True) for _ in range(200)]
    exiting = [one for one in made if one.config.exit_races]
    assert 1 <= len(exiting) <= 30
    for one in exiting:
        assert [op.kind for _, op in split_exit(one)[1]][-2:] == [Kind.NX, Kind.NX]
