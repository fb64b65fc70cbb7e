# SPDX-License-Identifier: GPL-2.0-only
"""Read what an object file or a library defines and what it wants: ELF64, little endian."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple

import msgspec

_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")

SHT_SYMTAB = 2
SHT_RELA = 4
SHN_UNDEF = 0
STB_LOCAL = 0
STB_WEAK = 2
SHF_EXECINSTR = 4

R_X86_64_PC32 = 2
LEA = 0x8D


class Symbols(msgspec.Struct):
    """The symbols of one object."""

    defined: list[str]
    """For other objects to use."""
    local: list[str]
    """Static ones."""
    wanted: list[str]
    """Undefined; weak ones are not among them."""
    read: list[str]
    """Those of `wanted` whose memory the code reads or writes: variables, not functions."""


class _Section(NamedTuple):
    kind: int
    flags: int
    offset: int
    size: int
    link: int
    info: int


def read_symbols(path: Path) -> Symbols:
    """Read an object file. ValueError: it is none."""
    data = path.read_bytes()
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError(f"{path}: no 64-bit ELF object")
    sections = _sections(data)
    table = next((each for each in sections if each.kind == SHT_SYMTAB), None)
    if table is None:
        return Symbols([], [], [], [])
    names: list[str] = []
    defined: list[str] = []
    local: list[str] = []
    wanted: set[str] = set()
    strings = sections[table.link].offset
    for name, info, _, section, _, _ in _SYMBOL.iter_unpack(
        data[table.offset : table.offset + table.size]
    ):
        text = data[strings + name : data.index(b"\0", strings + name)].decode()
        names.append(text)
        binding = info >> 4
        if not text:
            continue
        if section == SHN_UNDEF:
            if binding != STB_WEAK:
                wanted.add(text)
        else:
            (local if binding == STB_LOCAL else defined).append(text)
    read = _read_directly(data, sections, names) & wanted
    return Symbols(defined, local, sorted(wanted), sorted(read))


def _sections(data: bytes) -> list[_Section]:
    (start,) = struct.unpack_from("<Q", data, 40)
    (count,) = struct.unpack_from("<H", data, 60)
    if count == 0:  # More than 65279 sections: the number is in the first one.
        count = _SECTION.unpack_from(data, start)[5]
    found: list[_Section] = []
    for index in range(count):
        _, kind, flags, _, offset, size, link, info, _, _ = _SECTION.unpack_from(
            data, start + index * _SECTION.size
        )
        found.append(_Section(kind, flags, offset, size, link, info))
    return found


def _read_directly(data: bytes, sections: list[_Section], names: list[str]) -> set[str]:
    """Symbols that an instruction other than lea or a call refers to relative to itself."""
    found: set[str] = set()
    for table in sections:
        if table.kind != SHT_RELA or not sections[table.info].flags & SHF_EXECINSTR:
            continue
        code = sections[table.info].offset
        for offset, info, _ in _RELOCATION.iter_unpack(
            data[table.offset : table.offset + table.size]
        ):
            if info & 0xFFFFFFFF == R_X86_64_PC32 and offset >= 2:
                opcode, mode = data[code + offset - 2 : code + offset]
                # Relative to the instruction pointer: mod 00, rm 101. A branch has no such byte.
                if mode & 0xC7 == 0x05 and opcode != LEA:
                    found.add(names[info >> 32])
    return found
