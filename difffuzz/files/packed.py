# SPDX-License-Identifier: GPL-2.0-only
"""Many programs in one file: a tar archive, compressed, the same bytes for the same programs.

Names in an archive of somebody else's are not used: what comes out is named by its content.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ..errors import UsageError
from ..program import Program, encode, render
from .program_file import LIMIT, program_text
from .read import read_file

MAX_PACKED = 256 << 20
MAX_MEMBERS = 1_000_000


def name_of(program: Program) -> str:
    """The name of a program's file: the same for the same program."""
    digest = hashlib.sha1(encode(program), usedforsecurity=False).hexdigest()
    return f"{digest[:16]}.difffuzz"


def pack(programs: Iterable[Program]) -> bytes:
    """The archive of these programs, each once, in the order of their names."""
    texts = {name_of(program): render(program).encode() for program in programs}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, text in sorted(texts.items()):
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
    return gzip.compress(plain.getvalue(), mtime=0)


def unpack(path: Path) -> Iterator[str]:
    """The texts of the programs of an archive.

    UsageError: it is none, is cut off, or has a member that is no program in the text form.
    """
    data = read_file(path, MAX_PACKED)
    try:
        with tarfile.open(fileobj=io.BytesIO(data), mode="r|gz") as archive:
            for number, member in enumerate(archive):
                if number >= MAX_MEMBERS:
                    raise UsageError(f"{path}: more than {MAX_MEMBERS} members")
                where = f"{path}: {member.name}"
                if not member.isreg() or member.size > LIMIT:
                    raise UsageError(f"{where}: no plain file of a program's size")
                file = archive.extractfile(member)
                assert file is not None
                yield program_text(file.read(LIMIT), where)
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise UsageError(f"{path}: no archive of programs: {error}") from error
