# SPDX-License-Identifier: GPL-2.0-only
"""A fleet without processes, and a campaign's folder: what a supervisor does is up to the test."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from difffuzz.campaign.config import Lane, read_config, write_config
from difffuzz.campaign.supervisor import Supervisor
from difffuzz.campaign.tally import Tally
from difffuzz.files.atomic import write_atomically
from difffuzz.files.notes import text_of
from difffuzz.fuzz.findings import FINDINGS, slug
from difffuzz.fuzz.news import input_name
from difffuzz.program import Program, parse

PROGRAM = parse(
    "difffuzz program v1\nslot 0 as=0 gfn=0x0 pages=0x8 area=1 page=0x0\nvcpu0: write gfn=0x1\n"
)


class FakeFleet:
    """Notes what it is told; `tallies` is what the next poll() answers."""

    def __init__(self, places: Sequence[str] = ("0", "1")) -> None:
        self.assigned: list[tuple[str, str]] = []
        self.paused: list[bool] = []
        self.tallies: list[Tally] = []
        self.stopped = self.killed = False
        self._places = places

    def start(self) -> None:
        pass

    def places(self) -> Sequence[str]:
        return self._places

    def assign(self, place: str, lane: Lane) -> None:
        self.assigned.append((place, lane.name))

    def poll(self) -> list[Tally]:
        tallies, self.tallies = self.tallies, []
        return tallies

    def pause(self, on: bool) -> None:
        self.paused.append(on)

    def stop(self, seconds: float) -> list[Tally]:
        self.stopped = True
        return self.poll()

    def kill(self) -> None:
        self.killed = True


def new_folder(path: Path, **settings: object) -> Path:
    """A campaign's folder without programs to start from; settings as TOML has them."""
    write_config(path)
    (path / "none").mkdir()
    text = (path / "campaign.toml").read_text().replace("corpus = []", 'corpus = ["none"]')
    for name, value in settings.items():
        lines = [
            f"{name} = {value}" if line.startswith(f"{name} = ") else line
            for line in text.split("\n")
        ]
        assert lines != text.split("\n"), name
        text = "\n".join(lines)
    (path / "campaign.toml").write_text(text)
    return path


@contextmanager
def supervised(folder: Path, fleet: FakeFleet, said: list[str]) -> Iterator[Supervisor]:
    """A run that has begun; `said` gets its lines."""
    supervisor = Supervisor(folder, read_config(folder), fleet, said.append)
    try:
        supervisor.start()
        yield supervisor
    finally:
        supervisor.close()


def put_entry(folder: Path, data: bytes) -> str:
    """As libFuzzer would; its name."""
    (folder / "corpus").mkdir(exist_ok=True)
    (folder / "corpus" / input_name(data)).write_bytes(data)
    return input_name(data)


def put_finding(folder: Path, signature: str, program: Program = PROGRAM, **notes: str) -> Path:
    """As a worker would."""
    path = folder / FINDINGS / f"{slug(signature)}.difffuzz"
    every = {"signature": signature, "oracle": signature.partition(":")[0], "left": "legacy"}
    write_atomically(path, text_of(program, {**every, "right": "tdp", **notes}).encode())
    return path
