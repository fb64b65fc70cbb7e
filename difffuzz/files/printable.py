# SPDX-License-Identifier: GPL-2.0-only
"""Text of files and their names, made safe to print: nothing in it steers a terminal.

Control characters, invisible ones that turn or hide text, and bytes of a file name that are no
UTF-8 are shown as escapes.  Line feeds and tabs stay.
"""

from __future__ import annotations

import re

import msgspec

_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff]"
)


def printable(text: str) -> str:
    """The text with escapes as Python spells them."""
    return _STEERING.sub(_escape, text)


def json_text(document: object) -> str:
    """The document as JSON, indented, with escapes as JSON spells them.

    Bytes of file names that are no UTF-8 have no place in JSON: they are shown as escapes, too.
    """
    encoded = msgspec.json.encode(_decodable(msgspec.to_builtins(document)))
    return json_escaped(msgspec.json.format(encoded).decode())


def json_escaped(text: str) -> str:
    """JSON with escapes as JSON spells them."""
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte, as os.fsdecode() keeps it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def _decodable(value: object) -> object:
    if isinstance(value, str):
        return value if value.isascii() else re.sub("[\ud800-\udfff]", _escape, value)
    if isinstance(value, dict):
        return {_decodable(key): _decodable(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_decodable(one) for one in value]
    return value
