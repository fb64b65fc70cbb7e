# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz smoke` as continuous integration meets it: green, red, the same twice, never blind."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from difffuzz.ci.junit import UNFINISHED
from difffuzz.ci.outcome import Case
from difffuzz.cli import main
from difffuzz.commands.limit import Limit
from difffuzz.commands.loaded import Choice
from difffuzz.commands.replaying import replay_each
from difffuzz.commands.screen import FuzzProgress
from difffuzz.commands.smoke import replay_end
from difffuzz.commands.smoke_replays import replay_cases, replayed_programs
from difffuzz.fuzz.stats import Summary
from difffuzz.shipped import REPLAYED
from difffuzz.triage.baseline import Baseline
from tests.ci.valid import junit_of, sarif_of
from tests.fuzz.planted import plant_at_fault
from tests.hostile.full_disk import mounted

ROOT = Path(__file__).resolve().parents[2]
SHOWN_BY = {
    "0f38453cdb2e": "seeds/page_track_smm.difffuzz",
    "1f4e5fc83a42": "seeds/vmx_dirty_log_huge.difffuzz",
    "42cde48b2d39": "seeds/page_fault_test_readonly_dirty_slot.difffuzz",
    "76d58e0f07ec": "seeds/dirty_log_test_init_set.difffuzz",
    "87aa9ec939ec": "seeds/dirty_log_ends_range_flush.difffuzz",
    "910c57dfa4d1": "seeds/page_track_dirty_log.difffuzz",
    "386d69f9f29b": "regressions/late_read_fault.difffuzz",
    "b64d740ea7dd": "regressions/tracked_in_other_space.difffuzz",
    "ba6e3fe25543": "seeds/invalidate_seq_wrap.difffuzz",
    "own-notifier-skips-smm": "seeds/smm_shared_memory.difffuzz",
}
"""Bugs of the catalogue, and one program of the corpus that shows each."""
BUG = "0f38453cdb2e"
SIGNATURE = "permission:tdp:write:tracked"
QUICK = ("--time", "100", "--runs", "15")
BLIND = f"""#!{sys.executable}
import sys
from difffuzz.fuzz import instrument, worker
instrument.is_model = lambda module: False
worker.main(sys.argv[3:])
"""
SLEEPER = "#!/bin/sh\nexec sleep 100\n"


def use_as_worker(path: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are this script, which is written there."""
    path.write_text(script)
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))


def cases(corpus: Path, choice: Choice) -> list[Case]:
    paths = replayed_programs(corpus)
    return list(replay_cases(corpus, paths, choice, Baseline(), lambda: ""))


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a corpus of the programs that show those bugs."""
    monkeypatch.chdir(tmp_path)
    for name in SHOWN_BY.values():
        path = Path("corpus", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes((ROOT / "corpus" / name).read_bytes())
    return tmp_path


def run(*more: str) -> tuple[int, Any, dict[str, Any]]:
    """Status and both reports, which are valid."""
    command = ["smoke", "--corpus", "corpus", "--junit", "r/it.xml", "--sarif", "r/it.sarif"]
    status = main([*command, *more])
    return status, junit_of(Path("r/it.xml").read_bytes()), sarif_of(Path("r/it.sarif").read_text())


def test_the_base_is_green_and_both_reports_are_there(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, junit, sarif = run(*QUICK, "--json")
    document = json.loads(capsys.readouterr().out)
    assert status == 0
    assert document["replayed"] == len(SHOWN_BY)
    assert document["fuzz"]["executions"] == 15
    assert (junit.tests, junit.failures, junit.errors) == (len(SHOWN_BY) + 1, 0, 0)
    assert sarif["results"] == []
    assert sarif["invocations"] == [{"executionSuccessful": True}]


def test_ten_bugs_are_red_the_same_twice_and_the_base_is_green(here: Path) -> None:
    corpus = Path("corpus")
    assert not [shown for case in cases(corpus, Choice()) for shown in case.shown]
    for bug, name in SHOWN_BY.items():
        first, again = (cases(corpus, Choice("legacy", f"tdp+{bug}")) for _ in range(2))
        assert [case.shown for case in first] == [case.shown for case in again]
        assert f"corpus/{name}" in [case.path for case in first if case.shown], bug


def test_a_finding_is_printed_as_the_program_and_one_line_that_replays_it(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    status, junit, sarif = run(*QUICK, "--seed", "2", "--right", f"tdp+{BUG}")
    assert status == 1
    out = capsys.readouterr().out
    program = Path("corpus", SHOWN_BY[BUG])
    assert "".join(f"    {line}\n" for line in program.read_text().splitlines()) in out
    (line,) = [one.strip() for one in out.splitlines() if "difffuzz replay" in one]
    assert main(line.split()[1:]) == 1
    assert SIGNATURE in capsys.readouterr().out
    assert junit.failures == 1
    (result,) = sarif["results"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == str(program)
    at = place["region"]["startLine"]
    assert program.read_text().splitlines()[at - 1].startswith("vcpu1: write")


def test_what_the_fuzzer_finds_is_told_the_same_twice(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The second run does not go on with the corpus of the first."""
    (here / "corpus/seeds/one.difffuzz").write_text("difffuzz program v1\nvcpu0: read gfn=0x0\n")
    for name in SHOWN_BY.values():
        (here / "corpus" / name).unlink()
    found = []
    for _ in range(2):
        # Shows in nearly every program that maps something.
        status, _, sarif = run(*QUICK, "--right", "tdp+57a3e96d6d17")
        assert status == 1
        found.append([(one["ruleId"], one["message"]["text"]) for one in sarif["results"]])
    assert found[0] == found[1] != []
    assert "out/smoke/findings" in str(found[0])


def test_only_what_the_baseline_does_not_know_is_red(here: Path) -> None:
    Path("known.toml").write_text(f'[[known]]\nsignature = "{SIGNATURE}"\n')
    more = ("--right", f"tdp+{BUG}", "--baseline", "known.toml")
    status, junit, sarif = run(*QUICK, *more)
    assert status == 0
    assert junit.failures == 0
    (result,) = sarif["results"]
    assert result["baselineState"] == "unchanged"
    assert result["suppressions"]


def test_programs_that_cannot_be_read_are_errors(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("corpus/seeds/bad.difffuzz").write_text("difffuzz program v1\nvcpu0: fly\x00]]>\n")
    status, junit, sarif = run(*QUICK)
    assert status == 2
    assert "bad.difffuzz:2:8" in capsys.readouterr().err
    assert (junit.errors, junit.skipped) == (1, 1)
    assert not sarif["invocations"][0]["executionSuccessful"]


def test_programs_of_other_guests_are_left_out_and_said(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("corpus/seeds/other.difffuzz").write_text(
        "difffuzz program v1\nconfig paging=nonpaging\nvcpu0: read gfn=0x0\n"
    )
    status, junit, _ = run(*QUICK, "--right", "tdp+own-stale-mmio-write-track")
    assert status == 0
    assert junit.skipped == 1
    assert "1 are not for these sides" in capsys.readouterr().out


def test_replays_that_take_too_long_are_cut_off_and_said(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = iter(["", "", *["time was over"] * len(SHOWN_BY)])
    monkeypatch.setattr(
        "difffuzz.commands.smoke.replay_end",
        lambda limit, seconds: (lambda: next(asked), lambda: 20.0),
    )
    status, junit, sarif = run(*QUICK)
    assert status == 0
    cut = len(SHOWN_BY) - 2
    assert junit.skipped == cut
    assert f"replayed 2 programs, 0 diverge, {cut} were not replayed: time was over" in (
        capsys.readouterr().out
    )
    assert not sarif["invocations"][0]["executionSuccessful"]


def test_a_program_that_had_too_little_time_is_not_said_to_hang(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    patch = plant_at_fault(here, "while True: pass")
    corpus, choice = Path("corpus"), Choice("legacy", f"tdp+{patch}")
    paths = replayed_programs(corpus)[:1]
    asked = iter(["", "time was over", "time was over"])
    (cut,) = replay_cases(corpus, paths, choice, Baseline(), lambda: next(asked), lambda: 0.2)
    assert (cut.skipped, cut.shown) == ("time was over", [])
    (hung,) = replay_cases(corpus, paths, choice, Baseline(), lambda: "", lambda: 0.2)
    assert [one.oracle for one in hung.shown] == ["progress"]


def test_the_fuzzer_gets_its_share_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    spent = 0.0
    monkeypatch.setattr(Limit, "spent", property(lambda limit: spent))
    for seconds, end in ((60.0, 50.0), (10.0, 5.0)):
        over, left = replay_end(Limit(seconds), seconds)
        for spent in (0.0, end - 0.1, end):
            assert bool(over()) == (spent == end)
            assert 0 < left() <= max(1.0, min(20.0, end - spent))


def test_ctrl_c_while_programs_are_replayed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*arguments: Any) -> Iterator[Any]:
        for number, one in enumerate(replay_each(*arguments)):
            if number == 3:
                os.kill(os.getpid(), signal.SIGINT)
            yield one

    monkeypatch.setattr("difffuzz.commands.smoke_replays.replay_each", interrupted)
    status, junit, sarif = run(*QUICK)
    assert status == 130
    assert junit.skipped == len(SHOWN_BY) - 4 + 1
    assert UNFINISHED.encode() not in Path("r/it.xml").read_bytes()
    assert not sarif["invocations"][0]["executionSuccessful"]
    assert "interrupted" in str(sarif["invocations"])


def test_ctrl_c_while_the_fuzzer_works(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def show(self: FuzzProgress, summary: Summary) -> None:
        if summary.executions:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(FuzzProgress, "__call__", show)
    status, junit, sarif = run("--time", "100")
    assert status == 0
    assert junit.skipped == 1
    assert "interrupted" in str(sarif["invocations"])


@pytest.mark.parametrize("option", ["--junit", "--sarif", "--out"])
@pytest.mark.parametrize("disk", ["ro", "nr_inodes=1"])
def test_where_nothing_can_be_written_nothing_is_run(
    here: Path, capsys: pytest.CaptureFixture[str], option: str, disk: str
) -> None:
    with mounted(here / "disk", disk):
        assert main(["smoke", "--corpus", "corpus", option, "disk/x"]) == 3
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert "disk/x: Read-only file system" in line or "disk/x: No space left on device" in line


@pytest.mark.parametrize("option", ["--junit", "--sarif", "--out"])
def test_a_folder_that_is_a_file_is_wrong_use(
    here: Path, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    Path("file").write_text("")
    assert main(["smoke", "--corpus", "corpus", option, "file/x"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("difffuzz: file/x: ")


@pytest.mark.parametrize(
    ("corpus", "says"), [("none", "expected a directory"), (".", "no program in its folders")]
)
def test_a_test_of_nothing_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str], corpus: str, says: str
) -> None:
    """Others make a corpus that is missing; here a mistake in its name would be green for ever."""
    assert main(["smoke", "--corpus", corpus]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert not set(REPLAYED) & {path.name for path in Path(corpus).glob("*")}


@pytest.mark.parametrize("command", ["fuzz", "smoke"])
def test_ctrl_c_before_the_first_program_is_no_success(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    use_as_worker(here / "python", SLEEPER, monkeypatch)
    monkeypatch.setattr(
        FuzzProgress, "__call__", lambda self, summary: os.kill(os.getpid(), signal.SIGINT)
    )
    assert main([command, "--corpus", "corpus", "--time", "100"]) == 130
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize("command", ["fuzz", "smoke"])
@pytest.mark.parametrize(
    ("worker", "says"),
    [
        (BLIND, "coverage does not move"),
        (SLEEPER, "did not reach its first program"),
    ],
    ids=["blind", "asleep"],
)
def test_a_fuzzer_that_sees_nothing_is_never_green(
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    worker: str,
    says: str,
) -> None:
    use_as_worker(here / "python", worker, monkeypatch)
    size = ("--time", "0.2" if command == "fuzz" else "1") if worker is SLEEPER else QUICK
    more = ("--sarif", "it.sarif") if command == "smoke" else ()
    assert main([command, "--corpus", "corpus", *size, *more]) == 3
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("difffuzz: ")
    assert says in line
    if command == "smoke":
        assert says in str(sarif_of(Path("it.sarif").read_text())["invocations"])
