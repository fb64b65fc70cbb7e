# SPDX-License-Identifier: GPL-2.0-only
"""fuzz --memory tso: which runs delay stores, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.fuzz.worker import parse_arguments
from difffuzz.program import Program, parse
from difffuzz.running.runner import Runner
from difffuzz.running.schedule import delaying, strategy_for
from difffuzz.sched.strategy import Delays

FORTY = [
    parse(
        f"""difffuzz program v1
slot 0 as=0 gfn=0x0 pages=0x40 area=1 page=0x0
vcpu0: read gfn={gfn:#x}
host0: dontneed area=1 page={gfn:#x} n=0x1
"""
    )
    for gfn in range(40)
]


def is_delayed(program: Program) -> bool:
    return isinstance(delaying(program, strategy_for(program)), Delays)


def test_half_of_the_programs_are_run_with_delays() -> None:
    delayed = [is_delayed(program) for program in FORTY]
    assert 10 < sum(delayed) < 30
    assert delayed == [is_delayed(program) for program in FORTY]


def test_a_program_s_own_schedule_says_what_is_delayed() -> None:
    assert not any(is_delayed(program._replace(schedule=((5, 0),))) for program in FORTY)


def test_the_models_are_quiet_with_delays() -> None:
    runner = Runner("legacy", "tdp", mode="concurrent", explores=True, delays=True)
    assert not any(runner(program).divergences for program in FORTY)


def test_a_worker_is_told() -> None:
    own = ["--left", "legacy", "--right", "tdp", "--out", "o", "--work", "w", "--stats", "s"]
    assert parse_arguments([*own, "--delays", "--"])[0].delays
    assert not parse_arguments([*own, "--"])[0].delays


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--memory", "weak"], "sc, tso"),
        (["--memory", "tso", "--left", "kernel:legacy", "--right", "kernel:tdp"], "booted kernel"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["fuzz", *words, "--runs", "1", "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err.strip()
    assert says in said
    assert "\n" not in said
