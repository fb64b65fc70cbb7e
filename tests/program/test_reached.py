# SPDX-License-Identifier: GPL-2.0-only
"""Generated programs reach the states that bugs need, often enough: counted on the models."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from difffuzz.program import Program, generate
from difffuzz.sides import KvmFactory, open_side

from ..engine.runs import program_of
from .reached import reached
from .reached_at_once import reached_at_once

MODELS = {name: open_side(name) for name in ("legacy", "tdp")}
each_model = pytest.mark.parametrize("name", MODELS)
L1_AND_L2 = """\
slot 0 gfn=0x0 pages=0x400 area=1
vcpu0: write gfn=0x3
host0: age area=1 page=0x3 n=0x1 flush=on
vcpu0: guest_mode on
vcpu0: write gfn=0x3
"""


def model(name: str) -> KvmFactory:
    """The factory of that model."""
    factory = MODELS[name]
    assert isinstance(factory, KvmFactory)
    return factory


@each_model
def test_a_page_that_is_old_in_one_root_and_young_in_another_is_in_several_states(
    name: str,
) -> None:
    zap = "host0: dontneed area=1 page=0x3 n=0x1\n"
    assert reached(program_of(L1_AND_L2 + zap), model(name))["zap in several states"] == 1
    # In one root only, or in both alike:
    once = L1_AND_L2.replace("vcpu0: guest_mode on\n", "")
    assert not reached(program_of(once + zap), model(name))["zap in several states"]
    age = "host0: age area=1 page=0x3 n=0x1 flush=on\n"
    assert not reached(program_of(L1_AND_L2 + age + zap), model(name))["zap in several states"]


@each_model
def test_a_root_loses_its_last_user(name: str) -> None:
    left = L1_AND_L2 + "vcpu0: guest_mode off\nvcpu0: reload\n"
    assert reached(program_of(left), model(name))["lost its last user"] == 1
    shared = "config vcpus=2\n" + left.replace(
        "vcpu0: reload", "vcpu1: guest_mode on\nvcpu1: read gfn=0x3\nvcpu0: reload\nvcpu1: smm on"
    )
    counted = reached(program_of(shared), model(name))
    assert counted["lost its last user"] == 2  # that of L1, by vcpu0; that of L2, by vcpu1
    assert reached(program_of(L1_AND_L2), model(name))["lost its last user"] == 0


LEAST_OF_ROOTS = {
    "age in several states": 20,
    "protect in several states": 18,
    "track in several states": 10,
    "zap in several states": 12,
    "age without user": 5,
    "protect without user": 4,
    "zap without user": 7,
    "lost its last user": 60,
}
"""Of 500 programs."""


@each_model
def test_generated_programs_have_pages_in_several_roots_and_roots_without_user(name: str) -> None:
    found = Counter[str]()
    for seed in range(500):
        found.update(reached(generate(Random(seed)), model(name)).keys())
    for what, least in LEAST_OF_ROOTS.items():
        assert found[what] >= least, (what, found)


@each_model
def test_generated_programs_have_roots_of_four_levels_beside_others_of_five(name: str) -> None:
    found = Counter[str]()
    differing = 0
    for seed in range(1500):
        program = generate(Random(seed))
        if program.config.four_levels:
            differing += 1
            found.update(reached(program, model(name)).keys())
    assert differing >= 20
    reaching = sum(n for what, n in found.items() if what.endswith("at four and at five levels"))
    assert reaching >= 8, found


LEAST = {
    "legacy": {"a zap yields halfway": 6, "... to a notifier": 1, "... and flushes ranges": 2},
    "tdp": {"a zap yields halfway": 20, "... to a notifier": 6, "... and flushes ranges": 7},
}
"""Of 1000 programs; the legacy MMU yields in kvm_zap_gfn_range(), and where it zaps many tables."""
BESIDE = {"nx": 6, "mmu_pages": 1, "dirty_clear": 5}
"""What the VMM's second thread does during an update of memslots."""


@each_model
def test_generated_zaps_yield_halfway_and_both_threads_of_the_vmm_meet(name: str) -> None:
    found = Counter[str]()
    for seed in range(1000):
        found.update(reached_at_once(programs(seed), model(name), seed).keys())
    for what, least in LEAST[name].items():
        assert found[what] >= least, (what, found)
    for kind, least in BESIDE.items():
        assert found[f"{kind} beside an update of memslots"] >= least, (kind, found)


def programs(seed: int) -> Program:
    """The generated concurrent program with that number."""
    return generate(Random(seed), concurrent=True)
