# SPDX-License-Identifier: GPL-2.0-only
"""A native library that is not what was built is refused before it is loaded."""

from __future__ import annotations

import _ctypes
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from difffuzz.cli import main
from difffuzz.native.build import load_build
from difffuzz.native.cache import Cache, default_cache

from ..native.kernel import built

PROGRAM = "difffuzz program v1\nslot 0 gfn=0x0 pages=0x8 area=1\nvcpu0: write gfn=0x1\n"
SIDES = ("--left", "native:broken:legacy", "--right", "native:broken:tdp")
COMMANDS = (
    ("replay", "p", *SIDES),
    ("explain", "p", *SIDES),
    ("fuzz", "--runs", "9", *SIDES),
    ("native", "conform", "p", "--name", "broken", "--runs", "1"),
)
AGAIN = "is not what was built: run 'difffuzz native build --name broken' again"


def cut(size: int) -> Callable[[Path], None]:
    def apply(path: Path) -> None:
        with path.open("r+b") as file:
            file.truncate(size)

    return apply


def turn_a_bit(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))


def take_another(path: Path) -> None:
    """A library, but not one of ours."""
    shutil.copy(_ctypes.__file__, path)


def write_text(path: Path) -> None:
    path.write_text("hello\n" * 99)


BREAKS: dict[str, Callable[[Path], None]] = {
    "empty": cut(0),
    "no header": cut(50),
    "one page": cut(4096),  # the loader would die of SIGBUS
    "cut": cut(1 << 18),
    "text": write_text,
    "another": take_another,
    "a bit": turn_a_bit,
}


@pytest.fixture
def library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Of a build that is good; in a cache of its own."""
    name, cache = built(), default_cache()
    source = cache.build(name)
    own = Cache(tmp_path / "cache").build("broken")
    own.mkdir(parents=True)
    record = (source / "build.json").read_text()
    record = record.replace(str(source), str(own)).replace(f'"name": "{name}"', '"name": "broken"')
    (own / "build.json").write_text(record)
    library = own / Path(load_build(cache, name).library).name
    shutil.copy(source / library.name, library)
    monkeypatch.setenv("DIFFFUZZ_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "p").write_text(PROGRAM)
    return library


def test_a_library_that_is_whole_is_taken(library: Path) -> None:
    assert main(["replay", "p", *SIDES]) == 0


@pytest.mark.parametrize("how", BREAKS)
def test_a_library_that_is_broken_is_refused(
    library: Path, capsys: pytest.CaptureFixture[str], how: str
) -> None:
    BREAKS[how](library)
    for command in COMMANDS:
        assert main(list(command)) == 2
        said = capsys.readouterr()
        assert said.out == ""
        (line,) = said.err.splitlines()
        assert line.startswith("difffuzz: ")
        assert line.endswith(f"{library} {AGAIN}")


def test_a_library_that_the_loader_refuses(
    library: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its record says that it is what was built."""
    library.write_text("hello\n")
    record = library.with_name("build.json")
    known = json.loads(record.read_text())
    known["content"] = hashlib.sha256(library.read_bytes()).hexdigest()
    record.write_text(json.dumps(known))
    assert main(["replay", "p", *SIDES]) == 2
    assert "cannot be loaded: " in capsys.readouterr().err
