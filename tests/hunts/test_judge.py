# SPDX-License-Identifier: GPL-2.0-only
"""The judge of hunts: a program shows the bug if it shows what it does not without the patch."""

from __future__ import annotations

from pathlib import Path

import pytest

from difffuzz.fuzz.findings import Finding
from difffuzz.hunts.judge import Judge
from difffuzz.program import Program, parse, render
from difffuzz.running.runner import Runner
from difffuzz.variants.catalogue import find

LOCKSTEP = find("own-clear-log-edge")
RACE = find("21a36ac6b6c7")
QUIET = parse("difffuzz program v1\nslot 0 gfn=0x0 pages=0x40 area=1\nvcpu0: read gfn=0x0\n")


def judge(sides: tuple[str, str], plain: tuple[str, str], mode: str = "lockstep") -> Judge:
    return Judge(Runner(*sides, mode), plain)


def signature_of(one: Judge, program: Program) -> str:
    """What the patched sides show."""
    return one.run(program).divergences[0].signature


def test_a_program_of_the_catalogue_shows_its_bug() -> None:
    one = judge(LOCKSTEP.sides(), LOCKSTEP.plain_sides())
    program = parse(LOCKSTEP.program)
    assert one.shown(program) == signature_of(one, program)
    assert one.shown(QUIET) == ""


def test_what_the_plain_sides_show_too_is_not_the_bug() -> None:
    """The patch stands on both: nothing is left that it alone would show."""
    one = judge(LOCKSTEP.sides(), LOCKSTEP.sides())
    program = parse(LOCKSTEP.program)
    assert one.shown(program) == ""
    assert not one.is_the_bug(program, signature_of(one, program))


def test_plain_sides_need_not_be_quiet() -> None:
    """Another signature than theirs is the bug's: a kernel has bugs of its own."""
    one = judge(LOCKSTEP.sides(), LOCKSTEP.sides())
    program = parse(LOCKSTEP.program)
    assert one.is_the_bug(program, "warn:tdp:read:elsewhere")


def test_a_build_counts_as_the_one_without_the_patch() -> None:
    """Signatures name sides, and a build with a patch has another name than the one without."""
    one = judge(LOCKSTEP.sides(), LOCKSTEP.sides())
    program = parse(LOCKSTEP.program)
    signature = signature_of(one, program)
    one._names = [("native:bug-x:legacy", "legacy"), ("native:bug-x:tdp", "tdp")]
    named = signature.replace("legacy", "native:bug-x:legacy").replace("tdp", "native:bug-x:tdp")
    assert named != signature
    assert not one.is_the_bug(program, named)


def test_a_race_that_a_search_found_is_judged_under_its_schedule(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = Runner(*RACE.sides(), "concurrent")
    one = Judge(run, RACE.plain_sides())
    recorded = parse(RACE.program)
    judged: list[Program] = []
    plain = one._plain

    def noted(program: Program) -> object:
        judged.append(program)
        return plain(program)

    monkeypatch.setattr(one, "_plain", noted)
    verdict = run(recorded)
    assert verdict.divergences
    assert one.shown(recorded) == verdict.divergences[0].signature
    assert [program.schedule for program in judged] == [verdict.schedule]


def test_a_finding_is_judged_by_its_file(tmp_path: Path) -> None:
    one = judge(LOCKSTEP.sides(), LOCKSTEP.plain_sides())
    program = parse(LOCKSTEP.program)
    path = tmp_path / "found.difffuzz"
    path.write_text(render(program))
    signature = signature_of(one, program)
    assert one.accept(Finding(signature, "dirty-log", str(path)))
    same = judge(LOCKSTEP.sides(), LOCKSTEP.sides())
    assert not same.accept(Finding(signature, "dirty-log", str(path)))
