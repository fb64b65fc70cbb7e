# SPDX-License-Identifier: GPL-2.0-only
"""`python -m difffuzz.campaign.retesting DIR`: every finding once more, those first that waited
longest."""

from __future__ import annotations

import sys
from pathlib import Path

from ..running.orphan import end_with_parent
from ..triage.record import CLOSED, Record, State
from ..triage.retest import retest
from ..triage.store import Store
from .chores import sides_of
from .config import read_config


def main(folder: str) -> None:
    """Re-tests what is open or fixed; says of each what came of it."""
    end_with_parent()
    sides = sides_of(read_config(Path(folder)))
    with Store(Path(folder)) as store:
        for record in sorted(store.all(), key=_last):
            if (record.left, record.right) not in sides:
                continue
            if record.state in CLOSED - {State.FIXED} or record.hidden:
                continue
            result = retest(store, record)
            print(record.id, result.word, result.error, flush=True)


def _last(record: Record) -> str:
    """When it was re-tested last."""
    return max((one.at for one in record.history if one.kind in ("shown", "gone")), default="")


if __name__ == "__main__":
    main(*sys.argv[1:])
