# SPDX-License-Identifier: GPL-2.0-only
"""The minimiser's passes, in the order in which they are tried; a file for each subject."""

from __future__ import annotations

from typing import Final

from ..proposals import Pass
from .config import default_config
from .numbers import same_smaller_argument, smaller_arguments
from .operations import drop_operations, drop_pairs
from .schedule import drop_switches, earlier_switches
from .slots import drop_slots, move_slots, smaller_slots
from .threads import fewer_threads

PASSES: Final[tuple[Pass, ...]] = (
    drop_operations,
    drop_switches,
    drop_slots,
    drop_pairs,
    move_slots,
    default_config,
    fewer_threads,
    same_smaller_argument,
    smaller_arguments,
    smaller_slots,
    earlier_switches,
)
