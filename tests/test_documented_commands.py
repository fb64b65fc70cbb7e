# SPDX-License-Identifier: GPL-2.0-only
"""Every command that README and docs show runs, and prints what they say it does.

A row says how a command is run here: smaller where it would take minutes, with a file where it says
FILE.  A command without a row fails the test, so that nobody documents what nobody ran.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from difffuzz.cli import main
from difffuzz.program import parse

from .native.kernel import built
from .trace.written import STALE

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
SHOWN = re.compile(r"^    (scripts/\S.*?)(?:\s+#.*)?$", re.MULTILINE)


class Row(NamedTuple):
    """`run`: the arguments, as words; `status` and `says`: what must come of it.

    `instead`: another file of tests runs it, or it is a script that sets up or measures for hours.
    """

    run: str = ""
    status: int = 0
    says: str = ""
    instead: str = ""


SHOWN_THERE = (ROOT / "docs/tutorial.md").read_text().split("```text\n")[3].split("```")[0]
"""What the tutorial says of its program."""
ROWS = {
    "scripts/fuzz": Row("fuzz --runs 30 --seed 1 --out OUT", 0, "30 executions"),
    "scripts/difffuzz corpus sweep corpus --time 600": Row(
        "corpus sweep . --time 1 --out OUT", 0, "programs swept in"
    ),
    "scripts/difffuzz fuzz --time 600 --no-sweep": Row(
        "fuzz --runs 30 --no-sweep --seed 1 --out OUT", 0, "30 executions"
    ),
    "scripts/test": Row(instead="this is it"),
    "scripts/difffuzz fuzz --seed 7 --jobs 1 --runs 2000 --out NEW": Row(
        "fuzz --seed 7 --jobs 1 --runs 20 --out OUT", 0, "20 executions"
    ),
    "scripts/difffuzz bugs list": Row("bugs list", 0, "edb298c663fc"),
    "scripts/difffuzz bugs show edb298c663fc": Row("bugs show edb298c663fc", 0, "mended in 5.15"),
    "scripts/difffuzz fuzz --right tdp+edb298c663fc --stop-on-finding --seed 1": Row(
        "fuzz --right tdp+edb298c663fc --stop-on-finding --seed 1 --runs 2000 --out OUT",
        1,
        "retry:tdp:",
    ),
    "scripts/difffuzz explain out/findings/*.difffuzz": Row("explain TUTORIAL", 1, SHOWN_THERE),
    "scripts/difffuzz replay out/findings --left legacy --right tdp": Row(
        "replay TUTORIAL --left legacy --right tdp", 0, "same (legacy against tdp)"
    ),
    "scripts/difffuzz findings state ID known": Row(instead="tests/commands/test_findings.py"),
    "scripts/difffuzz replay it.difffuzz": Row("replay README", 1, "progress:tdp:read"),
    "scripts/difffuzz explain - <mail": Row("explain README", 1, ">>> the first difference"),
    "scripts/difffuzz fuzz --mode concurrent --time 300": Row(
        "fuzz --mode concurrent --runs 20 --seed 1 --out OUT", 0, "20 executions"
    ),
    "scripts/difffuzz explain FILE --mode concurrent": Row("explain FILE --mode concurrent"),
    "scripts/difffuzz explore FILE --preemptions 2": Row("explore RACE", 0, "complete"),
    "scripts/difffuzz explore FILE --strategy portfolio --time 60": Row(
        "explore RACE --strategy portfolio --schedules 10", 0, "20 schedules"
    ),
    "scripts/difffuzz fuzz --memory tso --mode concurrent --time 300": Row(
        "fuzz --memory tso --mode concurrent --runs 20 --seed 1 --out OUT", 0, "20 executions"
    ),
    "scripts/difffuzz explore FILE --memory tso --no-reduction": Row(
        "explore RACE --memory tso --no-reduction --preemptions 1", 0, "complete"
    ),
    "scripts/difffuzz explore FILE --memory tso --strategy pos --time 60": Row(
        "explore RACE --memory tso --strategy pos --schedules 10", 0, "20 schedules"
    ),
    (
        "scripts/difffuzz explore FILE --left native:legacy --right native:tdp --preemptions 1 "
        "--no-reduction"
    ): Row(instead="tests/native/test_findings_today.py"),
    "scripts/difffuzz explore FILE --left legacy@v6.12 --right tdp@v6.12 --preemptions 1": Row(
        "explore RACE --left legacy@v6.12 --right tdp@v6.12 --preemptions 1", 0, "schedules"
    ),
    "scripts/difffuzz variant diff base my.patch": Row(
        "variant diff base PATCH FILE --runs 3 --schedules 1 --explored 1 --out OUT", 0, "no diff"
    ),
    "scripts/difffuzz variant diff before.patch before.patch+after.patch": Row(
        "variant diff PATCH PATCH FILE --runs 3 --schedules 1 --explored 1 --out OUT", 0, "no diff"
    ),
    "scripts/difffuzz campaign init DIR": Row(instead="tests/campaign/test_run.py"),
    "scripts/difffuzz campaign run DIR": Row(instead="tests/campaign/test_run.py"),
    "scripts/difffuzz campaign run DIR --fleet ray": Row(instead="tests/campaign/test_ray.py"),
    "scripts/difffuzz campaign run DIR --fleet ray://HOST:PORT": Row(
        instead="tests/campaign/test_ray.py"
    ),
    "scripts/difffuzz serve DIR": Row(instead="tests/dashboard/test_serve.py"),
    "scripts/difffuzz serve DIR DIR2 --port 0": Row(instead="tests/dashboard/test_serve.py"),
    "scripts/difffuzz serve DIR --host 0.0.0.0 --token-file FILE": Row(
        instead="tests/dashboard/test_serve.py"
    ),
    "scripts/difffuzz campaign status DIR": Row(instead="tests/campaign/test_run.py"),
    "scripts/difffuzz campaign pause DIR": Row(instead="tests/campaign/test_run.py"),
    "scripts/difffuzz campaign resume DIR": Row(instead="tests/campaign/test_run.py"),
    "scripts/difffuzz campaign stop DIR": Row(instead="tests/campaign/test_run.py"),
    "scripts/difffuzz campaign report DIR -o report.md": Row(instead="tests/campaign/test_run.py"),
    "scripts/difffuzz findings list": Row(instead="tests/commands/test_findings.py"),
    "scripts/difffuzz findings show ID": Row(instead="tests/commands/test_findings.py"),
    "scripts/difffuzz findings state ID confirmed": Row(instead="tests/commands/test_findings.py"),
    'scripts/difffuzz findings note ID "shown on 6.12.94, see the mail of May"': Row(
        instead="tests/commands/test_findings.py"
    ),
    "scripts/difffuzz findings retest": Row(instead="tests/commands/test_findings.py"),
    "scripts/difffuzz findings export -o findings.jsonl": Row(
        instead="tests/commands/test_findings.py"
    ),
    "scripts/difffuzz findings import findings.jsonl": Row(
        instead="tests/commands/test_findings.py"
    ),
    "scripts/difffuzz findings export --baseline -o known.toml": Row(
        instead="tests/commands/test_findings.py"
    ),
    "scripts/difffuzz fuzz --baseline known.toml --time 600": Row(
        instead="tests/commands/test_findings.py"
    ),
    (
        "scripts/difffuzz fuzz --left native:after:legacy --right native:after:tdp "
        "--baseline native:before"
    ): Row(instead="tests/triage/test_baseline.py"),
    "scripts/difffuzz export FILE --to json": Row("export FILE --to json", 0, '"operations"'),
    "scripts/difffuzz export FILE --to pytest -o test_it.py": Row(
        "export FILE --to pytest -o test_it.py"
    ),
    "scripts/difffuzz judge trace.txt": Row("judge TRACE", 1, "small-page-of-another-pfn"),
    "scripts/difffuzz corpus import --trace trace.txt -o programs": Row(
        "corpus import --trace TRACE -o OUT", 0, "1 of 1 accesses end as in the trace (100.0 %)"
    ),
    "scripts/difffuzz kernel doctor": Row("kernel doctor --json", 0, "QEMU"),
    "scripts/difffuzz kernel run it.c --kernel 7.2": Row(instead="tests/booted/test_run.py"),
    "scripts/difffuzz kernel selftest --kernel 7.2 --trace traces": Row(
        instead="tests/booted/test_selftests.py"
    ),
    "scripts/difffuzz kernel selftest 'dirty_log_test -i 3 -M clear-log' --kernel 7.2": Row(
        instead="tests/booted/test_selftests.py"
    ),
    "scripts/difffuzz kernel run harness/reproducers/nx_recovery_list.c --kernel 7.2": Row(
        instead="tests/booted/test_run.py"
    ),
    "scripts/difffuzz replay FILE --left kernel:legacy --right kernel:tdp": Row(
        instead="tests/booted/test_replay.py"
    ),
    "scripts/difffuzz replay FILE --left native:tdp --right kernel:6.1:tdp": Row(
        instead="tests/booted/test_replay.py"
    ),
    "scripts/difffuzz fuzz --left kernel:7.2:legacy --right kernel:7.2:tdp --time 600": Row(
        instead="tests/booted/test_fuzz_side.py"
    ),
    "scripts/difffuzz kernel fetch qemu": Row(instead="tests/booted/test_qemu_fetch.py"),
    "scripts/difffuzz kernel replay FILE --kernel 6.1": Row(instead="tests/booted/test_run.py"),
    "scripts/difffuzz kernel fuzz --kernel 6.1 --time 600": Row(
        instead="tests/booted/test_judge.py"
    ),
    "scripts/difffuzz findings confirm ID --kernel 6.1": Row(
        instead="tests/booted/test_confirm.py"
    ),
    "scripts/kernel-bugs": Row(instead="it builds and boots for many minutes"),
    "scripts/difffuzz kernel fetch 6.1": Row(instead="scripts/native-setup runs it where CI=true"),
    "scripts/difffuzz kernel conform --kernel 6.1 --together --runs 100": Row(
        instead="tests/booted/test_conform.py"
    ),
    "scripts/difffuzz kernel conform --kernel 6.1 --runs 100": Row(
        instead="tests/booted/test_conform.py"
    ),
    (
        "scripts/difffuzz kernel conform --image arch/x86/boot/bzImage --modules ~/modules "
        "--runs 100"
    ): Row(instead="tests/booted/test_conform.py, with a fetched one"),
    "scripts/difffuzz review my.patch --tree ~/linux --time 300": Row(
        instead="tests/native/test_review.py"
    ),
    "scripts/difffuzz review v7.2..HEAD --tree ~/linux --html review.html": Row(
        instead="tests/review/test_subject.py"
    ),
    "scripts/difffuzz findings bisect ID --tree ~/linux --good v6.1 --bad v6.12": Row(
        instead="tests/triage/test_bisect.py"
    ),
    (
        "scripts/difffuzz findings bisect ID --tree ~/linux --patch 0001.patch --patch 0002.patch"
    ): Row(instead="tests/native/test_bisect.py"),
    "scripts/difffuzz export FILE --to c -o it.c": Row("export FILE --to c -o it.c"),
    "scripts/difffuzz export FILE --to selftest --tree ~/linux -o it.patch": Row(
        instead="tests/export/test_selftest.py"
    ),
    "scripts/native-setup": Row(instead="tests/native"),
    "scripts/difffuzz native doctor": Row(instead="tests/native/test_doctor.py"),
    "scripts/difffuzz native fetch 7.2": Row(instead="tests/native/test_build_fetch.py"),
    "scripts/difffuzz native build --tree "
    "~/.cache/difffuzz/sources/linux-source-7.2 --name k72": Row(instead="tests/native"),
    "scripts/difffuzz native build --tree ~/linux --name today": Row(instead="tests/native"),
    (
        "scripts/difffuzz native build --tree ~/.cache/difffuzz/sources/linux-source-7.2 "
        "--patch harness/native/mended/today.toml --name k72m"
    ): Row(instead="tests/native/test_findings_today.py"),
    "scripts/difffuzz fuzz --left native:today:legacy --right native:today:tdp --time 600": Row(
        "fuzz --left native:BUILD:legacy --right native:BUILD:tdp --runs 25 --seed 9 --out OUT",
        0,
        "25 executions",
    ),
    (
        "scripts/difffuzz fuzz --left native:today:legacy --right native:today:tdp "
        "--baseline known.toml --time 600"
    ): Row(instead="tests/triage/test_baseline.py"),
    "scripts/difffuzz native build --tree ~/linux --name before": Row(instead="tests/native"),
    "scripts/difffuzz native build --tree ~/linux --patch my.patch --name after": Row(
        instead="tests/native/test_patches_of_bugs.py"
    ),
    "scripts/difffuzz native conform": Row(
        "native conform FILE --name BUILD --runs 20 --schedules 5 --out OUT", 0, "100.000 %"
    ),
    "scripts/difffuzz variant diff native:before native:after": Row(
        "variant diff native:BUILD native:BUILD FILE --runs 20 --schedules 5 --out OUT", 0, "agree"
    ),
    "scripts/difffuzz fuzz --left native:after:legacy --right native:after:tdp --time 600": Row(
        "fuzz --left native:BUILD:legacy --right native:BUILD:tdp --runs 25 --seed 9 --out OUT",
        0,
        "25 executions",
    ),
    "scripts/difffuzz fuzz --left native:after:tdp --right tdp@v7.2 --time 600": Row(
        "fuzz --left native:BUILD:tdp --right tdp@v6.1 --runs 20 --seed 3 --out OUT", 0, "20 exec"
    ),
    "scripts/difffuzz replay FILE --left native:after:legacy --right native:after:tdp": Row(
        "replay FILE --left native:BUILD:legacy --right native:BUILD:tdp", 0, "same"
    ),
    "scripts/difffuzz explain FILE --left native:after:legacy --right native:after:tdp": Row(
        "explain FILE --left native:BUILD:legacy --right native:BUILD:tdp", 0, "FIXED"
    ),
    "scripts/difffuzz replay FILE --left native:legacy --right native:tdp": Row(
        "replay FILE --left native:BUILD:legacy --right native:BUILD:tdp", 0, "same"
    ),
    "scripts/difffuzz explain FILE": Row(instead="tests/native/test_guest_tables.py"),
    "scripts/difffuzz fuzz --mode guests --left native:legacy --right native:tdp --time 600": Row(
        "fuzz --mode guests --left native:BUILD:legacy --right native:BUILD:tdp "
        "--runs 3 --seed 2 --out OUT",
        0,
        "3 executions",
    ),
    "scripts/difffuzz explain FILE --html it.html": Row("explain FILE --html it.html", 0, "same"),
    "scripts/difffuzz explain FILE --trace it.pftrace": Row(
        "explain FILE --trace it.pftrace", 0, "same"
    ),
    "scripts/difffuzz smoke --junit out/smoke.xml --sarif out/smoke.sarif": Row(
        "smoke --runs 15 --out OUT --junit out/smoke.xml --sarif out/smoke.sarif", 0, "nothing was"
    ),
    "scripts/difffuzz smoke --runs 500 --time 120": Row(instead="tests/commands/test_smoke.py"),
    "scripts/difffuzz smoke --baseline known.toml": Row(instead="tests/commands/test_smoke.py"),
    "scripts/difffuzz replay crash-FILE --bytes": Row("replay FILE --bytes", 0, "same"),
    "scripts/look": Row(instead="it takes a browser; its pages and traces: tests/report"),
    "scripts/coverage [SECONDS] [SEED]": Row(instead="tests/measure"),
}
PROGRAM = """\
difffuzz program v1
slot 0 gfn=0x0 pages=0x8 area=1 page=0x0
vcpu0: write gfn=0x1
"""
HOURS = re.compile(r"scripts/bench")
"""Benchmarks: tests/hunts and tests/measure run them for an instant."""


def shown() -> list[str]:
    return sorted({line for path in DOCUMENTS for line in SHOWN.findall(path.read_text())})


def test_every_command_shown_is_run() -> None:
    assert {line for line in shown() if not HOURS.match(line)} == set(ROWS)


def test_scripts_that_documents_name_are_there() -> None:
    for line in shown():
        assert (ROOT / line.split()[0]).is_file(), line


def programs_of(path: Path) -> list[str]:
    """The programs that a document shows."""
    text = path.read_text()
    starts = [match.start() for match in re.finditer("^    difffuzz program v1$", text, re.M)]
    found = []
    for start in starts:
        lines = re.match(r"(?:    .*\n)+", text[start:])
        assert lines is not None
        found.append(re.sub("^    ", "", lines[0], flags=re.M))
    return found


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_program_shown_is_one(path: Path) -> None:
    for text in programs_of(path):
        assert parse(text, path.name).ops


@pytest.mark.parametrize("line", [line for line, row in ROWS.items() if row.run])
def test_a_command_of_the_documents(
    line: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    row = ROWS[line]
    monkeypatch.chdir(tmp_path)
    files = {name: tmp_path / name for name in ("FILE", "RACE", "README")}
    files["FILE"].write_text(PROGRAM)
    files["RACE"].write_text(f"{PROGRAM}host0: dontneed area=1 page=0x1 n=0x1\n")
    files["README"].write_text("Hello,\n\n" + programs_of(ROOT / "README.md")[0] + "\nBye\n")
    files["TUTORIAL"] = tmp_path / "it.difffuzz"
    files["TUTORIAL"].write_text(programs_of(ROOT / "docs/tutorial.md")[0])
    files["TRACE"] = tmp_path / "trace.txt"
    files["TRACE"].write_text(STALE)
    places = {name: str(path) for name, path in files.items()}
    places["OUT"] = str(tmp_path / "out")
    places["PATCH"] = str(ROOT / "difffuzz/variants/refactors/joined-handler.patch")
    words = [places.get(word, word) for word in row.run.split()]
    if "BUILD" in row.run:
        words = [word.replace("BUILD", built()) for word in words]
    assert main(words) == row.status
    said = capsys.readouterr()
    assert row.says in said.out
    assert "Traceback" not in said.out + said.err
