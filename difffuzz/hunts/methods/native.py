# SPDX-License-Identifier: GPL-2.0-only
"""Method: the fuzzer on Linux 6.1's own code with the bug put back, its MMUs against each other,
then against the model."""

from __future__ import annotations

from ...running.policy import FUZZ_STEPS
from ...running.runner import Runner
from ...variants.catalogue import Bug
from ..judge import Judge
from ..kernel import MODELS, build_plain, build_with, fetched_tree, plain_pair, sides
from ..models import mode_of
from ..row import Row
from .fuzzer import fuzz_for


def hunt(bug: Bug, row: Row) -> None:
    """Builds the code with the bug and without; then pair by pair."""
    tree = fetched_tree()
    build_plain(tree)
    name = build_with(bug, tree)
    for pair in sides(bug, name, MODELS[tree.series]):
        run = Runner(*pair, mode_of(bug), FUZZ_STEPS, explores=True)
        fuzz_for(bug, row, Judge(run, plain_pair(pair, name)))
        if row.over:
            return
