# SPDX-License-Identifier: GPL-2.0-only
"""A program played from begin to end inside the library, with harness/native/machine as its host.

The same calls of KVM happen as when Python is the host; nothing comes back to Python before the
end.  What it did can be read from a Played; what seems wrong on the way ends it, with the reason.
"""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Collection
from typing import Final, NamedTuple

from difffuzz.native.kvm import param_values
from difffuzz.native.library import Library
from difffuzz.program import Kind, Program
from difffuzz.program.model import AREA_KINDS
from difffuzz.sides.base import Outcome
from difffuzz.sides.params import vm_params

RESULTS: Final = ("ok", "mmio", "sigbus", "error", "stuck", "done", "nothing")
"""enum result of harness/native/machine/play.h."""
OP_ARGS: Final = 7
N_AREAS: Final = 4
OUTCOME_FIELDS: Final = 18
"""Numbers of an outcome before its RET_PF_*."""
NR_RETS: Final = 17
"""Which of them is the number of those."""
TDP_MMU, SIDE, STEPS, TRACE = 1, 17, 18, 19
"""Where a program's numbers differ between the sides, and from run to run."""
OP_NUMBERS: Final = OP_ARGS + 3
"""Numbers of an operation: kind, thread, arguments, whether its fault ends at once."""
PADDING: Final = [(0,) * (OP_ARGS - n + 1) for n in range(OP_ARGS + 1)]
LONG: Final = 8


class PlayedOp(NamedTuple):
    """What one operation did, and what the comparison of two sides has to know of that moment."""

    op_index: int
    """Of the operation in the program; the end of a parked fault has that of what waits for it."""
    kind: Kind
    thread: int
    outcome: Outcome
    bitmap_digest: int
    nx: bool
    may_be_absent: bool
    """The page is tracked, and this side loses mappings by itself."""
    flushes: int
    step: int
    """At which it was over, if threads ran at once."""


class PlayedLeaf(NamedTuple):
    """A present leaf of the page tables after the last operation."""

    as_id: int
    gfn: int
    spte: int
    level: int


class Played:
    """A run.  Read it before the library plays the next one."""

    __slots__ = ("_numbers", "reason")

    def __init__(self, numbers: ctypes.Array[ctypes.c_long], reason: str) -> None:
        self._numbers = numbers
        self.reason = reason
        """Why it was left early; empty if it was not."""

    @property
    def steps(self) -> int:
        """Preemption points passed."""
        return int(self._numbers[8])

    def compared(self) -> bytes:
        """What both sides must agree on, of all operations."""
        return ctypes.string_at(self._numbers[2], LONG * self._numbers[3])

    def features(self) -> array[int]:
        """The state features reached."""
        return self._longs(4)

    def operations(self) -> list[PlayedOp]:
        """What each operation did."""
        return _operations(self._longs(0))

    def leaves(self) -> list[PlayedLeaf]:
        """The leaves at the end, if they were asked for."""
        numbers = self._longs(6)
        return [PlayedLeaf(*numbers[i : i + 4]) for i in range(0, len(numbers), 4)]

    def switches(self) -> tuple[tuple[int, int], ...]:
        """Of a run whose threads ran at once: the schedule that it amounts to."""
        numbers = self._longs(10)
        return tuple((numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2))

    def _longs(self, at: int) -> array[int]:
        length = self._numbers[at + 1]
        return array("l", ctypes.string_at(self._numbers[at], LONG * length) if length else b"")


def _operation(numbers: array[int], at: int) -> PlayedOp:
    """The operation whose numbers begin there."""
    fields = numbers[at : at + OUTCOME_FIELDS]
    outcome = Outcome(RESULTS[fields[3]], fields[4])
    outcome.pfn, outcome.fast, outcome.parked = fields[5], fields[6], bool(fields[7])
    outcome.parked_ret, outcome.parked_rets = fields[8], fields[9]
    outcome.access, outcome.fault_gfn = fields[10], fields[11]
    at += OUTCOME_FIELDS
    outcome.rets = tuple(numbers[at : at + fields[NR_RETS]])
    return PlayedOp(
        fields[0],
        Kind(fields[1]),
        fields[2],
        outcome,
        fields[12],
        bool(fields[13]),
        bool(fields[14]),
        fields[15],
        fields[16],
    )


def _operations(numbers: array[int]) -> list[PlayedOp]:
    found = []
    at = 0
    while at < len(numbers):
        found.append(_operation(numbers, at))
        at += OUTCOME_FIELDS + numbers[at + NR_RETS]
    return found


def differences(left: Played, right: Played) -> tuple[list[tuple[PlayedOp, PlayedOp]], bool]:
    """The operations that ended otherwise on one side than on the other.

    And whether both sides had the same operations all along; if not, those before.
    """
    ours, theirs = left._longs(0), right._longs(0)
    found: list[tuple[PlayedOp, PlayedOp]] = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        if ours[i : i + 3] != theirs[j : j + 3]:
            return found, False
        ends = i + OUTCOME_FIELDS + ours[i + NR_RETS], j + OUTCOME_FIELDS + theirs[j + NR_RETS]
        if (
            ours[i + 3 : i + 5] != theirs[j + 3 : j + 5]
            or ours[i + 7] != theirs[j + 7]
            or ours[i + 9] != theirs[j + 9]
            or ours[i + NR_RETS : ends[0]] != theirs[j + NR_RETS : ends[1]]
        ):
            found.append((_operation(ours, i), _operation(theirs, j)))
        i, j = ends
    return found, i == len(ours) and j == len(theirs)


class Threads(NamedTuple):
    """That threads run at once: by a random walk of that seed, or by a schedule if it is 0."""

    schedule: tuple[tuple[int, int], ...] = ()
    seed: int = 0
    gap: int = 20
    """About so many steps are between two preemptions of the walk."""


class Encoded:
    """A program as harness/native/machine/play.h has it."""

    __slots__ = ("_ends", "_numbers", "_program", "_threads")

    def __init__(self, program: Program, threads: Threads | None = None) -> None:
        self._program = program
        self._threads = threads
        self._ends: Collection[int] = ()
        self._numbers = self._encode()

    def end_at_once(self, indices: Collection[int]) -> None:
        """The faults that these operations begin are not to stay parked."""
        self._ends = indices
        self._numbers = self._encode()

    def numbers(self, tdp_mmu: bool, side: int, steps: int, trace: bool) -> array[int]:
        """All of it, for one side, until the next call."""
        numbers = self._numbers
        numbers[TDP_MMU] = tdp_mmu and self._program.config.paging == "tdp"
        numbers[SIDE], numbers[STEPS], numbers[TRACE] = side, steps, trace
        return numbers

    def _encode(self) -> array[int]:
        config, threads = self._program.config, self._threads
        areas = [AREA_KINDS.index(kind) for kind in config.areas]
        numbers = [
            *param_values(vm_params(config, True)),
            *(0, 0, 0),  # see numbers()
            *((1, threads.seed, threads.gap, len(threads.schedule)) if threads else (0, 0, 0, 0)),
            config.vcpus,
            config.mmu_pages,
            len(areas),
            *areas,
            *[0] * (N_AREAS - len(areas)),
            len(config.slots),
            len(self._program.ops),
        ]
        for slot in config.slots:
            numbers += slot
        first = len(numbers)
        padding = PADDING
        for kind, thread, args in self._program.ops:
            numbers += (kind, thread)
            numbers += args
            numbers += padding[len(args)]
        for index in self._ends:
            numbers[first + (index + 1) * OP_NUMBERS - 1] = 1
        for switch in threads.schedule if threads else ():
            numbers += switch
        return array("l", numbers)


class Player:
    """Plays programs on one side of a library."""

    def __init__(self, library: Library, tdp_mmu: bool, side: int) -> None:
        self._library = library
        self._tdp_mmu = tdp_mmu
        self._side = side
        self._play = library.function("native_play", ctypes.c_void_p)
        self._played = library.function("native_played", ctypes.c_void_p)
        self._numbers = (ctypes.c_long * 12)()
        self._at = ctypes.addressof(self._numbers)

    def play(self, encoded: Encoded, steps: int, trace: bool = False) -> Played:
        """Runs it; `steps` bounds the preemption points it may pass."""
        numbers = encoded.numbers(self._tdp_mmu, self._side, steps, trace)
        library = self._library
        library.calls += 1
        left_early = self._play(numbers.buffer_info()[0])
        self._played(self._at)
        reason = ""
        if left_early:
            oracle, where, text = (library.control.died or b"").decode().split("\n", 2)
            reason = f"{oracle}: {where} {text}".strip()
        return Played(self._numbers, reason)
