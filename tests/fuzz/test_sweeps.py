# SPDX-License-Identifier: GPL-2.0-only
"""Which programs are swept: each once for each build of the sides, by one worker."""

from __future__ import annotations

from pathlib import Path

from difffuzz.fuzz.findings import FINDINGS
from difffuzz.fuzz.news import input_name
from difffuzz.fuzz.options import FuzzOptions
from difffuzz.fuzz.parent import fuzz
from difffuzz.fuzz.sweeps import NOTES, Claims, Note, Sweeper, SweepNotes, programs_of
from difffuzz.program import Program, encode, parse
from difffuzz.running.runner import Runner
from difffuzz.variants.catalogue import find

SLOT = "difffuzz program v1\nslot 0 gfn=0 pages=8 area=1\n"
RACE = f"{SLOT}vmm: sync\nvcpu0: read gfn=0\nvmm: zap_gfn_range gfn=0 n=8\n"
LONGER = f"{SLOT}vmm: sync\nvcpu0: read gfn=0\nvcpu0: write gfn=1\nvmm: zap_gfn_range gfn=0 n=8\n"
NO_RACE = f"{SLOT}vcpu0: read gfn=0\n"


def corpus(folder: Path, *texts: str) -> Path:
    folder.mkdir()
    for number, text in enumerate(texts):
        (folder / f"{number}.difffuzz").write_text(text)
    return folder


def sweeper(path: Path, folder: Path, left: str = "one", claims: str = "claims") -> Sweeper:
    notes = SweepNotes(path / NOTES, left, "other")
    return Sweeper(Runner("legacy", "tdp"), notes, Claims(path / claims), [folder])


def rest(one: Sweeper) -> list[Program]:
    """Sweeps what is left; the programs in their order."""
    found = []
    while (swept := one.next(lambda: False)) is not None:
        assert swept[1].complete
        one.done(*swept)
        found.append(swept[0])
    return found


def test_each_program_is_swept_once(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", LONGER, NO_RACE, RACE, RACE + "schedule 3:vmm\n")
    done = rest(sweeper(tmp_path, folder))
    assert [len(program.ops) for program in done] == [3, 4]  # its schedule makes no other program
    assert sweeper(tmp_path, folder).left == 0
    assert sweeper(tmp_path, folder, left="another build").left == 2


def test_what_was_interrupted_is_done_again(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", RACE, LONGER)
    stopped = sweeper(tmp_path, folder).next(lambda: True)
    assert stopped is not None
    assert not stopped[1].complete
    assert len(rest(sweeper(tmp_path, folder))) == 2


def test_two_workers_share_the_programs(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", RACE, LONGER)
    one, other = sweeper(tmp_path, folder), sweeper(tmp_path, folder)
    first = one.next(lambda: False)
    assert first is not None
    assert {encode(program) for program in (first[0], *rest(other))} == {
        encode(parse(text)) for text in (RACE, LONGER)
    }
    assert not rest(one)


def test_threads_that_meet_anew_are_swept(tmp_path: Path) -> None:
    one = sweeper(tmp_path, corpus(tmp_path / "corpus", RACE))
    runner = Runner("legacy", "tdp")
    assert len(rest(one)) == 1
    again = LONGER.replace("write", "read")
    other = RACE.replace("zap_gfn_range gfn=0 n=8", "memslot_delete slot=0")
    for text, left in ((LONGER, 1), (again, 1), (other, 2), (other, 2), (RACE, 2)):
        program = parse(text)
        one.ran(program, runner(program))
        assert one.left == left
    one.ran(parse(NO_RACE), runner(parse(NO_RACE)))
    assert one.left == 2


def test_it_is_noted_only_when_what_it_found_is_kept(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", RACE)
    one = sweeper(tmp_path, folder)
    swept = one.next(lambda: False)
    assert swept is not None
    assert sweeper(tmp_path, folder).left == 1  # whoever dies here has lost nothing
    one.done(*swept)
    assert sweeper(tmp_path, folder).left == 0


def test_notes_that_are_torn_are_passed_over(tmp_path: Path) -> None:
    notes = SweepNotes(tmp_path / NOTES, "one", "other")
    notes.add(Note("a" * 32, 7, ["warn:tdp:x:y"]))
    with (tmp_path / NOTES).open("ab") as file:
        file.write(b'{"name":"bbb\n\n[1]\n\xff\n')
    notes.add(Note("c" * 32, 1))
    assert notes.read() == {"a" * 32, "c" * 32}


def test_bytes_and_text_are_one_program(tmp_path: Path) -> None:
    folder = corpus(tmp_path / "corpus", RACE)
    made = encode(parse(RACE))
    (folder / input_name(made)).write_bytes(made)
    (folder / "notes.txt").write_text("nothing\n")
    assert programs_of([folder]) == [parse(RACE)]


def test_a_run_sweeps_meanwhile(tmp_path: Path) -> None:
    bug = find("ec89e6438671")
    text = "".join(line for line in bug.program.splitlines(True) if "schedule" not in line)
    folder = corpus(tmp_path / "corpus", RACE, text)
    left, right = bug.sides()
    options = FuzzOptions(
        left, right, runs=120, seed=1, corpus=folder, out=tmp_path / "out", sweeps=True
    )
    summary = fuzz(options)
    assert summary.sweep.done >= 2
    assert summary.sweep.schedules > 100
    assert bug.oracle in {one.oracle for one in summary.findings}
    assert list((tmp_path / "out" / FINDINGS).glob("*.difffuzz"))
