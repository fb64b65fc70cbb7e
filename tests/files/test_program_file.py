# SPDX-License-Identifier: GPL-2.0-only
"""Programs in files, mails and corpora are read; what is none is refused, with what it seems."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from difffuzz.errors import UsageError
from difffuzz.files.collection import program_files
from difffuzz.files.program_file import read_program, read_with_text
from difffuzz.program import ProgramError, encode, parse

TEXT = "difffuzz program v1\nvcpu0: write gfn=0x200\n"
PROGRAM = parse(TEXT)


def test_a_bad_text_names_file_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "bad.difffuzz"
    path.write_text(TEXT + "vcpu0: fly gfn=0x1\n")
    with pytest.raises(ProgramError, match=r"bad\.difffuzz:3:8: expected"):
        read_program(path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("none.difffuzz", None, "none.difffuzz: No such file"),
        ("latin.difffuzz", b"difffuzz program v1\n\xe9", "byte 21: expected UTF-8"),
        ("huge.difffuzz", b"#" * (1 << 21), "longer than"),
    ],
)
def test_unreadable_files(tmp_path: Path, name: str, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message):
        read_program(tmp_path / name)


def test_a_corpus_is_a_directory(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a directory"):
        list(program_files(tmp_path / "none"))


MAILS = {
    "quoted": "Hi,\n\n> difffuzz program v1\n> vcpu0: write gfn=0x200\n\nBye\n",
    "quoted twice": ">> difffuzz program v1\n>>\n>> vcpu0: write gfn=0x200\n> yes\n",
    "indented": "It is this:\n\n    difffuzz program v1\n\n    vcpu0: write gfn=0x200\n\nBye\n",
    "words around": f"Hi,\n\n{TEXT}\nRegards\n-- \nA reader\n",
    "fenced": f"Hi,\n```\n{TEXT}```\nRegards\n",
    "blank lines first": f"\n\n{TEXT}",
    "carriage returns": TEXT.replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + TEXT,
    "old encoding": f"Gr\xfc\xdfe\n\n{TEXT}",
}


@pytest.mark.parametrize("mail", MAILS)
def test_a_mail_with_one_program_is_read_as_that_program(tmp_path: Path, mail: str) -> None:
    path = tmp_path / "mail"
    path.write_bytes(MAILS[mail].encode("latin-1" if mail == "old encoding" else "utf-8"))
    assert read_program(path) == PROGRAM


def test_utf_16_is_read(tmp_path: Path) -> None:
    (tmp_path / "wide").write_text(TEXT, encoding="utf-16")
    assert read_program(tmp_path / "wide") == PROGRAM


WRONG_MAILS = {
    "two programs": (f"{TEXT}\n{TEXT}\n", "difffuzz"),
    "two quoted": (f"Hi\n\n{TEXT}\n> {TEXT}", r":6:1: expected one program, .* at 3, 6"),
    "typo inside": (f"Hi\n\n{TEXT}vcpO: read gfn=0x1\n\nBye\n", r":5:1: expected a thread"),
    "no such word": (f"Hi\n\n{TEXT}slut 0 as=0\n\nBye\n", r":5:1: expected config, area, slot"),
    "commented": (
        "> difffuzz program v1\n> vcpu0: read gfn=0x1\n\nWhy?\n\n> vcpu0: write gfn=0x1\n",
        r":6:1: expected the whole program in one piece",
    ),
    "first line": ("difffuz program v1\nvcpu0: read gfn=0x1\n", r":1:1: expected the line"),
    "another version": ("difffuzz program v9\n", r"does not know v9"),
}


@pytest.mark.parametrize("mail", WRONG_MAILS)
def test_a_program_is_never_read_without_its_rest(tmp_path: Path, mail: str) -> None:
    text, message = WRONG_MAILS[mail]
    (tmp_path / "mail").write_text(text)
    with pytest.raises(ProgramError, match=message):
        read_program(tmp_path / "mail")


FOREIGN = {
    "README.md": (f"# A\n\n    {TEXT}", "a Markdown text"),
    "trace": ("# tracer: nop\n#\n", "an ftrace text"),
    "trace2": (" qemu-83  [002] .....  1404.3: kvm_page_fault: vcpu 1\n", "an ftrace text"),
    "log": ("[  1.0] ------------[ cut here ]------------\n", "a kernel's log"),
    "change": ("--- a/x.c\n+++ b/x.c\n@@ -1 +1 @@\n", "a patch"),
    "test.c": ('#include "kvm_util.h"\n', "a C file"),
    "repro": ("r0 = openat$kvm(0x0)\n", "a syzkaller program"),
    "mail": ("From: a@example.org\nSubject: kvm\n\nHi\n", "a mail"),
    "empty": ("", "empty"),
    "blank": ("\n \n", "blank"),
    "nul": ("a\0b", "a binary file"),
    "words": ("Dear reader,\n", "some other text"),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_what_is_no_program_is_refused_with_what_it_seems_to_be(tmp_path: Path, name: str) -> None:
    text, what = FOREIGN[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(UsageError, match=f"{name}: no program: it is {what}"):
        read_program(tmp_path / name)


def test_bytes_are_read_where_a_fuzzer_wrote_them_or_the_user_says_so(tmp_path: Path) -> None:
    data = encode(PROGRAM)
    named, other = tmp_path / hashlib.sha1(data).hexdigest(), tmp_path / "other"
    for path in (named, other):
        path.write_bytes(data)
    assert read_with_text(named) == (PROGRAM, "")
    assert read_with_text(other, as_bytes=True) == (PROGRAM, "")
    with pytest.raises(UsageError, match="no program"):
        read_program(other)
