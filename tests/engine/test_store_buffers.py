# SPDX-License-Identifier: GPL-2.0-only
"""Store buffers of the model: bugs that nothing else shows, and that delays are replayed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.engine.concurrent import run
from difffuzz.engine.explore import explore
from difffuzz.engine.sampling import sample
from difffuzz.program import THREADS, decode, encode, parse, render
from difffuzz.program.limits import BUFFERS, SCHEDULED
from difffuzz.running.runner import Runner
from difffuzz.sched.store_buffer import FIRST_BUFFER
from difffuzz.shrink.finding import shrink
from difffuzz.sides import open_side
from difffuzz.variants.catalogue import PLANTED, Bug, catalogue

BUGS = [bug for bug in catalogue(PLANTED) if bug.id.startswith("planted-tso-")]
each_bug = pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.id)


def is_right(bug: Bug) -> int:
    """The side that has the bug."""
    return 0 if bug.path == "L" else 1


def test_numbers_agree() -> None:
    assert len(THREADS) == FIRST_BUFFER
    assert SCHEDULED[FIRST_BUFFER:] == BUFFERS


@each_bug
def test_no_schedule_of_three_preemptions_shows_it_without(bug: Bug) -> None:
    program = parse(bug.program)._replace(schedule=())
    left, right = map(open_side, bug.sides())
    found = explore(program, left, right, 3, sides=(is_right(bug),))
    assert found.complete
    assert found.shown == []


@each_bug
def test_delays_are_drawn_that_show_it(bug: Bug) -> None:
    program = parse(bug.program)._replace(schedule=())
    left, right = map(open_side, bug.sides())
    side = is_right(bug)
    found = sample(
        program, left, right, "pos", schedules=20_000, first_only=True, sides=(side,), delays=True
    )
    (shown,) = found.shown
    assert shown.divergence.oracle == bug.oracle
    assert any(thread >= FIRST_BUFFER for _, thread in shown.schedule)
    again = run(program._replace(schedule=shown.schedule), left, right)
    assert again.divergences[0].signature == shown.divergence.signature


@each_bug
def test_its_program_has_every_form(bug: Bug) -> None:
    program = parse(bug.program)
    assert ".buffer" in render(program)
    assert parse(render(program)) == program
    assert decode(encode(program)) == program


def test_a_minimised_program_keeps_the_delay_that_it_needs() -> None:
    """Threads get other names, and operations go: the delay stays with its store."""
    bug = next(bug for bug in BUGS if bug.id.endswith("mode-after-barrier"))
    larger = parse(
        "\n".join(
            [
                "difffuzz program v1",
                "config vcpus=2",
                "slot 0 as=0 gfn=0x0 pages=0x2 area=1 page=0x0",
                "vcpu0: write gfn=0x1",
                "vcpu1: read gfn=0x0",
                "vmm: sync",
                "vcpu1: read gfn=0x0",
                "host1: dontneed area=1 page=0x0 n=0x1",
            ]
        )
    )
    left, right = map(open_side, bug.sides())
    found = explore(larger, left, right, 2, reduce=False, sides=(1,), first_only=True, delays=True)
    (shown,) = found.shown
    run_it = Runner(*bug.sides(), mode="concurrent")
    signature = shown.divergence.signature
    shrunk = shrink(run_it, larger._replace(schedule=shown.schedule), signature, 60.0).program
    assert len(shrunk.ops) == 3
    assert {thread for _, thread in shrunk.schedule} == {FIRST_BUFFER, 4}


def test_the_command_explores_with_store_buffers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bug = next(bug for bug in BUGS if bug.id.endswith("mode-after-barrier"))
    file, kept = tmp_path / "it.difffuzz", tmp_path / "shown.difffuzz"
    file.write_text(render(parse(bug.program)._replace(schedule=())))
    sides = ["--left", "tdp", "--right", f"tdp+{bug.patch}"]
    command = ["explore", str(file), *sides, "--strategy", "pos", "--schedules", "1000"]
    command += ["--out", str(tmp_path / "out")]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["memory"] == "sc"
    assert main([*command, "--memory", "tso", "--first", "-o", str(kept)]) == 1
    assert "vcpu0.buffer" in capsys.readouterr().out
    assert main(["replay", "--trust-notes", str(kept)]) == 1
    assert "stale-access" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--memory", "weak", "--no-reduction"], "sc, tso"),
        (["--memory", "tso"], "--no-reduction only"),
        (["--memory", "tso", "--there-and-back"], "--memory sc only"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(
    words: list[str], says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "it.difffuzz"
    file.write_text(BUGS[0].program.strip())
    assert main(["explore", str(file), *words, "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip()
    assert says in said
    assert "\n" not in said


def test_explain_tells_of_delays(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bug = next(bug for bug in BUGS if bug.id.endswith("mode-after-barrier"))
    file = tmp_path / "it.difffuzz"
    file.write_text(bug.program.strip())
    assert main(["explain", str(file), "--left", "tdp", "--right", f"tdp+{bug.patch}"]) == 1
    said = capsys.readouterr().out.rpartition("by preemption points:")[2]
    waits = "vcpu0       its store to mode 0 waits in its store buffer, in vcpu_enter_guest()"
    assert said.index(waits) < said.index("host0   goes on")
    assert said.index("host0   goes on") < said.index("its store to mode 0 is visible now")
