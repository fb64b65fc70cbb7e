# SPDX-License-Identifier: GPL-2.0-only
"""The retry oracle: R1 stale means retry, R2 retry means cause (R3 and R4 are in access.py).

Ground truth is what the harness saw: the invalidations that ran while a fault was parked, and the
operations that made roots obsolete meanwhile.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from difffuzz.facts.kvm import RET_PF_RETRY
from difffuzz.oracle.notifier import SilentNotifier
from difffuzz.oracle.verdict import Violation
from difffuzz.program import Config
from difffuzz.sides.base import SIGBUS, Outcome
from difffuzz.sides.memory_map import MemoryMap

RETRY = """R1: a fault during which its page was invalidated, or its root became obsolete, answers
RETRY.  R2: a RETRY has a cause.  R4: both sides answer the same RET_PF_* for the same access."""


class Invalidations(SilentNotifier):
    """An mmu notifier that only notes the ranges it is told of."""

    __slots__ = ("open", "ranges")

    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []
        self.open = 0
        """Invalidations that go on."""

    def invalidate_range_start(self, start: int, end: int, blockable: bool) -> None:
        """The host changes the hvas [start, end)."""
        self.ranges.append((start, end))
        self.open += 1

    def invalidate_range_end(self, start: int, end: int) -> None:
        """The change is made."""
        self.open -= 1

    def ended_late(self, start: int, end: int) -> None:
        """An invalidation has ended that began some operations ago."""
        self.ranges.append((start, end))


class Flight:
    """What happened while a fault was parked.

    Of the invalidations, those from `begun` on may have come after the fault read the sequence;
    those from `parked` on surely did.
    """

    __slots__ = ("all_gfns", "begun", "hva", "parked", "root_obsolete")

    def __init__(self, hva: int, begun: int, parked: int) -> None:
        self.hva = hva
        self.begun = begun
        self.parked = parked
        self.root_obsolete = False
        self.all_gfns = False


def parked_violations(
    name: str,
    config: Config,
    memory: MemoryMap,
    flight: Flight,
    ranges: list[tuple[int, int]],
    outcome: Outcome,
    allowed: Counter[str],
) -> Iterator[Violation]:
    """Judges the answer of a fault that was parked; `ranges` were invalidated before it went on."""
    covered = any(start <= flight.hva < end for start, end in ranges[flight.parked :])
    relevant = any(memory.slots_over(start, end) for start, end in ranges[flight.begun :])
    must = flight.root_obsolete or flight.all_gfns or (covered and relevant)
    if must and outcome.parked_ret != RET_PF_RETRY:
        why = "root" if flight.root_obsolete else "page"
        yield Violation(
            "retry", name, f"R1-{why}", f"stale {why}, but the fault answered {outcome.parked_ret}"
        )
    elif outcome.parked_ret == RET_PF_RETRY and not must:
        if relevant:
            # mmu_invalidate_seq counts every invalidation of guest memory, whatever its range.
            allowed["any-invalidation"] += 1
        elif config.paging == "nonpaging":
            # PAE roots: KVM_REQ_MMU_FREE_OBSOLETE_ROOTS is a hint only.
            allowed["pae-root-request"] += 1
        else:
            yield Violation("retry", name, "R2", "the fault answered RETRY without a cause")


def causeless_retries(
    name: str, config: Config, outcome: Outcome, own: int, allowed: Counter[str]
) -> Iterable[Violation]:
    """With all else at rest, an attempt retries only for a page that is waited for or was replaced.

    `own` counts the invalidations that the access itself made, by breaking copy-on-write.
    """
    if RET_PF_RETRY not in outcome.rets:
        return ()
    retries = outcome.rets[outcome.parked_rets :].count(RET_PF_RETRY)
    if not retries or outcome.result == SIGBUS:
        return ()
    if retries <= own:
        allowed["own-copy-on-write"] += 1
    elif config.async_pf:
        allowed["async-page-fault"] += 1
    else:
        return [Violation("retry", name, "R2", f"RETRY without a cause: {outcome.rets}")]
    return ()
