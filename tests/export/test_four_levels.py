# SPDX-License-Identifier: GPL-2.0-only
"""vCPUs whose roots differ in levels: what is exported gives each its CPUID."""

from __future__ import annotations

import pytest

from difffuzz.export.c_form import RAW, UTIL, as_c
from difffuzz.export.cannot import remarks
from difffuzz.export.json_form import as_json
from difffuzz.export.reproducer import Reproducer
from difffuzz.program import parse
from tests.native.needs import needs

from .test_c_form import compiles
from .test_selftest import flags, tree_of_6_1

TEXT = """\
difffuzz program v1
config vcpus=2 root_level=5 maxphyaddr=52 four_levels=vcpu1,vcpu2
slot 0 gfn=0x0 pages=0x8 area=1
vcpu0: write gfn=0x3
vmm: vcpu_create
vcpu1: write gfn=0x3
"""
ONE = Reproducer("levels", parse(TEXT), {}, "legacy", "tdp", "lockstep")
SPELLED = "vcpu1,vcpu2"
OTHER = ONE._replace(program=parse(TEXT.replace(" four_levels=vcpu1,vcpu2", "")))


@pytest.mark.parametrize("layer", [RAW, UTIL])
def test_each_vcpu_that_is_made_gets_its_bits(layer: str) -> None:
    source = as_c(ONE, layer)
    assert "#define FOUR_LEVELS 0x6\t" in source
    assert source.index("static void set_cpuid(") < source.index("set_cpuid(v, FOUR_LEVELS")
    assert "static void set_cpuid(" not in as_c(OTHER, layer)
    assert "#define FOUR_LEVELS" not in as_c(OTHER, layer)


@needs("gcc")
def test_it_compiles() -> None:
    compiles(as_c(ONE))
    compiles(as_c(OTHER))


@needs("gcc")
def test_it_compiles_among_selftests() -> None:
    compiles(as_c(ONE, UTIL), *flags(tree_of_6_1()))


def test_what_it_takes_is_said() -> None:
    [said] = [line for line in remarks(ONE) if line.startswith("four_levels=vcpu1,vcpu2: ")]
    assert "five-level EPT" in said
    assert not any("four_levels" in line for line in remarks(OTHER))


def test_json_has_it() -> None:
    config = as_json(ONE)["config"]
    assert isinstance(config, dict)
    assert config["four_levels"] == SPELLED
