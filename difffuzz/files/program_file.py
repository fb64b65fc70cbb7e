# SPDX-License-Identifier: GPL-2.0-only
"""Reads a program from a file, a mail or standard input, and refuses what is none.

The text form is what people write and mail.  The bytes form has no mark: every byte string is one,
a README as well.  So it is read where a fuzzer wrote it (a file that is named by the digest of its
content, as libFuzzer names them), or where the user says that it is one.
"""

from __future__ import annotations

import codecs
import difflib
import hashlib
import re
from pathlib import Path

from ..errors import UsageError
from ..program import Program, decode, parse
from ..program.limits import MAX_BYTES, MAX_TEXT
from ..program.text_lex import ProgramError
from ..program.text_render import HEADER
from .mailed import mailed_program
from .read import read_file
from .seems import seems_to_be

LIMIT = 4 * MAX_TEXT
"""Bytes of the longest file that may hold a program."""
_CLOSE = 0.75
"""How alike a first line and a program's are, at least, if it is meant to be one."""
_VERSION = re.compile(r"difffuzz[ \t]+program[ \t]+(v\d+)\b")


def read_program(path: Path) -> Program:
    """The program in a file.  UsageError, ProgramError as read_with_text()."""
    return read_with_text(path)[0]


def read_with_text(path: Path, *, as_bytes: bool = False) -> tuple[Program, str]:
    """The program in a file, and its text ("" if it came as bytes).

    `as_bytes`: the file is in the bytes form, whatever it looks like.  UsageError if the file
    cannot be read or holds no program; ProgramError (file, line, column) if it is a text that is
    wrong in one place.
    """
    data = read_file(path, LIMIT)
    if as_bytes or _is_corpus_entry(path, data):
        return decode(data[:MAX_BYTES]), ""
    text = program_text(data, str(path))
    return parse(text, str(path)), text


def program_text(data: bytes, name: str) -> str:
    """The text form in a file's content.  UsageError, ProgramError as read_with_text()."""
    text = None if name.endswith(".md") else _decoded(data, name)
    if text is not None:
        lines = text.split("\n")
        number = next((at for at, line in enumerate(lines) if line.strip()), 0)
        first = lines[number]
        if first.split() == HEADER.split():
            return text
        found = mailed_program(text, name)
        if found is not None:
            return found
        _refuse_typo(first, number + 1, name)
    raise UsageError(f"{name}: no program: it is {seems_to_be(data, name)}; {_advice(name)}")


def _advice(name: str) -> str:
    if name.endswith(".md"):
        return "a program that it shows goes into a file of its own"
    return f"a program begins with {HEADER!r} (in the bytes form: --bytes)"


def _is_corpus_entry(path: Path, data: bytes) -> bool:
    """True for a file in a fuzzer's own corpus."""
    return path.name == hashlib.sha1(data, usedforsecurity=False).hexdigest()


def _decoded(data: bytes, name: str) -> str | None:
    """The text without byte order mark and carriage returns at the ends of lines."""
    encoding = "utf-8-sig"
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encoding = "utf-16"
    try:
        return data.decode(encoding).replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        if data.startswith(HEADER.encode()):
            raise UsageError(f"{name}: byte {error.start + 1}: expected UTF-8 text") from error
    # A mail in an old encoding: the program in it is ASCII.
    return data.decode("latin-1").replace("\r\n", "\n") if HEADER.encode() in data else None


def _refuse_typo(first: str, line: int, name: str) -> None:
    """A file that is meant to be a program, but does not begin as one."""
    version = _VERSION.match(first)
    if version:
        expected = f"the line {HEADER!r}: this difffuzz does not know {version[1]}"
        raise ProgramError(name, line, 1, expected, first.strip())
    if difflib.SequenceMatcher(None, first.strip().lower(), HEADER).ratio() >= _CLOSE:
        raise ProgramError(name, line, 1, f"the line {HEADER!r}", first.strip())
