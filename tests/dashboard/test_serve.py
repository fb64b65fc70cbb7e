# SPDX-License-Identifier: GPL-2.0-only
"""`difffuzz serve` as a process: how it begins, what it logs, how it ends."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from difffuzz.cli import main
from difffuzz.dashboard.metrics import METRICS

from .conftest import fill

DOCUMENT = Path(__file__).parents[2] / "docs/dashboard.md"
TOKEN = "correct-horse-battery-staple"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fill(tmp_path_factory.mktemp("serve") / "weeks")


@contextmanager
def serving(*words: str | Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A dashboard; its address."""
    command = [sys.executable, "-m", "difffuzz", "serve", "--port", "0", *map(str, words)]
    pipe = subprocess.PIPE
    process = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip(), process
    finally:
        process.kill()
        process.communicate()


def ended(process: subprocess.Popen[str], number: signal.Signals) -> tuple[int, str, str]:
    process.send_signal(number)
    said, errors = process.communicate(timeout=30)
    return process.returncode, said, errors


def ask(address: str, path: str = "/", token: str = "") -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        with urlopen(Request(address.rstrip("/") + path, headers=headers), timeout=30) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serves_until_it_is_told_to_end(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    other = fill(tmp_path / "other")
    with serving(folder, other) as (address, process):
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/", address)
        status, text = ask(address)
        assert status == 200
        assert "weeks" in text
        assert "other" in text
        with urlopen(f"{address}live", timeout=30) as stream:  # a stream is no reason to stay
            assert stream.readline() == b"retry: 5000\n"
            status, said, errors = ended(process, number)
    assert (status, said, errors) == (0, "", "Ctrl-C ends it.\n")


def test_another_address_needs_the_token_which_is_printed_once(folder: Path) -> None:
    with serving(folder, "--host", "0.0.0.0") as (address, process):
        address = address.replace("0.0.0.0", "127.0.0.1")
        assert process.stderr is not None
        token = process.stderr.readline().removeprefix("token: ").strip()
        assert len(token) >= 43
        assert ask(address)[0] == 401
        assert ask(address, f"/?token={token}")[0] == 401
        assert ask(address, token=token)[0] == 200
        _, said, errors = ended(process, signal.SIGTERM)
    assert token not in said + errors


def test_a_token_of_a_file(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    with serving(folder, "--token-file", path) as (address, process):
        assert ask(address)[0] == 401
        assert ask(address, token=TOKEN)[0] == 200
        assert TOKEN not in "".join(ended(process, signal.SIGTERM)[1:])


def test_a_killed_dashboard_leaves_nothing(folder: Path) -> None:
    def names() -> list[str]:
        return sorted(str(path) for path in folder.rglob("*"))

    before = names()
    with serving(folder) as (address, process):
        assert ask(address, "/c/0")[0] == 200
        assert ended(process, signal.SIGKILL)[0] == -signal.SIGKILL
    assert names() == before
    with serving(folder) as (address, _):
        assert ask(address, "/c/0")[0] == 200


def test_what_cannot_be_served(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "token").write_text("short")
    (tmp_path / "empty").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for words, status, says in (
            ([str(tmp_path / "nothing")], 2, "no such folder"),
            ([str(tmp_path / "empty")], 2, "no campaign: 'difffuzz campaign init"),
            ([str(folder), f"{folder}/."], 2, "is named twice"),
            ([str(folder), "--port", port], 3, f"127.0.0.1:{port}: Address already in use"),
            ([str(folder), "--host", "192.0.2.1", "--token-file", str(tmp_path / "token")], 2,
             "expected a token"),
            ([str(folder), "--host", "192.0.2.1", "--port", "0"], 2, "no address of this machine"),
            ([str(folder), "--host", "x" * 300, "--port", "0"], 2, "is no name"),
            ([str(folder), "--port", "70000"], 2, "--port"),
            ([], 2, "DIR..."),
        ):  # fmt: skip
            assert main(["serve", *words]) == status, words
            said = capsys.readouterr()
            assert said.out == ""
            assert said.err.count("\n") == 1
            assert says in said.err


def test_metrics_are_those_that_are_documented(folder: Path) -> None:
    with serving(folder) as (address, _):
        text = ask(address, "/metrics")[1]
    told = set(re.findall(r"^# TYPE (\S+) (\w+)$", text, re.MULTILINE))
    assert told == {(name, kind) for name, kind, _, _ in METRICS}
    document = DOCUMENT.read_text()
    for name, kind, said, labels in METRICS:
        more = ", ".join(f"`{one}`" for one in labels) or "-"
        assert f"| `{name}` | {kind} | {more} | {said} |" in document
        assert re.search(rf"^{name}{{campaign=\"weeks\"", text, re.MULTILINE)
    assert 'difffuzz_executions_total{campaign="weeks",lane="lockstep"} 2000.0' in text
    assert 'difffuzz_findings{campaign="weeks",state="embargoed"} 1.0' in text
    assert 'difffuzz_inputs_total{campaign="weeks",kind="operator",name="splice"} 20.0' in text
