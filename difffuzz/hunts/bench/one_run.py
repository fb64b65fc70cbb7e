# SPDX-License-Identifier: GPL-2.0-only
"""One run of scripts/bench-bugs: one bug, one method, one seed, until the bug is found.

`python -m difffuzz.hunts.bench.one_run ID METHOD SEED BUDGET [KERNEL]` is a process of its own, so
that its time on a CPU is the run's.  Prints one JSON object, a Row.
"""

from __future__ import annotations

import sys

import msgspec

from ...script import end
from ...variants.catalogue import find
from ..methods import hunt
from ..row import Row


def main() -> int:
    """Runs, prints."""
    name, method, seed, budget, *kernel = sys.argv[1:]
    bug = find(name)
    row = Row(
        id=bug.id,
        method=method,
        seed=int(seed),
        concurrent=bug.concurrent,
        budget=float(budget),
        kernel="".join(kernel),
    )
    hunt(bug, row)
    print(msgspec.json.encode(row).decode())
    return 0


if __name__ == "__main__":
    end("bench-bugs", main)
