# SPDX-License-Identifier: GPL-2.0-only
"""Where the guest's own code may lie: at gfns that no memslot of a program ever has."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import UsageError
from .limits import LOW_GFNS
from .model import Kind, Program
from .ops import OPS

_BLOCK = 512
_APIC = 0xFEC00
"""From here on, as far as 4 GiB, are APICs and what KVM keeps for itself on Intel."""


def code_gfn(program: Program) -> int:
    """The first gfn of 2 MiB of guest memory that the program never uses.

    UsageError: it uses all of them, or some that guests without paging cannot address.
    """
    if any(gfn + n > LOW_GFNS for gfn, n in _used(program)):
        raise UsageError("the program names gfns above 4 GiB: the guest has addresses of 32 bits")
    taken = {block for gfn, n in _used(program) for block in _blocks(gfn, n)}
    taken |= set(_blocks(_APIC, LOW_GFNS - _APIC))
    for block in reversed(range(LOW_GFNS // _BLOCK)):
        if block not in taken:
            return block * _BLOCK
    raise UsageError("the program uses all guest memory: there is no room for the guest's code")


def _blocks(gfn: int, n: int) -> range:
    return range(gfn // _BLOCK, (gfn + n - 1) // _BLOCK + 1)


def _used(program: Program) -> Iterator[tuple[int, int]]:
    """(gfn, pages) of all memslots that may come to be, and of accesses."""
    longest = 1
    for slot in program.config.slots:
        longest = max(longest, slot.npages)
        yield slot.gfn, slot.npages
    for op in program.ops:
        if op.kind == Kind.MEMSLOT_CREATE:
            _, _, gfn, n, *_ = op.args
            longest = max(longest, n)
            yield gfn, n
        elif op.kind <= Kind.BEGIN_FAULT:
            yield op.args[0], 1
    for op in program.ops:
        if op.kind == Kind.MEMSLOT_MOVE:
            yield op.args[OPS[op.kind].position("gfn")], longest
