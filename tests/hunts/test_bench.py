# SPDX-License-Identifier: GPL-2.0-only
"""scripts/bench-bugs: runs of each method, and what the sums say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from difffuzz.native.tree import MMU, NEEDED

BENCH = "-m", "difffuzz.hunts.bench"
ONE_RUN = "-m", "difffuzz.hunts.bench.one_run"
EASY = "47b0c2e4c220"
"""Two executions are enough."""
FEW = ("--methods", "random", "--seeds", "1", "--no-picture")


def run(*arguments: str) -> dict[str, Any]:
    """What a script prints."""
    done = subprocess.run([sys.executable, *arguments], capture_output=True, check=True)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("method", ["difffuzz", "raw-bytes", "no-states", "random", "hypothesis"])
def test_every_method_finds_an_easy_bug(method: str) -> None:
    found = run(*ONE_RUN, EASY, method, "1", "60")
    assert found["found"]
    assert found["method"] == method
    assert found["signature"].startswith(("lock:", "warn:"))
    assert 0 < found["executions"] < 1000
    assert 0 < found["cpu_seconds"] < 60


def test_a_run_without_the_bug_ends_with_its_budget() -> None:
    found = run(*ONE_RUN, "b5b0977f4aa2", "random", "1", "0.001")
    assert not found["found"]
    assert found["cpu_seconds"] >= 0.001
    assert found["executions"] == 1


def test_sums(tmp_path: Path) -> None:
    """Ratios are geometric means over bugs, and a bug that only difffuzz finds is named."""
    rows = [
        ("a", "difffuzz", True, 10),
        ("a", "random", True, 1000),
        ("b", "difffuzz", True, 100),
        ("b", "random", False, 100),
    ]
    with (tmp_path / "runs.jsonl").open("w") as file:
        for bug, method, found, executions in rows:
            one = {"bug": bug, "method": method, "seed": 1, "concurrent": False, "budget": 60.0}
            one |= {"found": found, "executions": executions, "cpu_seconds": 1.0}
            file.write(json.dumps(one) + "\n")
    command = [*BENCH, "--report", "--no-picture", "--out", str(tmp_path)]
    document = run(*command)
    assert document["against"]["random"] == {
        "bugs": 2,
        "executions_ratio": 10.0,
        "cpu_seconds_ratio": 1.0,
        "found": 1,
        "runs": 2,
    }
    assert document["only_difffuzz"] == ["b"]
    assert document["bugs"]["a"]["difffuzz"]["median_executions"] == 10
    assert document["against"]["hypothesis"] == {"bugs": 0}


def test_hunts_on_the_model_of_a_kernel() -> None:
    found = run(*ONE_RUN, EASY, "random", "1", "60", "v6.12")
    assert found["found"]
    assert found["kernel"] == "v6.12"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--methods", "magic"], "magic"),
        (["--kernel", "v0.1"], "v0.1"),
        (["--kernel", "v6.1", "--methods", "native"], "native"),
        (["--kernel", "v6.1", "own-mmio-over-present"], "own-mmio-over-present: not on v6.1"),
        (["3a0f64de479c"], "3a0f64de479c: held"),
        (["--seeds", "0"], "--seeds and --scale must be positive"),
        (["--scale", "nan"], "--seeds and --scale must be positive"),
    ],
)
def test_a_wrong_option_is_one_line(options: list[str], problem: str, tmp_path: Path) -> None:
    done = bench(*options, "--out", str(tmp_path))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert problem in done.stderr


def test_native_runs_need_the_kernel_and_a_patch_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """817fa998362d has a patch for 6.12, own-mmio-over-present none."""
    options = "817fa998362d", "own-mmio-over-present", "--methods", "native", "--no-picture"
    monkeypatch.setenv("DIFFFUZZ_CACHE", str(tmp_path))
    done = bench(*options, "--out", str(tmp_path))
    assert done.returncode == 3
    assert done.stderr == "bench-bugs: no kernel tree: run 'difffuzz native fetch'\n"
    tree = tmp_path / "sources" / "linux-source-6.1"
    for name in (*NEEDED, MMU):
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text("VERSION = 6\nPATCHLEVEL = 1\nSUBLEVEL = 100\n")
    done = bench(*options, "--out", str(tmp_path))
    assert done.returncode == 0
    assert json.loads(done.stdout)["bugs"] == {}


def test_runs_of_two_kernels_are_kept_apart(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text(
        '{"bug":"a","method":"random","seed":1,"concurrent":false,"budget":60,"kernel":"v6.1"}\n'
    )
    done = bench("--report", "--no-picture", "--out", str(tmp_path))
    assert done.returncode == 2
    assert "another kernel" in done.stderr


def test_runs_of_two_budgets_are_kept_apart(tmp_path: Path) -> None:
    assert bench(EASY, *FEW, "--scale", "0.5", "--out", str(tmp_path)).returncode == 0
    done = bench(EASY, *FEW, "--out", str(tmp_path))
    assert done.returncode == 2
    assert "another budget" in done.stderr


def test_a_larger_budget_repeats_what_found_nothing(tmp_path: Path) -> None:
    """The first is found already, the second was not within a millisecond."""
    runs = tmp_path / "runs.jsonl"
    one = {"method": "random", "seed": 1, "concurrent": False, "budget": 0.001}
    runs.write_text(
        "".join(
            json.dumps({"bug": bug, "found": bug != EASY, **one}) + "\n"
            for bug in ("524a1e4e381f", EASY)
        )
    )
    done = bench(EASY, "524a1e4e381f", *FEW, "--longer", "--out", str(tmp_path))
    assert done.returncode == 0
    written = [json.loads(line) for line in runs.read_text().splitlines()]
    assert [run["bug"] for run in written] == ["524a1e4e381f", EASY, EASY]
    assert written[2]["found"]
    assert written[2]["budget"] == 60
    assert json.loads(done.stdout)["bugs"][EASY]["random"]["runs"] == 1
    done = bench(EASY, *FEW, "--longer", "--scale", "0.5", "--out", str(tmp_path))
    assert "another budget" in done.stderr


def test_what_is_no_run_names_its_line(tmp_path: Path) -> None:
    assert bench(EASY, *FEW, "--out", str(tmp_path)).returncode == 0
    with (tmp_path / "runs.jsonl").open("a") as file:
        file.write('{"bug":"a"}\n')
    done = bench(EASY, *FEW, "--out", str(tmp_path))
    assert done.returncode == 2
    assert f"{tmp_path}/runs.jsonl:2: " in done.stderr


def test_an_out_that_is_a_file_is_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    done = bench(EASY, *FEW, "--out", str(file))
    assert done.returncode == 2
    assert done.stderr == f"bench-bugs: {file}: File exists\n"


def test_found_by_difffuzz_only_takes_another_that_was_tried(tmp_path: Path) -> None:
    (tmp_path / "runs.jsonl").write_text(
        '{"bug":"a","method":"difffuzz","seed":1,"concurrent":false,"budget":60,"found":true}\n'
    )
    done = bench("--report", "--no-picture", "--out", str(tmp_path))
    assert json.loads(done.stdout)["only_difffuzz"] == []


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *BENCH, *options],
        capture_output=True,
        check=False,
        text=True,
        timeout=300,
    )
