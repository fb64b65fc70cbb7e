# SPDX-License-Identifier: GPL-2.0-only
"""The minimiser's passes, in the order in which they are tried; a file for each subject."""

from __future__ import annotations

from typing import Final

from ..proposals import Pass
from .config import default_config, drop_with_config, into_config
from .names import plainer_areas, plainer_slots
from .numbers import same_smaller_argument, shorter_ranges, smaller_arguments
from .operations import (
    drop_operations,
    drop_pairs,
    not_parked,
    plain_ends,
    plain_order,
    weaker_operations,
)
from .schedule import drop_schedule, drop_switches, earlier_switches
from .slots import drop_slots, move_slots, shorter_slots, slots_to_zero, smaller_slots
from .threads import fewer_threads, swap_threads

PASSES: Final[tuple[Pass, ...]] = (
    drop_schedule,
    drop_operations,
    drop_switches,
    drop_slots,
    into_config,
    drop_pairs,
    not_parked,
    slots_to_zero,
    move_slots,
    default_config,
    drop_with_config,
    fewer_threads,
    swap_threads,
    plainer_areas,
    plainer_slots,
    weaker_operations,
    plain_ends,
    shorter_ranges,
    same_smaller_argument,
    shorter_slots,
    smaller_arguments,
    smaller_slots,
    plain_order,
    earlier_switches,
)
DEEP: Final[tuple[Pass, ...]] = (
    drop_operations,
    drop_slots,
    default_config,
    fewer_threads,
    weaker_operations,
    plain_ends,
)
"""Those whose proposals are worth a search for a schedule of their own, once no other pass goes
any further: there are few of them, and the rest follows."""
