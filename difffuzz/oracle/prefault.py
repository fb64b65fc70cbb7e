# SPDX-License-Identifier: GPL-2.0-only
"""What KVM_PRE_FAULT_MEMORY answers is true, and it ends: of progress and answers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from difffuzz.facts.errno import EINVAL
from difffuzz.oracle.verdict import Violation
from difffuzz.sides.base import DONE, STUCK, Outcome
from difffuzz.sides.kvm_side import KvmSide


def prefault_violations(
    side: KvmSide, as_id: int, gfn: int, npages: int, outcome: Outcome
) -> Iterable[Violation]:
    """A page that was mapped is mapped, and a page that cannot be is not tried for ever.

    Of several pages the first may be gone again: the legacy MMU reclaims shadow pages.
    """
    if outcome.result == STUCK:
        text = f"gfn {gfn:#x}: its prefault never completes"
        return [Violation("progress", side.name, "prefault", text)]
    if outcome.result == DONE and npages == 1 and not _mapped(side, as_id, gfn):
        text = f"gfn {gfn:#x}: prefaulted, says KVM, and not mapped"
        return [Violation("answers", side.name, "prefault", text)]
    return ()


def _mapped(side: KvmSide, as_id: int, gfn: int) -> bool:
    return any(True for _ in side.tables.leaves_in(as_id, gfn, gfn + 1))


def lacking(left: Outcome, right: Outcome, allowed: Counter[str]) -> bool:
    """Does one of two kernels not have it?  What is mapped differs from then on."""
    if (left.value == -EINVAL) == (right.value == -EINVAL):
        return False
    allowed["no-prefault"] += 1
    return True
