# SPDX-License-Identifier: GPL-2.0-only
"""`fuzz` with sides that are a booted kernel, by runs that are there already."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import convert

from difffuzz.booted.boot import Wish
from difffuzz.booted.kernel import own
from difffuzz.booted.observed import Run
from difffuzz.booted.qemu import Qemu
from difffuzz.booted.session import Died
from difffuzz.cli import main
from difffuzz.commands import fuzzing_booted, kernel_hunt
from difffuzz.manual.documents import KernelFuzzed

from .test_judge import GOOD, LOGGED, MAPPED, STATS, Dying, seen
from .test_parts import bzimage

BOTH_SIDES = ("--left", "kernel:legacy", "--right", "kernel:tdp")


@pytest.fixture
def booted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Run | Died]:
    """What the kernel shows of the one program of the corpus, by MMU; nothing: it dies."""
    image = tmp_path / "vmlinuz"
    image.write_bytes(bzimage("6.1.0"))
    wish = Wish(own(image, None), Qemu("qemu", (10, 0, 0)))
    runs: dict[str, Run | Died] = {}

    class Here(Dying):
        def __init__(self, *_: object, **__: object) -> None:
            super().__init__()
            self._runs |= runs

    monkeypatch.setattr(kernel_hunt, "Session", Here)
    monkeypatch.setattr(fuzzing_booted, "wish_of", lambda series, *_: wish)
    (tmp_path / "corpus").mkdir()
    (tmp_path / "corpus/logged.difffuzz").write_text(LOGGED)
    return runs


def fuzzed(
    folder: Path, capsys: pytest.CaptureFixture[str], *more: str
) -> tuple[int, KernelFuzzed]:
    argv = ["fuzz", *more, "--runs", "1", "--corpus", str(folder / "corpus"), "--json"]
    status = main([*argv, "--out", str(folder / "out")])
    return status, convert(json.loads(capsys.readouterr().out), KernelFuzzed)


def test_two_mmus_of_one_kernel(
    booted: dict[str, Run | Died], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    booted.update({mmu: Run(list(GOOD), [], False) for mmu in ("legacy", "tdp")})
    status, found = fuzzed(tmp_path, capsys, *BOTH_SIDES, "--seed", "7")
    assert (status, found.executions, found.findings, found.seed) == (0, 1, [], 7)
    assert found.operations == 2 * len(GOOD)
    lost = Run([GOOD[0], seen(), *GOOD[2:]], [], False)
    booted["tdp"] = lost
    status, found = fuzzed(tmp_path, capsys, *BOTH_SIDES)
    assert status == 1
    [finding] = found.findings
    assert finding.signature == "dirty-log:kernel:tdp:dirty_get"
    known = tmp_path / "known.toml"
    known.write_text(f'[[known]]\nsignature = "{finding.signature}"\n')
    status, found = fuzzed(tmp_path, capsys, *BOTH_SIDES, "--baseline", str(known))
    assert (status, found.findings, found.explained) == (0, [], [finding.signature])


def test_a_model_predicts_it(
    booted: dict[str, Run | Died], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    booted["tdp"] = Run(list(MAPPED), [], False)
    sides = ("--left", "kernel:tdp", "--right", "tdp@v6.1")
    status, found = fuzzed(tmp_path, capsys, *sides)
    assert (status, found.operations, found.findings) == (0, len(MAPPED), [])
    booted["tdp"] = Run([*MAPPED[:2], seen("ok", 9, stats=STATS), MAPPED[3]], [], False)
    status, found = fuzzed(tmp_path, capsys, *sides)
    assert (status, [one.oracle for one in found.findings]) == (1, ["model-data"])


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["--jobs", "2"], "fuzzed by one"),
        (["--mode", "concurrent"], "fuzzed in lockstep"),
        (["--baseline", "native:before"], "it is a file"),
        (["--right", "kernel:7.2:tdp"], "the two MMUs of one kernel"),
    ],
)
def test_what_it_does_not_take(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], argv: list[str], line: str
) -> None:
    assert main(["fuzz", *BOTH_SIDES, *argv, "--out", str(tmp_path / "out")]) == 2
    assert line in capsys.readouterr().err
