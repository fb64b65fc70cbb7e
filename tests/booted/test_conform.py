# SPDX-License-Identifier: GPL-2.0-only
"""A real boot: Linux 6.1 does what its model says, on both MMUs, of programs of many kinds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import convert

from difffuzz.booted.kernel import fetched
from difffuzz.booted.qemu import find_qemu
from difffuzz.cli import main
from difffuzz.errors import MissingTool, UsageError
from difffuzz.manual.documents import KernelConformed
from difffuzz.native.cache import default_cache

from ..native.needs import missing

SEEDS = Path(__file__).resolve().parents[2] / "corpus" / "seeds"
NAMES = (
    "demand_paging_test_thp",
    "demand_paging_test_hugetlb_2m",
    "dirty_log_page_splitting_test_2m",
    "dirty_log_test_init_set",
    "dirty_log_test_manual_clear",
    "host_fork_thp",
    "host_hwpoison",
    "host_migration",
    "host_thp_collapse",
    "host_thp_split",
)
TOGETHER = ("host_migration", "host_thp_collapse", "parked_fault_unrelated_invalidation")
GENERATED = 10


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("names", "generated", "how"),
    [(NAMES, GENERATED, ()), (TOGETHER, 0, ("--together",))],
    ids=["alone", "together"],
)
def test_the_kernel_does_what_the_model_says(
    names: tuple[str, ...],
    generated: int,
    how: tuple[str, ...],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    try:
        find_qemu()
        fetched(default_cache(), "6.1")
    except (MissingTool, UsageError) as error:
        missing(str(error))
    files = [str(SEEDS / f"{name}.difffuzz") for name in names]
    argv = ["kernel", "conform", *files, *how, "--runs", str(generated), "--seed", "1"]
    status = main([*argv, "--out", str(tmp_path), "--json"])
    found = convert(json.loads(capsys.readouterr().out), KernelConformed)
    assert not found.disagreed
    assert status == 0
    assert found.programs == found.agreed == 2 * (len(names) + generated)
    assert found.kernel.startswith("6.1.")
    assert found.boots >= 1
