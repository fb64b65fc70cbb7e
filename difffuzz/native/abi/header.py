# SPDX-License-Identifier: GPL-2.0-only
"""Writes the C headers from the description.

native_abi.h is for all of the library's C; native_machine.h for harness/native/machine, whose names
would clash with the kernel's.  The compiler checks that it lays structures out as ctypes does.
"""

from __future__ import annotations

import ctypes
import hashlib
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Final, NamedTuple

from difffuzz.machine import pageformat
from difffuzz.program import Kind
from difffuzz.program.model import AREA_KINDS

from . import calls, played, programs, view
from .calls import EXPORTS, FUNCTIONS, Export, Litmus, LockEvent, PageState, Point, Request, Wait
from .describe import CStruct, Member, PointsTo, Views, members
from .limits import BOTH, MACHINE, MACHINE_BITS, MACHINE_GUEST, MACHINE_LISTS
from .played import Result

ABI_HEADER: Final = "native_abi.h"
MACHINE_HEADER: Final = "native_machine.h"

STRUCTS: Final[tuple[type[CStruct], ...]] = (
    calls.Control,
    calls.Instruction,
    calls.FaultRets,
    view.VmNumbers,
    view.Masks,
    view.VcpuStat,
    view.VcpuNumbers,
    view.SpNumbers,
    view.Memslot,
    view.DirtyBitmap,
    view.Counts,
    view.Leaks,
    view.PageMemory,
    view.HostTables,
    view.Change,
    programs.VmConfig,
)
MACHINE_STRUCTS: Final[tuple[type[CStruct], ...]] = (
    programs.PlayConfig,
    programs.PlaySlot,
    programs.PlayOp,
    programs.Switch,
    programs.VariantsAsked,
    programs.WalksAsked,
    played.PlayedOutcome,
    played.PlayedLeaf,
    played.PlayedChoice,
    played.PlayedRun,
)


class Enum(NamedTuple):
    """An enumeration of C: its tag, and its members with their values."""

    tag: str
    values: dict[str, int]


def _enum(tag: str, prefix: str, of: type[IntEnum]) -> Enum:
    return Enum(tag, {prefix + one.name: one.value for one in of})


ENUMS: Final = (
    Enum("native_function", {f"FN_{name.upper()}": n for n, name in enumerate(FUNCTIONS)}),
    _enum("native_request", "HOST_", Request),
    _enum("native_point_kind", "POINT_", Point),
    _enum("native_litmus", "LITMUS_", Litmus),
    _enum("native_lock_event", "", LockEvent),
    _enum("native_wait", "WAIT_", Wait),
    _enum("page_state", "PAGE_", PageState),
)
MACHINE_ENUMS: Final = (
    _enum("kind", "OP_", Kind),
    _enum("result", "RESULT_", Result),
    Enum("hm_area_kind", {f"AREA_{kind.upper()}": n for n, kind in enumerate(AREA_KINDS)}),
    Enum(
        "gm_access",
        {"GM_READ": pageformat.READ, "GM_WRITE": pageformat.WRITE, "GM_EXEC": pageformat.EXEC},
    ),
)

_C_TYPES: Final[dict[object, str]] = {
    ctypes.c_long: "long",
    ctypes.c_ulong: "unsigned long",
    ctypes.c_bool: "_Bool",
    ctypes.c_char_p: "char *",
}


def headers() -> dict[str, str]:
    """The headers, by name."""
    stated = f"#define NATIVE_ABI {number():#x}L\n"
    return {
        ABI_HEADER: _guarded(ABI_HEADER, f"{stated}\n{_abi()}"),
        MACHINE_HEADER: _guarded(MACHINE_HEADER, _machine()),
    }


def number() -> int:
    """Of this description; a library that was built from another one says another number."""
    text = (_abi() + _machine()).encode()
    return int.from_bytes(hashlib.blake2b(text, digest_size=7).digest(), "little")


def _abi() -> str:
    parts = [
        _constants(BOTH),
        *map(_enumeration, ENUMS),
        *map(_structure, STRUCTS),
        "struct config;\nstruct native_played;\nstruct native_variants;\nstruct native_walks;\n",
        "typedef long (*native_host_fn)(long what, long a, long b, long c);\n",
        "typedef long (*native_api_fn)(long, long, long, long, long, long);\n",
        "typedef long (*native_look_fn)(long, long, long);\n",
        '#define NATIVE_EXPORT __attribute__((visibility("default"), used))\n',
        "".join(map(_prototype, EXPORTS)),
        _functions(),
    ]
    return "\n".join(parts)


def _machine() -> str:
    parts = [
        _constants(MACHINE),
        _constants(MACHINE_BITS, "UL"),
        _constants(MACHINE_GUEST, "UL"),
        _lists(MACHINE_LISTS),
        *map(_enumeration, MACHINE_ENUMS),
        *map(_structure, MACHINE_STRUCTS),
    ]
    return "\n".join(parts)


def _guarded(name: str, text: str) -> str:
    guard = f"WRITTEN_{name.upper()}".replace(".", "_")
    return (
        "/* SPDX-License-Identifier: GPL-2.0-only */\n"
        "/* Written by `difffuzz native build` from difffuzz/native/abi. */\n"
        f"#ifndef {guard}\n#define {guard}\n\n{text}\n#endif\n"
    )


def _constants(values: Mapping[str, int], suffix: str = "") -> str:
    lines = (f"#define {name} {_literal(value, suffix)}\n" for name, value in values.items())
    return "".join(lines)


def _lists(rows: Mapping[str, tuple[int, ...]]) -> str:
    """Initialisers of arrays of unsigned long."""
    lines = (
        f"#define {name} {{ {', '.join(_literal(value, 'UL') for value in row)} }}\n"
        for name, row in rows.items()
    )
    return "".join(lines)


def _literal(value: int, suffix: str) -> str:
    """Of type int if it is small, unless `suffix` says otherwise."""
    if value < 0:
        return f"(-{-value:#x}L)"
    return f"{value:#x}UL" if value >= 1 << 12 else f"{value}{suffix}"


def _enumeration(one: Enum) -> str:
    lines = [f"\t{name} = {value},\n" for name, value in one.values.items()]
    return f"enum {one.tag} {{\n{''.join(lines)}}};\n"


def _structure(cls: type[CStruct]) -> str:
    found = members(cls)
    lines = [f"\t{_declaration(member)};\n" for member in found]
    tag = f"struct {cls.c_name}"
    checks = [f'_Static_assert(sizeof({tag}) == {ctypes.sizeof(cls)}, "{tag}");\n']
    for member in found:
        offset = getattr(cls, member.name).offset
        place = f"__builtin_offsetof({tag}, {member.name})"
        checks.append(f'_Static_assert({place} == {offset}, "{tag}: {member.name}");\n')
    return f"{tag} {{\n{''.join(lines)}}};\n{''.join(checks)}"


def _declaration(member: Member) -> str:
    name, note = member.name, member.note
    if isinstance(note, PointsTo):
        return f"{note.c_type} *{name}"
    if issubclass(member.c_type, ctypes.Array):
        plain = f"{_C_TYPES[member.c_type._type_]} {name}[{member.c_type._length_}]"
        return _union(plain, note) if isinstance(note, Views) else plain
    if issubclass(member.c_type, CStruct):
        return f"struct {member.c_type.c_name} {name}"
    of = _C_TYPES[member.c_type]
    return f"{of}{name}" if of.endswith("*") else f"{of} {name}"


def _union(plain: str, views: Views) -> str:
    lines = [f"\t\t{plain};\n"]
    for one in views.of:
        lines.append(f"\t\tstruct {{ long {', '.join(one.longs)}; }} {', '.join(one.names)};\n")
    return f"union {{\n{''.join(lines)}\t}}"


def _prototype(one: Export) -> str:
    space = "" if one.returns.endswith("*") else " "
    return f"extern NATIVE_EXPORT {one.returns}{space}native_{one.name}({one.args or 'void'});\n"


def _functions() -> str:
    """NATIVE_FUNCTIONS(F) is F(FN_NAME, name) for each; NATIVE_ARGS_name what it is called with."""
    lines = [f"\tF(FN_{name.upper()}, {name})" for name in FUNCTIONS]
    text = "#define NATIVE_FUNCTIONS(F) \\\n" + " \\\n".join(lines) + "\n"
    for name, args in FUNCTIONS.items():
        text += f"#define NATIVE_ARGS_{name} {_args(args)}\n"
    return text


def _args(names: Iterable[str]) -> str:
    given = list(names)
    given += [f"unused{n}" for n in range(len(given), calls.CALL_ARGS)]
    return ", ".join(f"long {name}" for name in given)
