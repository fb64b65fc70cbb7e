# SPDX-License-Identifier: GPL-2.0-only
"""A program as the library plays it: longs, of a PlayConfig, PlaySlots, PlayOps and Switches."""

from __future__ import annotations

import ctypes
from array import array
from collections.abc import Collection
from typing import Final, NamedTuple

from difffuzz.native.abi.describe import LONG_BYTES, place, words
from difffuzz.native.abi.programs import OP_ARGS, PlayConfig, PlayOp, PlaySlot, Switch
from difffuzz.native.params import TDP_MMU, param_numbers
from difffuzz.program import Program, SlotSpec
from difffuzz.program.model import AREA_KINDS
from difffuzz.sched.store_buffer import FIRST_BUFFER
from difffuzz.sides.params import vm_params

OP_WORDS: Final = words(PlayOp, "kind", "thread", "args", "ends")
"""An operation is written as longs: kind, thread, arguments; PADDING fills it up."""
PADDING: Final = [(0,) * (OP_WORDS - len(("kind", "thread")) - n) for n in range(OP_ARGS + 1)]
CONFIG_WORDS: Final = ctypes.sizeof(PlayConfig) // LONG_BYTES
SIDE: Final = place(PlayConfig, "side")
STEPS: Final = place(PlayConfig, "steps")
TRACE: Final = place(PlayConfig, "trace")
CONCURRENT: Final = place(PlayConfig, "concurrent")
SEED: Final = place(PlayConfig, "seed")
GAP: Final = place(PlayConfig, "gap")
DELAYS: Final = place(PlayConfig, "delays")
SURVEY: Final = place(PlayConfig, "survey")
NR_SCHEDULE: Final = place(PlayConfig, "nr_schedule")
EXIT_RACES: Final = place(PlayConfig, "exit_races")
NR_VCPUS: Final = place(PlayConfig, "vcpus")
MMU_PAGES: Final = place(PlayConfig, "mmu_pages")
NR_AREAS: Final = place(PlayConfig, "nr_areas")
AREAS: Final = place(PlayConfig, "areas")
NR_SLOTS: Final = place(PlayConfig, "nr_slots")
NR_OPS: Final = place(PlayConfig, "nr_ops")
AREA_NUMBERS: Final = {kind: number for number, kind in enumerate(AREA_KINDS)}
ENDS: Final = place(PlayOp, "ends")
words(PlaySlot, *SlotSpec._fields)
words(Switch, "step", "number")


class Threads(NamedTuple):
    """That threads run at once: by a random walk of that seed, or by a schedule if it is 0."""

    schedule: tuple[tuple[int, int], ...] = ()
    seed: int = 0
    gap: int = 20
    """About so many steps are between two preemptions of the walk; 0: partial order sampling."""
    delays: bool = False
    """The walk delays stores, as x86 may; a schedule says so by itself."""
    survey: int = 0
    """The step from which on Played.choices() are told; 0: none are."""


class Encoded:
    """A program as the library plays it: abi/programs.py."""

    __slots__ = ("_at", "_ends", "_guests", "_numbers", "_program", "_threads")

    def __init__(self, program: Program, threads: Threads | None = None) -> None:
        self._program = program
        self._threads = threads
        self._ends: Collection[int] = ()
        self._guests: dict[bool, array[int]] = {}
        """How the VM of either MMU is set up, where the sides are not set up alike."""
        self._encode()

    def end_at_once(self, indices: Collection[int]) -> None:
        """The faults that these operations begin are not to stay parked."""
        self._ends = indices
        self._encode()

    def at(self, tdp_mmu: bool, side: int, steps: int, trace: bool) -> int:
        """Address of all of it, for one side, until the next call."""
        numbers = self._numbers
        for_guest = self._guests.get(tdp_mmu)
        if for_guest is not None:
            numbers[: len(for_guest)] = for_guest
        numbers[TDP_MMU] = tdp_mmu and self._program.config.paging == "tdp"
        numbers[SIDE], numbers[STEPS], numbers[TRACE] = side, steps, trace
        return self._at

    def _encode(self) -> None:
        config = self._program.config
        numbers = self._config()
        for slot in config.slots:
            numbers += slot
        first = len(numbers)
        padding = PADDING
        for kind, thread, args in self._program.ops:
            numbers += (kind, thread)
            numbers += args
            numbers += padding[len(args)]
        for index in self._ends:
            numbers[first + index * OP_WORDS + ENDS] = 1
        for switch in self._threads.schedule if self._threads else ():
            numbers += switch
        self._numbers = array("l", numbers)
        self._at = self._numbers.buffer_info()[0]

    def _config(self) -> list[int]:
        """The PlayConfig, but for what at() says."""
        config, threads = self._program.config, self._threads
        numbers = param_numbers(vm_params(config, True))
        if config.guest != "none":
            shadowed = param_numbers(vm_params(config, False))
            self._guests = {True: array("l", numbers), False: array("l", shadowed)}
        numbers += [0] * (CONFIG_WORDS - len(numbers))
        if threads:
            numbers[CONCURRENT] = True
            numbers[SEED], numbers[GAP] = threads.seed, threads.gap
            named = any(number >= FIRST_BUFFER for _, number in threads.schedule)
            numbers[DELAYS] = threads.delays or named
            numbers[SURVEY] = threads.survey
            numbers[EXIT_RACES] = config.exit_races
            numbers[NR_SCHEDULE] = len(threads.schedule)
        numbers[NR_VCPUS], numbers[MMU_PAGES] = config.vcpus, config.mmu_pages
        numbers[NR_AREAS] = len(config.areas)
        for at, kind in enumerate(config.areas, AREAS):
            numbers[at] = AREA_NUMBERS[kind]
        numbers[NR_SLOTS], numbers[NR_OPS] = len(config.slots), len(self._program.ops)
        return numbers
