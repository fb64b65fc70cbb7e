# SPDX-License-Identifier: GPL-2.0-only
"""`replay` with a booted kernel as a side, by runs that are there already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import convert

from difffuzz.booted.boot import Wish
from difffuzz.booted.kernel import own
from difffuzz.booted.observed import Run, Seen
from difffuzz.booted.qemu import Qemu
from difffuzz.booted.session import Died
from difffuzz.cli import main
from difffuzz.commands import replaying_booted
from difffuzz.manual.documents import Replayed

from .test_judge import GOOD, LOGGED, MAPPED, STATS, Canned, seen
from .test_parts import bzimage


@pytest.fixture
def booted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Run | Died]:
    """What the kernel shows, by MMU; the series that was asked for is in the file `series`."""
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage("6.1.0"))
    runs: dict[str, Run | Died] = {}
    wish = Wish(own(image, None), Qemu("qemu", (10, 0, 0)))

    class Here(Canned):
        def __init__(self, *_: object, **__: object) -> None:
            super().__init__(runs)
            self.wish = wish

        def close(self) -> None:
            pass

    def wish_of(series: str, *_: object) -> Wish:
        (tmp_path / "series").write_text(series)
        return wish

    monkeypatch.setattr(replaying_booted, "Session", Here)
    monkeypatch.setattr(replaying_booted, "wish_of", wish_of)
    (tmp_path / "logged.difffuzz").write_text(LOGGED)
    return runs


def run(*shown: Seen) -> Run:
    return Run(list(shown), [], False)


def replayed(
    folder: Path, capsys: pytest.CaptureFixture[str], left: str, right: str
) -> tuple[int, Replayed]:
    argv = ["replay", str(folder / "logged.difffuzz"), "--left", left, "--right", right, "--json"]
    status = main(argv)
    [one] = convert(json.loads(capsys.readouterr().out), list[Replayed])
    return status, one


def test_two_mmus_of_one_kernel(
    booted: dict[str, Run | Died], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    booted.update(legacy=run(*GOOD), tdp=run(*GOOD))
    status, one = replayed(tmp_path, capsys, "kernel:legacy", "kernel:tdp")
    assert (status, one.verdict, one.mode) == (0, "same", "booted")
    assert (tmp_path / "series").read_text() == "6.1"
    lost = run(GOOD[0], seen(), *GOOD[2:])
    booted.update(tdp=lost)
    status, one = replayed(tmp_path, capsys, "kernel:7.2:legacy", "kernel:7.2:tdp")
    assert (status, one.verdict, one.alike) == (1, "divergence", False)
    assert [it.sides for it in one.divergences] == ["kernel:7.2:tdp"]
    assert (tmp_path / "series").read_text() == "7.2"
    booted.update(legacy=run(*lost.seen))
    status, one = replayed(tmp_path, capsys, "kernel:legacy", "kernel:tdp")
    assert (status, one.alike, len(one.divergences)) == (1, True, 2)


def test_a_model_predicts_it(
    booted: dict[str, Run | Died], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    booted.update(tdp=run(*MAPPED))
    status, one = replayed(tmp_path, capsys, "tdp@v6.1", "kernel:tdp")
    assert (status, one.verdict) == (0, "same")
    wrong = seen("ok", 9, stats=STATS)
    booted.update(tdp=run(*MAPPED[:2], wrong, MAPPED[3]))
    status, one = replayed(tmp_path, capsys, "kernel:tdp", "tdp@v6.1")
    assert status == 1
    [found] = one.divergences
    assert (found.oracle, found.sides, found.op_index) == ("model-data", "kernel:tdp", 2)


def test_what_is_not_run_is_said(
    booted: dict[str, Run | Died], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    booted.update(legacy=run(*GOOD), tdp=run(*GOOD))
    text = LOGGED.replace("slot 0", "config guest=paging64\nslot 0", 1)
    (tmp_path / "logged.difffuzz").write_text(text)
    status, one = replayed(tmp_path, capsys, "kernel:legacy", "kernel:tdp")
    assert (status, one.verdict) == (2, "error")
    assert "page tables of its own" in str(one.error)
    (tmp_path / "logged.difffuzz").write_text("no program")
    assert replayed(tmp_path, capsys, "kernel:legacy", "kernel:tdp")[0] == 2


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--left", "kernel:tdp"], "name the other"),
        (["--left", "kernel:tdp", "--right", "kernel:tdp"], "the two MMUs of one kernel"),
        (["--left", "kernel:6.1:tdp", "--right", "kernel:7.2:legacy"], "the two MMUs of one"),
        (["--left", "kernel:tdp", "--right", "legacy"], "has to be of the same MMU"),
        (["--left", "kernel:tdp", "--right", "spec"], "has to be of the same MMU"),
        (["--left", "kernel:ept", "--right", "tdp"], "unknown side 'kernel:ept'"),
    ],
)
def test_sides_that_cannot_be(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], line: str
) -> None:
    assert main(["replay", str(tmp_path / "x"), *argv]) == 2
    assert line in capsys.readouterr().err


def test_other_commands_do_not_take_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "one.difffuzz").write_text(LOGGED)
    argv = ["explain", str(tmp_path / "one.difffuzz"), "--left", "kernel:tdp"]
    assert main(argv) == 2
    assert "'replay' and 'fuzz' take it for a side" in capsys.readouterr().err
