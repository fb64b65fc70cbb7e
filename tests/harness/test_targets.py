# SPDX-License-Identifier: GPL-2.0-only
"""Fuzz targets run as a fuzzing service runs them: an executable file with libFuzzer's flags."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from difffuzz.fuzz.process import rss_limit_mb
from difffuzz.program import encode, generate, parse
from tests.fuzz.planted import plant_at_fault

HARNESS = Path(__file__).resolve().parents[2] / "harness"
TARGETS = sorted(HARNESS.glob("fuzz_*.py"))
BROKEN = """#!/usr/bin/env python3
from difffuzz.fuzz.target import service_main
service_main("legacy", %r)
"""


def run(target: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return subprocess.run(
        [target, f"-rss_limit_mb={rss_limit_mb(2048)}", *arguments],
        cwd=cwd,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("target", TARGETS, ids=lambda path: path.stem)
def test_a_target_is_executable_and_fuzzes(target: Path, tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    done = run(target, "-runs=50", "-seed=1", "corpus", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "Custom" in done.stderr, "programs are mutated as programs"
    assert list((tmp_path / "corpus").iterdir())


@pytest.mark.parametrize("target", TARGETS, ids=lambda path: path.stem)
def test_merge_starts_the_target_again(target: Path, tmp_path: Path) -> None:
    for name in ("from", "to"):
        (tmp_path / name).mkdir()
    for seed in range(4):
        data = encode(generate(random.Random(seed)))
        for copy in ("a", "b"):
            (tmp_path / "from" / f"{seed}{copy}").write_bytes(data)
    done = run(target, "-merge=1", "to", "from", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 1 <= len(list((tmp_path / "to").iterdir())) <= 4


def test_a_divergence_is_a_crash_with_its_program(tmp_path: Path) -> None:
    target = tmp_path / "fuzz_broken.py"
    patch = plant_at_fault(tmp_path, "kvm.no_such_field += 1")
    target.write_text(BROKEN % f"tdp+{patch}")
    target.chmod(0o755)
    program = parse("difffuzz program v1\nvcpu0: write gfn=0x200\n")
    (tmp_path / "input").write_bytes(encode(program))
    done = run(target, "input", cwd=tmp_path)
    assert done.returncode != 0
    assert "vcpu0: write gfn=0x200" in done.stderr
    assert "DivergenceFound: crash:" in done.stdout + done.stderr
