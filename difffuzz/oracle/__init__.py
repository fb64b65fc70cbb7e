# SPDX-License-Identifier: GPL-2.0-only
"""Named checks of a run, the differences that are allowed, and the verdict."""

from __future__ import annotations

from difffuzz.oracle import (
    access,
    answers,
    bookkeeping,
    contents,
    dirty_log,
    emptied,
    guest_shadow,
    guest_tables,
    pages,
    races,
    retry,
)
from difffuzz.oracle.verdict import Divergence, Verdict, Violation, signature

ORACLES: dict[str, str] = {
    "translation": pages.TRANSLATION,
    "permission": pages.PERMISSION,
    "level": pages.LEVEL,
    "stale-access": access.STALE_ACCESS,
    "progress": access.PROGRESS,
    "linearizable": races.LINEARIZABLE,
    "dirty-log": dirty_log.DIRTY_LOG,
    "retry": retry.RETRY,
    "answers": answers.ANSWERS,
    "contents": contents.CONTENTS,
    "emptied": emptied.EMPTIED,
    "guest-walk": guest_tables.GUEST_WALK,
    "guest-shadow": guest_shadow.GUEST_SHADOW,
    "accounting": bookkeeping.ACCOUNTING,
    "leak": bookkeeping.LEAK,
    "lock": "Locks are taken in order, in the right mode, once; nothing sleeps in them.",
    "rcu": "TDP page tables are touched inside RCU read sections only; no section stays open.",
    "uaf": "No freed page table is read, written or freed again.",
    "warn": "No assertion of the kernel (WARN, BUG, KVM_BUG_ON) fires.",
    "deadlock": "No task waits for what nobody will give.",
    "crash": "No unexpected exception: an access out of bounds, a NULL pointer.",
}
"""Every oracle and the property it states."""

__all__ = ["ORACLES", "Divergence", "Verdict", "Violation", "signature"]
