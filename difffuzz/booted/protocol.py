# SPDX-License-Identifier: GPL-2.0-only
"""What host and agent tell each other: frames, and the structures in them.

One description for both: ctypes reads these classes, `header()` writes the agent's protocol.h.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Final

from difffuzz.program import Kind
from difffuzz.program.limits import AREA_PAGES, MAX_SLOTS, MAX_VCPUS, N_AREAS

FRAME_MAGIC: Final = 0x315A4644
FRAME_VERSION: Final = 3
MAX_FRAME: Final = 64 << 20
"""Bytes of a payload."""

FRAMES: Final = ("READY", "LOAD", "BEGIN", "OPS", "END", "EXECUTE", "PARAM", "OFF", "ERROR")
READY, LOAD, BEGIN, OPS_FRAME, END, EXECUTE, PARAM, OFF, ERROR = range(1, len(FRAMES) + 1)
"""Kinds of frames: an answer has the kind of its question, or is ERROR with one line."""

AREAS: Final = ("4k", "thp", "hugetlb2m", "shared")
"""Kinds of host memory that a booted kernel is given."""
RESULTS: Final = ("done", "ok", "mmio", "sigbus", "error", "stuck", "nothing", "skipped")
"""What an operation came to; as sides/base.py calls it."""
STATS: Final = (
    "pages_4k",
    "pages_2m",
    "pages_1g",
    "nx_lpage_splits",
    "mmu_shadow_zapped",
    "remote_tlb_flush_requests",
    "pf_taken",
    "pf_fixed",
    "pf_emulate",
    "pf_spurious",
    "pf_fast",
    "pf_mmio_spte_created",
)
"""Statistics of the VM, and of the vCPU that ran the operation."""
CODE_SLOT: Final = 100
"""The memslot of the guest's own code."""
MAX_VMS: Final = 2
"""Of a program."""
STEP_SECONDS: Final = 10
"""A guest's access that takes longer is stuck."""

_U32 = ctypes.c_uint32
_U64 = ctypes.c_uint64


class FrameHead(ctypes.LittleEndianStructure):
    """Before each payload; `crc` is of the head with crc 0 and of the payload."""

    _fields_ = (
        ("magic", _U32),
        ("version", ctypes.c_uint16),
        ("kind", ctypes.c_uint16),
        ("sequence", _U32),
        ("length", _U32),
        ("crc", _U32),
    )


class ConfigSlot(ctypes.LittleEndianStructure):
    """A memslot that is there at the start."""

    _fields_ = (
        ("slot", _U32),
        ("as", _U32),
        ("flags", _U32),
        ("area", _U32),
        ("gfn", _U64),
        ("pages", _U64),
        ("page", _U64),
    )


class VmConfig(ctypes.LittleEndianStructure):
    """BEGIN: the VM of a program; `together`: two, with the legacy MMU and with the TDP MMU."""

    _fields_ = (
        ("tdp_mmu", _U32),
        ("tdp_by_load", _U32),
        ("vcpus", _U32),
        ("nx", _U32),
        ("eager_split", _U32),
        ("manual_protect", _U32),
        ("init_set", _U32),
        ("slot_zap_all", _U32),
        ("mmu_pages", _U32),
        ("smm", _U32),
        ("nr_slots", _U32),
        ("together", _U32),
        ("areas", _U32 * N_AREAS),
        ("code_gfn", _U64),
        ("slots", ConfigSlot * MAX_SLOTS),
    )


class Operation(ctypes.LittleEndianStructure):
    """OPS is an array of these; args as in the program language."""

    _fields_ = (
        ("number", ctypes.c_int32),
        ("kind", ctypes.c_uint16),
        ("thread", ctypes.c_uint16),
        ("tag", ctypes.c_uint16),
        ("host", ctypes.c_uint8),
        ("skip", ctypes.c_uint8),
        ("unused", _U32),
        ("args", _U64 * 8),
    )


class Observation(ctypes.LittleEndianStructure):
    """What one operation showed, of one VM after the other.

    `words` pairs of 64 bits and `note` bytes of text follow.
    """

    _fields_ = (
        ("result", _U32),
        ("ret", ctypes.c_int32),
        ("value", _U32),
        ("exit", _U32),
        ("words", _U32),
        ("note", _U32),
        ("parked", _U32),
        ("unused", _U32),
        ("stats", _U64 * len(STATS)),
    )


class ExecuteHead(ctypes.LittleEndianStructure):
    """EXECUTE: bytes of `arguments`, each with a 0 behind it, and the file follow."""

    _fields_ = (
        ("seconds", _U32),
        ("arguments", _U32),
    )


_STRUCTS: Final = {
    "execute": ExecuteHead,
    "config_slot": ConfigSlot,
    "config": VmConfig,
    "operation": Operation,
    "observation": Observation,
}
_C_TYPES: Final[dict[object, str]] = {
    ctypes.c_uint8: "uint8_t",
    ctypes.c_uint16: "uint16_t",
    _U32: "uint32_t",
    ctypes.c_int32: "int32_t",
    _U64: "uint64_t",
    ConfigSlot: "struct config_slot",
}


def header() -> str:
    """The text of protocol.h."""
    return "\n".join(_header()) + "\n"


def _header() -> Iterator[str]:
    yield "/* SPDX-License-Identifier: GPL-2.0-only */"
    yield "/* Written from difffuzz/booted/protocol.py. */"
    yield "#ifndef PROTOCOL_H\n#define PROTOCOL_H\n#include <stdint.h>"
    for name, value in (
        ("FRAME_MAGIC", FRAME_MAGIC),
        ("FRAME_VERSION", FRAME_VERSION),
        ("MAX_FRAME", MAX_FRAME),
        ("MAX_VCPUS", MAX_VCPUS),
        ("MAX_SLOTS", MAX_SLOTS),
        ("MAX_VMS", MAX_VMS),
        ("MAX_AREAS", N_AREAS),
        ("AREA_PAGES", AREA_PAGES),
        ("CODE_SLOT", CODE_SLOT),
        ("STEP_SECONDS", STEP_SECONDS),
    ):
        yield f"#define {name} {value:#x}"
    yield f"enum {{ {', '.join(f'FRAME_{name} = {n}' for n, name in enumerate(FRAMES, 1))} }};"
    yield f"enum {{ {', '.join(f'AREA_{name.upper()} = {n}' for n, name in enumerate(AREAS))} }};"
    yield f"enum {{ {', '.join(f'RESULT_{name.upper()}' for name in RESULTS)} }};"
    yield f"enum {{ {', '.join(f'OP_{kind.name} = {kind.value}' for kind in Kind)} }};"
    names = ", ".join(f'"{name}"' for name in STATS)
    yield f"#define STAT_NAMES {names}"
    for name, struct in _STRUCTS.items():
        yield from _struct(name, struct)
    yield "#endif"


def _struct(name: str, struct: type[ctypes.LittleEndianStructure]) -> Iterator[str]:
    yield f"struct {name} {{"
    for field, kind, *_ in struct._fields_:
        if issubclass(kind, ctypes.Array):
            yield f"\t{_C_TYPES[kind._type_]} {field}[{kind._length_}];"
        else:
            yield f"\t{_C_TYPES[kind]} {field};"
    yield "};"
    yield f'_Static_assert(sizeof(struct {name}) == {ctypes.sizeof(struct)}, "{name}");'
