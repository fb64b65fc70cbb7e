# SPDX-License-Identifier: GPL-2.0-only
"""atheris sees the branches of the model and its variants, and of nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from difffuzz.fuzz.instrument import is_model

PROBE = """
from difffuzz.fuzz import instrument
branches = instrument.install()
from difffuzz import program
from difffuzz.kvm import spte
from difffuzz.machine import pte
from difffuzz.variants import load
variant = load([])
marked = {branch.module for branch in branches.known}
modules = (spte, pte, variant.spte, program.bytes_form)
print(*(module.__name__ in marked for module in modules))
"""
EARLY = """
from difffuzz.kvm import spte
from difffuzz.fuzz import instrument
instrument.install()
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_the_model_and_its_variants_are_instrumented_and_the_codec_is_not() -> None:
    assert python(PROBE).stdout.split() == ["True", "True", "True", "False"]


def test_a_model_that_was_imported_before_is_an_error() -> None:
    done = python(EARLY)
    assert done.returncode
    assert "imported before the instrumentation" in done.stderr


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("difffuzz.kvm", True),
        ("difffuzz.kvm.tdp_mmu", True),
        ("difffuzz.machine.hw", True),
        ("difffuzz_variant_0123456789ab.kvm.mmu", True),
        ("difffuzz.kvmx", False),
        ("difffuzz.oracle.leak", False),
        ("difffuzz.sched.core", False),
        ("difffuzz", False),
    ],
)
def test_which_modules_guide_the_fuzzer(module: str, expected: bool) -> None:
    assert is_model(module) is expected
