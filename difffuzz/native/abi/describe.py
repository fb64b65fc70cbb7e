# SPDX-License-Identifier: GPL-2.0-only
"""How a C structure is described: a class with annotated members, read by ctypes and by header.py.

    @described
    class Leaks(CStruct):
        c_name = "native_leaks"
        tdp_roots: Long

The annotations give mypy the Python type of a member, and ctypes and the header its C type.
"""

from __future__ import annotations

import ctypes
import inspect
import struct
from collections.abc import Callable, Iterator
from typing import Annotated, ClassVar, NamedTuple, TypeVar, get_type_hints

Long = Annotated[int, ctypes.c_long]
ULong = Annotated[int, ctypes.c_ulong]
Bool = Annotated[bool, ctypes.c_bool]
Text = Annotated[bytes | None, ctypes.c_char_p]
Longs = ctypes.Array[ctypes.c_long]
"""The Python type of an array of longs; its length is in the annotation."""

LONG_BYTES = ctypes.sizeof(ctypes.c_long)


class PointsTo(NamedTuple):
    """Metadata of a member that is an address: what C finds there, `const struct op`."""

    c_type: str


class View(NamedTuple):
    """Some of the longs of an array, by names."""

    names: tuple[str, ...]
    """What the view is called; several if several have the same longs."""
    longs: tuple[str, ...]


class Views(NamedTuple):
    """Metadata of an array of longs: the structures that C may see in its place."""

    of: tuple[View, ...]


class Member(NamedTuple):
    """A member of a structure as it is described."""

    name: str
    c_type: type
    """A type of ctypes, or a CStruct that lies inside."""
    note: object
    """PointsTo, Views or None."""


class CStruct(ctypes.Structure):
    """A structure that both sides know."""

    c_name: ClassVar[str] = ""
    """Its tag in C."""


S = TypeVar("S", bound=CStruct)


def described(cls: type[S]) -> type[S]:
    """Gives a class the members that its annotations name; those of its base lie before them."""
    cls._fields_ = [(member.name, member.c_type) for member in _own_members(cls)]
    return cls


def _own_members(cls: type[CStruct]) -> list[Member]:
    hints = get_type_hints(cls, include_extras=True)
    found = []
    for name in inspect.get_annotations(cls):
        c_type, *notes = getattr(hints[name], "__metadata__", (hints[name],))
        found.append(Member(name, c_type, notes[0] if notes else None))
    return found


def members(cls: type[CStruct]) -> list[Member]:
    """The members of the class and of its bases, as they lie in memory."""
    lineage = [base for base in reversed(cls.__mro__) if issubclass(base, CStruct)]
    return [member for base in lineage[1:] for member in _own_members(base)]


def words(cls: type[CStruct], *names: str) -> int:
    """How many longs a structure has.  TypeError unless those are its members, in this order.

    For code that handles so many that it takes them as plain longs.
    """
    found = tuple(member.name for member in members(cls))
    if found != names:
        raise TypeError(f"struct {cls.c_name} has {found}, not {names}")
    return ctypes.sizeof(cls) // LONG_BYTES


def place(cls: type[CStruct], name: str) -> int:
    """In which of the longs of a structure that member is."""
    offset: int = getattr(cls, name).offset
    return offset // LONG_BYTES


def reader(cls: type[CStruct], *names: str) -> Callable[[memoryview], Iterator[tuple[int, ...]]]:
    """Reads rows of structures of unsigned longs as tuples of `names`; TypeError as words()."""
    return struct.Struct("L" * words(cls, *names)).iter_unpack
