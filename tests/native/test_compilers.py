# SPDX-License-Identifier: GPL-2.0-only
"""The native side built by each compiler: no program meets what others left, and fuzzing runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from difffuzz.cli import main
from difffuzz.native.build import load_build
from difffuzz.native.cache import default_cache
from difffuzz.native.elf import read_symbols
from difffuzz.sides import NativeFactory, open_side
from difffuzz.sides.encoded import Encoded
from difffuzz.sides.played import Player

from .kernel import built, built_with_clang, programs

BUILDS = pytest.mark.parametrize("build", [built, built_with_clang], ids=["gcc", "clang"])
STEPS = 1_000_000
RUNS = 200


def _steps(player: Player) -> list[tuple[str, int]]:
    """How the programs of the corpus end, one played after the other."""
    ends = []
    for program in programs("concurrent"):
        if program.config.paging == "tdp":
            played = player.play(Encoded(program), STEPS)
            ends.append((played.reason, played.steps))
    return ends


@BUILDS
def test_what_is_allocated_once_is_no_variable_of_the_library(build: Callable[[], str]) -> None:
    library = Path(load_build(default_cache(), build()).library)
    # Variables are put back by a reset; clang calls those that it makes of an allocation so.
    assert [name for name in read_symbols(library).local if name.endswith(".body")] == []


@BUILDS
def test_a_program_that_is_played_meets_nothing_of_those_before(build: Callable[[], str]) -> None:
    side = open_side(f"native:{build()}:tdp")
    assert isinstance(side, NativeFactory)
    player = Player(side.library, side.tdp_mmu, 0)
    first = _steps(player)
    assert {reason for reason, _ in first} == {""}
    assert _steps(player) == first


@BUILDS
def test_a_fuzz_run_with_each_compiler(
    build: Callable[[], str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = build()
    words = ["fuzz", "--left", f"native:{name}:legacy", "--right", f"native:{name}:tdp"]
    status = main([*words, "--runs", str(RUNS), "--seed", "1", "--out", str(tmp_path), "--json"])
    said = msgspec.json.decode(capsys.readouterr().out)
    assert status == (1 if said["findings"] else 0)
    assert (said["executions"], said["restarts"]) == (RUNS, 0)
    hung = [one["signature"] for one in said["findings"] if one["signature"].endswith(":hang")]
    assert hung == []
