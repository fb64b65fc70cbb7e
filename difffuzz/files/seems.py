# SPDX-License-Identifier: GPL-2.0-only
"""What a file that is no program seems to be, for the one line that refuses it."""

from __future__ import annotations

import re

_MAGIC = (
    (b"\x7fELF", "an ELF file"),
    (b"\x1f\x8b", "a gzip file"),
    (b"\xfd7zXZ", "an xz file"),
    (b"PK\x03\x04", "a zip file"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"SQLite format 3", "an SQLite database"),
)
_TEXTS = (
    (re.compile(r"^# tracer:|^\s*\S+-\d+\s+\[\d{3}\]\s", re.M), "an ftrace text"),
    (
        re.compile(r"-+\[ cut here \]-+|^\s*(?:\[[ .\d]+\] )?Call Trace:|\bOops: |\bBUG: ", re.M),
        "a kernel's log of an oops or a warning",
    ),
    (re.compile(r"^(?:diff --git |--- \S+\n\+\+\+ \S)", re.M), "a patch"),
    (re.compile(r"^\s*#\s*include\s*[<\"]|^int main\(", re.M), "a C file"),
    (re.compile(r"^r\d+ = \w+\$|^\w+\$\w+\(", re.M), "a syzkaller program"),
    (re.compile(r"^(?:From |From:|Subject:|Message-I[Dd]:) ?\S", re.M), "a mail"),
    (re.compile(r"\A#!"), "a script"),
    (re.compile(r"\A\s*(?:<!doctype html|<html|<\?xml)", re.I), "an HTML or XML file"),
    (re.compile(r"\A\s*[{\[]\s*[\"{\[\]}]"), "a JSON file"),
    (re.compile(r"^(?:from [\w.]+ )?import \w+|^def \w+\(", re.M), "a Python file"),
    (re.compile(r"^\[\[?[\w.\"-]+\]\]?\s*$", re.M), "a TOML or INI file"),
    (re.compile(r"^#{1,6} \S", re.M), "a Markdown text"),
)


def seems_to_be(data: bytes, name: str = "") -> str:
    """A few words, with their article."""
    if not data:
        return "empty"
    for magic, what in _MAGIC:
        if data.startswith(magic):
            return what
    if b"\0" in data:
        return "a binary file"
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return "a binary file, or a text that is not in UTF-8"
    if name.endswith(".md"):
        return "a Markdown text"
    if not text.strip():
        return "blank"
    for pattern, what in _TEXTS:
        if pattern.search(text):
            return what
    return "some other text"
