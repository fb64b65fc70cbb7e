# SPDX-License-Identifier: GPL-2.0-only
"""Where a thread stands when another one goes on in its place, for those who read a trace."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from types import FrameType
from typing import NamedTuple

from difffuzz.sides.kvm_side import KvmSide
from difffuzz.sides.spte_text import spte_text

CALLERS = 4
"""Functions that are named, from the one that runs outwards."""
MACHINE = "difffuzz.machine"
MEMORY = "difffuzz.machine.spt"
NO_TABLE = "memory that is no page table"
"""The kernel's own code has such points, too."""


class Place(NamedTuple):
    """`functions` of KVM, or of the host and the hardware if none runs: the innermost first; of
    the kernel's own code the one that the side called is known.  `what` is about to be touched or
    waited for; of an SPTE its value now."""

    functions: tuple[str, ...] = ()
    what: str = ""


NOWHERE = Place()


def place_of(side: KvmSide, code: tuple[str, ...], what: Hashable, frame: FrameType) -> Place:
    """`code`: modules and packages whose functions are KVM's; `frame`: where the thread stands."""
    return Place(functions_at(frame, code)[:CALLERS], _touched(side, what))


def functions_at(frame: FrameType, code: tuple[str, ...]) -> tuple[str, ...]:
    """All functions of `Place.functions`."""
    return tuple(_functions(frame, code)) or tuple(_functions(frame, (MACHINE,)))


def _touched(side: KvmSide, what: Hashable) -> str:
    if isinstance(what, int):
        return _entry(side, what)
    if isinstance(what, tuple):
        return " ".join(hex(one) if isinstance(one, int) and one > 9 else str(one) for one in what)
    return "" if what is None else str(what)


def _entry(side: KvmSide, ptr: int) -> str:
    found = side.kvm.mem.peek(ptr)
    if found is None:
        return NO_TABLE
    spte, sp = found
    level = sp.role.level
    gfn = sp.gfn + ((ptr >> 3 & 511) << 9 * (level - 1))
    smm = " of SMM" if sp.role.smm else ""
    return f"SPTE of gfn {gfn:#x}{smm}, level {level}: {spte_text(side.kvm.masks, spte, level)}"


def _functions(frame: FrameType | None, code: tuple[str, ...]) -> Iterator[str]:
    last = ""
    while frame is not None:
        module: str = frame.f_globals["__name__"]
        name = frame.f_code.co_name
        inside = any(module == one or module.startswith(f"{one}.") for one in code)
        if inside and module != MEMORY and name[0] not in "<_" and name != last:
            yield name
            last = name
        frame = frame.f_back
