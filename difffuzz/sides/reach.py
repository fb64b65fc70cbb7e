# SPDX-License-Identifier: GPL-2.0-only
"""Accesses that never reach KVM, because the guest's CPU cannot make them.

A guest with paging names a gpa in its own page tables.  Address bits from MAXPHYADDR up are
reserved there (Intel SDM 3A 4.4 and 4.5, AMD APM 2 5.4): the walk ends in a #PF of the guest with
RSVD set, before EPT or NPT is looked at.  A guest without paging has addresses of 32 bits
(shadowed in tables for these 4 GiB alone): no instruction of its names a byte above.
"""

from __future__ import annotations

from difffuzz.facts.paging import (
    PAGE_SHIFT,
    PFERR_FETCH_MASK,
    PFERR_PRESENT_MASK,
    PFERR_RSVD_MASK,
    PFERR_WRITE_MASK,
)
from difffuzz.program import Config
from difffuzz.program.limits import LOW_GFNS
from difffuzz.sides.base import FAULT, NOTHING, Outcome

RESERVED = PFERR_PRESENT_MASK | PFERR_RSVD_MASK
ERROR_CODES = (RESERVED, RESERVED | PFERR_WRITE_MASK, RESERVED | PFERR_FETCH_MASK)
"""By access: of a read, a write, a fetch."""


def gfns_of_cpu(config: Config) -> int:
    """The first gfn that is no address of the CPU's."""
    return 1 << config.maxphyaddr - PAGE_SHIFT


def reachable_gfns(config: Config) -> int:
    """The first gfn that no access of the guest reaches."""
    return gfns_of_cpu(config) if config.paging == "tdp" else LOW_GFNS


def unreachable(config: Config, access: int) -> Outcome:
    """How an access to such a gfn ends: a #PF of the guest, or nothing where none could be made."""
    return Outcome(FAULT, ERROR_CODES[access]) if config.paging == "tdp" else Outcome(NOTHING)
