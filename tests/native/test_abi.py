# SPDX-License-Identifier: GPL-2.0-only
"""The description of what Python and C tell each other, and the headers written from it."""

from __future__ import annotations

import ctypes
import re
import subprocess
from pathlib import Path
from typing import cast

import pytest

from difffuzz.engine import features
from difffuzz.errors import UsageError
from difffuzz.machine.host import HostMM
from difffuzz.native import library
from difffuzz.native.abi import header, limits
from difffuzz.native.abi.calls import EXPORTS, FN, FUNCTIONS, Request
from difffuzz.native.abi.describe import CStruct, Long, described, members, reader, words
from difffuzz.native.abi.played import Result
from difffuzz.native.abi.view import Change
from difffuzz.native.build import load_build, write_headers
from difffuzz.native.cache import Cache, default_cache
from difffuzz.native.elf import read_symbols
from difffuzz.native.host import WAITS, Host
from difffuzz.program import Kind
from difffuzz.sched import RwLock, Scheduler
from difffuzz.sides.played import RESULTS

from .kernel import ROOT, built
from .needs import needs

HARNESS = ROOT / "harness" / "native"
STRUCTS = (*header.STRUCTS, *header.MACHINE_STRUCTS)
PRINTED = (*header.ENUMS, *header.MACHINE_ENUMS)
CONSTANTS = {**limits.BOTH, **limits.MACHINE, **limits.MACHINE_BITS}
COUNTED = re.compile(r"\b(?:numbers|out|fields|answer|masks|leaks|kvm_slot|where|args)\[\d")


@described
class Pair(CStruct):
    """Two longs."""

    c_name = "pair"
    first: Long
    second: Long


def compile_c(folder: Path, text: str, headers: Path) -> subprocess.CompletedProcess[str]:
    """Compiles a file that includes the headers, and links it if it has a main()."""
    source = folder / "one.c"
    includes = "".join(f'#include "{name}"\n' for name in header.headers())
    source.write_text(f"#include <stdio.h>\n#include <stddef.h>\n{includes}{text}")
    command = ["gcc", "-std=gnu11", "-Wall", "-Wextra", "-Werror", f"-I{headers}", str(source)]
    return subprocess.run(
        [*command, "-o", str(folder / "one")], capture_output=True, text=True, check=False
    )


@needs("gcc")
def test_what_c_reads_is_what_python_described(tmp_path: Path) -> None:
    lines: list[str] = []
    expected: dict[str, int] = {}

    def tell(name: str, c_text: str, value: int) -> None:
        lines.append(f'\tprintf("{name} %lu\\n", (unsigned long)({c_text}));\n')
        expected[name] = value % (1 << 64)

    for cls in STRUCTS:
        tell(f"sizeof:{cls.c_name}", f"sizeof(struct {cls.c_name})", ctypes.sizeof(cls))
        for member in members(cls):
            place = getattr(cls, member.name)
            of = f"((struct {cls.c_name} *)NULL)->{member.name}"
            where = f"offsetof(struct {cls.c_name}, {member.name})"
            tell(f"{cls.c_name}.{member.name}", where, place.offset)
            tell(f"size:{cls.c_name}.{member.name}", f"sizeof({of})", place.size)
    for enum in PRINTED:
        for name, value in enum.values.items():
            tell(name, name, value)
    for name, value in CONSTANTS.items():
        tell(name, name, value)
    main = f"int main(void)\n{{\n{''.join(lines)}\treturn 0;\n}}\n"
    done = compile_c(tmp_path, main, write_headers(Cache(tmp_path / "cache")))
    assert done.returncode == 0, done.stderr
    said = subprocess.run([str(tmp_path / "one")], capture_output=True, text=True, check=True)
    found = dict(line.split() for line in said.stdout.splitlines())
    assert {name: int(value) for name, value in found.items()} == expected


@needs("gcc")
def test_a_layout_that_c_does_not_share_is_no_program(tmp_path: Path) -> None:
    headers = tmp_path / "headers"
    headers.mkdir()
    begins = "struct native_change {\n"
    for name, text in header.headers().items():
        (headers / name).write_text(text.replace(begins, f"{begins}\tlong another;\n"))
    done = compile_c(tmp_path, "int main(void) { return 0; }\n", headers)
    assert 'static assertion failed: "struct native_change"' in done.stderr


def test_another_description_has_other_headers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Cache(tmp_path)
    before, number = write_headers(cache), header.number()
    assert write_headers(cache) == before
    monkeypatch.setitem(limits.BOTH, "MAX_ATTEMPTS", 13)
    assert header.number() != number
    after = write_headers(cache)
    assert after != before
    assert "#define MAX_ATTEMPTS 13\n" in (after / header.ABI_HEADER).read_text()
    assert "#define MAX_ATTEMPTS 12\n" in (before / header.ABI_HEADER).read_text()


def test_a_library_of_another_description_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    path = Path(load_build(default_cache(), built()).library)
    monkeypatch.setattr(library, "abi_number", lambda: header.number() + 1)
    with pytest.raises(UsageError, match="another version of the harness: run 'difffuzz native b"):
        library.Library(path)


def test_the_library_shows_what_is_described() -> None:
    path = Path(load_build(default_cache(), built()).library)
    shown = {name for name in read_symbols(path).defined if not name.startswith("_")}
    assert shown == {f"native_{one.name}" for one in EXPORTS}


def test_every_request_is_answered() -> None:
    sched = Scheduler()

    class NoLibrary:
        ready = None

    host = Host(
        cast("library.Library", NoLibrary()),
        HostMM(sched, ()),
        RwLock(sched, "mmu_lock"),
        [],
        [],
    )
    named = [answer.__name__.strip("_") for answer in host.table]
    assert named == [request.name.lower() for request in Request]
    assert [request.value for request in Request] == list(range(len(Request)))
    assert set(WAITS) == set(type(next(iter(WAITS))))


def test_functions_have_the_number_of_their_place() -> None:
    text = header.headers()[header.ABI_HEADER]
    for name, number in FN.items():
        assert f"\tFN_{name.upper()} = {number},\n" in text
        assert f"F(FN_{name.upper()}, {name})" in text
    defined = re.findall(r"^API_FN\((\w+)\)", (HARNESS / "kernel/api.c").read_text(), re.MULTILINE)
    assert sorted(defined) == sorted(FUNCTIONS)


def test_numbers_that_have_their_place_above() -> None:
    assert {name: number for number, name in enumerate(RESULTS)} == features.RESULTS
    assert [result.value for result in Result] == list(range(len(Result)))
    assert [kind.value for kind in Kind] == list(range(len(Kind)))


def test_words_are_those_that_the_caller_names() -> None:
    assert words(Pair, "first", "second") == 2
    with pytest.raises(TypeError, match=r"struct pair has \('first', 'second'\)"):
        words(Pair, "second", "first")
    with pytest.raises(TypeError, match="native_change"):
        reader(Change, "index", "number", "old", "new")
    one = (Change * 1)(Change(number=3, index=4, old=5, new=(1 << 64) - 1))
    read = reader(Change, "number", "index", "old", "new")
    assert list(read(memoryview(one).cast("B"))) == [(3, 4, 5, (1 << 64) - 1)]


def test_nobody_counts_places() -> None:
    """What the rows of numbers were called is not followed by the number of a place."""
    folders = [HARNESS / name for name in ("kernel", "machine", "user")]
    sources = [ROOT / "difffuzz/sides/played.py", *(ROOT / "difffuzz/native").rglob("*.py")]
    sources += [path for folder in folders for path in folder.glob("*.[ch]")]
    assert len(sources) > 90
    for path in sources:
        if path.name != "migrate.c":  # a row of addresses
            assert not COUNTED.search(path.read_text()), path
