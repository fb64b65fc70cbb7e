# SPDX-License-Identifier: GPL-2.0-only
"""scripts/bench-feedback: hard bugs, all in one pair of sides, and what the sums say."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from difffuzz.hunts.general_corpus import general_corpus
from difffuzz.hunts.hard.__main__ import read_runs, summary
from difffuzz.hunts.hard.bugs import Attribution, hard_bugs, sides
from difffuzz.hunts.hard.one_run import METHODS, Run
from difffuzz.program import parse
from difffuzz.running.policy import FUZZ_STEPS
from difffuzz.running.runner import Runner

BENCH = sys.executable, "-m", "difffuzz.hunts.hard"


def test_each_bug_shows_among_all_the_others_and_is_told_from_them() -> None:
    bugs = hard_bugs()
    run = Runner(*sides(bugs), "lockstep", FUZZ_STEPS)
    shown = Attribution(bugs)
    for number, bug in enumerate(bugs, 1):
        program = parse(bug.program, bug.id)
        assert run(program).divergences, bug.id
        shown.look(program, number)
        assert shown.first[bug.id] <= number  # two are shown by the program of another, too
    assert shown.complete
    assert len(set(shown.first.values())) >= len(bugs) - 2


def test_a_program_without_a_bug_is_none_of_them() -> None:
    shown = Attribution(hard_bugs())
    shown.look(parse("difffuzz program v1\nvcpu0: read gfn=0x0\n", "quiet"), 1)
    assert shown.first == {}


def test_the_corpus_has_no_program_of_the_hunted_ones(tmp_path: Path) -> None:
    bugs = hard_bugs()
    own = {parse(bug.program, bug.id).ops for bug in bugs}
    corpus = general_corpus(bugs, "", tmp_path / "general")
    texts = [
        path.read_text() for path in corpus.glob("*.difffuzz") if path.stem in {b.id for b in bugs}
    ]
    assert texts == []
    assert own.isdisjoint(parse(path.read_text(), path.name).ops for path in corpus.iterdir())


def test_sums() -> None:
    """A bug that a run did not find counts with the run's limit; seeds that a method lacks not."""
    runs = [
        Run(
            method="random",
            seed=1,
            limit=1000,
            executions=1000,
            operations=10_000,
            cpu_seconds=20.0,
            first={"a": 100},
        ),
        Run(method="difffuzz", seed=1, limit=1000, executions=500, first={"a": 25, "b": 500}),
        Run(method="random", seed=2, limit=1000, executions=1000, first={"a": 1, "b": 1}),
    ]
    document = summary(runs)
    assert document["seeds"] == 1
    assert document["bugs"] == {
        "a": {"random": 100, "difffuzz": 25, "random found": 1, "difffuzz found": 1, "ratio": 0.25},
        "b": {
            "random": 1000,
            "difffuzz": 500,
            "random found": 0,
            "difffuzz found": 1,
            "ratio": 0.5,
        },
    }
    assert document["ratio"] == 0.35
    assert document["worst"] == 0.5
    assert document["operations"] == {"random": 10.0, "difffuzz": 0.0}
    assert document["per_1000_executions"] == {"random": 0.91, "difffuzz": 3.81}
    assert document["cpu_milliseconds"] == {"random": 20.0, "difffuzz": 0.0}


@pytest.mark.parametrize("method", METHODS)
def test_a_run_ends_with_its_executions_and_is_not_repeated(method: str, tmp_path: Path) -> None:
    command = [*BENCH, "--methods", method, "--seeds", "1", "--executions", "12"]
    for told in ("12 executions", ""):
        done = subprocess.run(
            [*command, "--out", str(tmp_path)], capture_output=True, text=True, check=True
        )
        assert told in done.stderr
        assert json.loads(done.stdout)["seeds"] == 1
    (run,) = read_runs(tmp_path / "runs.jsonl").values()
    assert (run.method, run.executions, run.limit) == (method, 12, 12)
    assert run.operations > 12
    again = subprocess.run(
        [*command[:-1], "13", "--out", str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert again.returncode == 2
    assert "runs with other --executions" in again.stderr


def test_the_same_seed_gives_the_same_run(tmp_path: Path) -> None:
    runs = []
    for number in range(2):
        out = tmp_path / str(number)
        out.mkdir()
        done = subprocess.run(
            [*BENCH[:2], "difffuzz.hunts.hard.one_run", "difffuzz", "3", "450", str(out)],
            capture_output=True,
            check=True,
        )
        run = msgspec.json.decode(done.stdout.splitlines()[-1], type=Run)
        run.cpu_seconds = 0.0
        runs.append(run)
    assert runs[0] == runs[1]
    assert runs[0].operators["fresh"][0] > 30
