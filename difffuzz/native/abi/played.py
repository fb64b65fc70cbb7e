# SPDX-License-Identifier: GPL-2.0-only
"""What the library tells of a program that it played."""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import Annotated

from .describe import CStruct, Long, PointsTo, described


class Result(IntEnum):
    """How an operation ended: Outcome.result, by number."""

    OK = 0
    MMIO = 1
    SIGBUS = 2
    ERROR = 3
    STUCK = 4
    DONE = 5
    NOTHING = 6
    FAULT = 7


@described
class PlayedEnd(CStruct):
    """Which operation it was and how it ended: what the two sides are compared by.

    Its RET_PF_* are the next `nr_rets` of the row of all.
    """

    c_name = "native_end"
    op_index: Long
    kind: Long
    thread: Long
    result: Long
    value: Long
    parked: Long
    parked_rets: Long
    nr_rets: Long


@described
class PlayedOutcome(PlayedEnd):
    """That, and what else an operation did and the comparison has to know of that moment."""

    c_name = "native_outcome"
    pfn: Long
    fast: Long
    parked_ret: Long
    access: Long
    fault_gfn: Long
    bitmap_digest: Long
    nx: Long
    may_be_absent: Long
    flushes: Long
    step: Long
    comparable: Long
    """Of a guest with page tables: these leave one answer only, as far as this side can tell."""
    foreign: Long
    """Somebody else than the guest has changed its tables by now."""


@described
class PlayedLeaf(CStruct):
    """A present leaf of the page tables after the last operation."""

    c_name = "native_leaf"
    as_id: Long
    gfn: Long
    spte: Long
    level: Long


@described
class PlayedChoice(CStruct):
    """Who went on at a step, and who else could have."""

    c_name = "native_choice"
    step: Long
    chosen: Long
    able: Long
    """A bit for each thread, by number."""


@described
class PlayedRun(CStruct):
    """Where all of it is, and how much there is."""

    c_name = "native_played"
    outcomes: Annotated[int, ctypes.c_ulong, PointsTo("const struct native_outcome")]
    nr_outcomes: Long
    rets: Annotated[int, ctypes.c_ulong, PointsTo("const long")]
    nr_rets: Long
    compared: Annotated[int, ctypes.c_ulong, PointsTo("const long")]
    """What both sides must agree on."""
    nr_compared: Long
    features: Annotated[int, ctypes.c_ulong, PointsTo("const long")]
    nr_features: Long
    leaves: Annotated[int, ctypes.c_ulong, PointsTo("const struct native_leaf")]
    nr_leaves: Long
    switches: Annotated[int, ctypes.c_ulong, PointsTo("const struct decision")]
    nr_switches: Long
    choices: Annotated[int, ctypes.c_ulong, PointsTo("const struct native_choice")]
    nr_choices: Long
    steps: Long
    operations: Long
    efer_nx: Long
    """How often that rule excused something, and the next two."""
    fault_keeps_stale: Long
    npt_fetch: Long
    foreign_at_start: Long
    """The guest's tables can be changed behind its back from the beginning."""
