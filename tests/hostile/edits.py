# SPDX-License-Identifier: GPL-2.0-only
"""Edits of a text that keep most of its structure: whole lines, words, numbers, names, ends."""

from __future__ import annotations

import re
from collections.abc import Callable

_WORD = re.compile(rb"0x[0-9a-fA-F]+|[A-Za-z_]+|\d+|[^\sA-Za-z_0-9]")
_NUMBER = re.compile(rb"0x[0-9a-fA-F]+|\d+")
MOST = 1 << 18
"""Bytes of the longest text that is edited on."""

WORDS = [
    b"", b"0", b"-1", b"1", b"4", b"0xffffffffffffffff", b"0x10000000000000000", b"9" * 5000,
    b"1e9", b"0x", b"../../secret", b"/etc/passwd", b"//", b"a/../b", b"~", b"tdp+my.patch",
    b"native:/lib:tdp", b"native:../x:legacy", b"tdp@v6.12", b"spec", b"# left: tdp+x.patch",
    b"# right: native:b:tdp", b"\r", b"\x00", b"\x0b", b"\x0c", b"\x85", b"\xe2\x80\xa8",
    b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3\x28", b"\x1b[2J", b"\xe2\x80\xae", b"[" * 3000, b"'''",
    b'"' * 3, b"\\", b"%s%n", b"{0}", b"@@ -1 +1 @@", b"@@ -0,0 +1 @@", b"@@ -999999999,1 +1 @@",
    b"--- a/x", b"+++ /dev/null", b"--- /dev/null", b"new file mode 120000", b"rename from a",
    b"GIT binary patch", b"difffuzz program v1", b"difffuzz program v2", b"[[change]]", b"file",
    b"slot", b"vcpu0:", b"host1:", b"config", b"schedule", b"import os", b"1c", b"!touch ran",
]  # fmt: skip
"""What stands in a text where it should not."""

Edit = Callable[[bytes, int, bytes], bytes]


def _lines(data: bytes, at: int) -> tuple[list[bytes], int]:
    lines = data.split(b"\n")
    return lines, at % len(lines)


def drop_line(data: bytes, at: int, word: bytes) -> bytes:
    """A line less."""
    lines, place = _lines(data, at)
    return b"\n".join(lines[:place] + lines[place + 1 :])


def repeat_line(data: bytes, at: int, word: bytes) -> bytes:
    """A line again, up to many times."""
    lines, place = _lines(data, at)
    times = (1, 2, 40, 3000)[at // len(lines) % 4]
    return b"\n".join(lines[:place] + [lines[place]] * times + lines[place:])


def swap_lines(data: bytes, at: int, word: bytes) -> bytes:
    """Two lines change places."""
    lines, place = _lines(data, at)
    other = at // len(lines) % len(lines)
    lines[place], lines[other] = lines[other], lines[place]
    return b"\n".join(lines)


def insert_line(data: bytes, at: int, word: bytes) -> bytes:
    """A line more."""
    lines, place = _lines(data, at)
    return b"\n".join([*lines[:place], word, *lines[place:]])


def replace_word(data: bytes, at: int, word: bytes) -> bytes:
    """Another word."""
    return _replaced(data, _WORD, at, word)


def replace_number(data: bytes, at: int, word: bytes) -> bytes:
    """Another number, or none."""
    near = (b"0", b"1", b"3", b"255", b"4095", b"0x7fffffff", b"0xfffffffffffff", word)
    return _replaced(data, _NUMBER, at, near[at % len(near)])


def repeat_word(data: bytes, at: int, word: bytes) -> bytes:
    """A word many times."""
    found = list(_WORD.finditer(data[:MOST]))
    if not found:
        return data
    match = found[at % len(found)]
    return data[: match.end()] + match[0] * (2, 17, 3000)[at % 3] + data[match.end() :]


def insert_bytes(data: bytes, at: int, word: bytes) -> bytes:
    """Bytes anywhere."""
    place = at % (len(data) + 1)
    return data[:place] + word + data[place:]


def flip_bit(data: bytes, at: int, word: bytes) -> bytes:
    """One bit."""
    if not data:
        return data
    place = at % len(data)
    return data[:place] + bytes([data[place] ^ 1 << at // len(data) % 8]) + data[place + 1 :]


def cut_off(data: bytes, at: int, word: bytes) -> bytes:
    """The end is missing."""
    return data[: at % (len(data) + 1)]


def other_ends(data: bytes, at: int, word: bytes) -> bytes:
    """Lines that end, or begin, otherwise: as a mail has them."""
    ends = (b"\r\n", b"\r", b"\n> ", b"\n    ", b"\x0b", b"\n\n", b"\xe2\x80\xa8")
    return data.replace(b"\n", ends[at % len(ends)])


def _replaced(data: bytes, pattern: re.Pattern[bytes], at: int, word: bytes) -> bytes:
    found = list(pattern.finditer(data[:MOST]))
    if not found:
        return data + word
    first, last = found[at % len(found)].span()
    return data[:first] + word + data[last:]


EDITS: list[Edit] = [
    drop_line,
    repeat_line,
    swap_lines,
    insert_line,
    replace_word,
    replace_number,
    repeat_word,
    insert_bytes,
    flip_bit,
    cut_off,
    other_ends,
]
