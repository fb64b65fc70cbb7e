# SPDX-License-Identifier: GPL-2.0-only
"""The screen of `fuzz` on a terminal, plain lines elsewhere, and what letters and counts mean."""

from __future__ import annotations

import io
import re
from pathlib import Path

import msgspec
import pytest
from rich.console import Console

from difffuzz.cli import main
from difffuzz.commands.screen import FuzzProgress, screen
from difffuzz.fuzz.findings import Finding
from difffuzz.fuzz.operators import OperatorStats
from difffuzz.fuzz.stats import Goal, Summary, SweepStats, TakenOver
from difffuzz.oracle.allowed import ALLOWED
from difffuzz.program import encode, parse
from tests.oracle.test_allowed import USES, Use

SIGNATURE = "leak:tdp:destroy:page\x1b[2J"
FUZZING = Summary(
    executions=12_345,
    seconds=75.0,
    executions_per_second=164.6,
    operations=180_000,
    cpu_seconds=140.0,
    coverage=6_300,
    corpus=1_300,
    findings=[Finding(SIGNATURE, "leak", "out/findings/leak.difffuzz")],
    branches=2_900,
    states=3_400,
    skipped=0,
    allowed={},
    operators={},
    phrases={},
    ways={
        "POS": OperatorStats(50, 3),
        "lockstep": OperatorStats(100, 3),
        "PCT": OperatorStats(25, 3),
        "surw search": OperatorStats(20, 3),
        "run to block": OperatorStats(5, 0),
    },
    oracles={},
    left="legacy@v6.12",
    right="tdp+/a/very/long/way/to/it/my.patch",
    mode="portfolio",
    seed=1,
    jobs=2,
    restarts=1,
    out="out",
    phase="fuzzing",
    to_read=407,
    quiet_seconds=12.4,
    taken_over=TakenOver(programs=279, findings=3),
    sweep=SweepStats(done=31, left=50, schedules=9_876),
    goal=Goal(3600.0, 50_000),
)
READING = msgspec.structs.replace(FUZZING, phase="reading", executions=240, findings=[])


def shown(summary: Summary, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(screen("fuzz", summary))
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


@pytest.mark.parametrize("width", [80, 60])
def test_one_screen_says_all_that_is_known(width: int) -> None:
    lines = shown(FUZZING, width)
    assert [" ".join(line.split()) for line in lines] == [
        "fuzz legacy@v6.12 against tdp+my, portfolio",
        "phase fuzzing",
        "taken over 279 programs, 3 findings",
        "time 1:15 min of 1:00:00 h",
        "executions 12,345 of 50,000, 165/s",
        "operations 180,000, 2,400/s",
        "coverage 2,900 branches",
        "states 3,400",
        "last new 12 s ago",
        "corpus 1,300 programs",
        "swept 31 programs, 50 are left, 9,876 schedules",
        "scheduled lockstep 50%, POS 25%, PCT 12%, surw search 10%",
        "findings 1",
        "workers 2, started again 1 times",
    ]
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [80, 60])
def test_reading_again_does_not_look_like_lost_coverage(width: int) -> None:
    lines = shown(READING, width)
    assert len(lines) == len(shown(FUZZING, width))  # nothing jumps
    assert "reading the programs that are there, 120 of 407" in lines[1]
    assert all("so far, of what is there" in line for line in lines[6:8])
    assert lines[8].split() == ["last", "new", "-"]


def test_a_terminal_is_drawn_over_and_findings_stay() -> None:
    file = io.StringIO()
    console = Console(file=file, force_terminal=True, width=80, highlight=False)
    with FuzzProgress("fuzz", console) as progress:
        for summary in (FUZZING, FUZZING, READING):
            progress(summary)
    drawn = file.getvalue()
    assert "reading the programs" in drawn
    assert drawn.count("fuzz: finding leak:tdp:destroy:page\\x1b[2J: out/findings/leak") == 1
    assert "\x1b[2J" not in drawn  # the terminal is never cleared: that would flicker
    assert drawn.endswith("\x1b[2K")  # what was live is gone in the end


def test_elsewhere_there_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(file=io.StringIO(), width=80)
    with FuzzProgress("fuzz", console, plain_seconds=0.0) as progress:
        progress(READING)
        progress(FUZZING)
    captured = capsys.readouterr()
    assert captured.out == ""
    reading, finding, fuzzing = captured.err.splitlines()
    assert reading.startswith("fuzz: reading the programs that are there, 120 of 407: 75 s, 240 ex")
    assert finding.startswith("fuzz: finding leak:tdp")
    assert fuzzing.startswith("fuzz: fuzzing: 75 s, 12345 executions (165/s)")


def test_the_summary_says_what_its_words_mean(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    before = tmp_path / "out" / "corpus" / "before"
    command = ["fuzz", "--runs", "60", "--seed", "1", "--out", out, "--corpus", str(corpus)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "allowed own-copy-on-write:" in said
    assert "differences are meant, no findings; docs/oracles.md says why" in said
    assert "ended before all programs that it began with were read" in said
    assert "taken over" not in said
    before.write_bytes(encode(parse("difffuzz program v1\n")))
    assert main(command) == 0
    assert "taken over: 1 programs, 0 findings" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["bugs", "list"], ["bugs", "list", "--help"]])
def test_the_letters_of_the_catalogue_are_explained(
    capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    assert main(words) == 0
    said = " ".join(capsys.readouterr().out.split())
    for part in ("legacy MMU", "TDP MMU", "both", "parked fault", "held"):
        assert part in said


@pytest.mark.parametrize("use", [use for use in USES if use.rule in ("nx-split", "no-mmu-pages")])
def test_explain_gives_the_reason_of_an_allowed_difference(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, use: Use
) -> None:
    file = tmp_path / "p.difffuzz"
    file.write_text(f"difffuzz program v1\n{use.program}")
    main(["explain", str(file)])
    said = capsys.readouterr().out
    assert re.search(rf"allowed, no finding: {use.rule} \(\d+\): {ALLOWED[use.rule].reason}", said)
