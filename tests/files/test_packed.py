# SPDX-License-Identifier: GPL-2.0-only
"""Programs in one file and back; an archive of somebody else's is data."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path
from random import Random

import pytest

from difffuzz.errors import UsageError
from difffuzz.files.packed import name_of, pack, unpack
from difffuzz.program import ProgramError, generate, parse, render

PROGRAMS = [generate(Random(seed), concurrent=seed % 2 == 0) for seed in range(20)]


def archive(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as made:
        for member, data in members:
            member.size = len(data)
            made.addfile(member, io.BytesIO(data))
    return out.getvalue()


def test_what_is_packed_comes_out(tmp_path: Path) -> None:
    path = tmp_path / "corpus.tar.gz"
    path.write_bytes(pack([*PROGRAMS, PROGRAMS[0]]))
    found = [parse(text, "packed") for text in unpack(path)]
    assert sorted(map(render, found)) == sorted({render(one) for one in PROGRAMS})


def test_the_same_programs_are_the_same_bytes() -> None:
    assert pack(PROGRAMS) == pack(reversed(PROGRAMS))
    assert len({name_of(program) for program in PROGRAMS}) == len(PROGRAMS)


def link() -> tarfile.TarInfo:
    member = tarfile.TarInfo("a.difffuzz")
    member.type = tarfile.SYMTYPE
    member.linkname = "/etc/passwd"
    return member


WRONG = {
    "no archive": b"what is this",
    "nothing": b"",
    "cut off": pack(PROGRAMS)[:200],
    "a link": archive((link(), b"")),
    "no program": archive((tarfile.TarInfo("../../x"), b"what is this")),
    "much of nothing": archive((tarfile.TarInfo("a"), bytes(8 << 20))),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_no_archive_of_programs_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / "corpus.tar.gz"
    path.write_bytes(WRONG[what])
    with pytest.raises((UsageError, ProgramError)) as caught:
        list(unpack(path))
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
