# SPDX-License-Identifier: GPL-2.0-only
"""Method: a Hypothesis state machine with a rule for each operation."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import core
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, run_state_machine_as_test

from ...program import Config, Op, Program, normalise
from ...variants.catalogue import Bug
from ..models import judge_of, pagings_of
from ..row import Row
from ..rules import CONFIGS, SETTINGS, with_rules


class BugFound(Exception):
    """An example shows the bug."""


def hunt(bug: Bug, row: Row) -> None:
    """Examples until one shows the bug.

    What the rules came to is run at the end of the example, since threads can only run at once when
    all their operations are known.
    """
    judge = judge_of(bug, row)
    pagings = st.sampled_from(pagings_of(bug))

    class Hunter(RuleBasedStateMachine):
        """Collects a program and runs it."""

        def __init__(self) -> None:
            super().__init__()
            self.ops: list[Op] = []
            self.config = Config()

        @initialize(config=CONFIGS, paging=pagings)
        def start(self, config: Config, paging: str) -> None:
            """The machine."""
            self.config = normalise(Program(config._replace(paging=paging))).config

        def run_op(self, op: Op) -> None:
            """One more operation."""
            self.ops.append(op)

        def teardown(self) -> None:
            """The program is complete; nothing more is run once the bug is found."""
            if not row.over:
                row.take(judge.shown(normalise(Program(self.config, tuple(self.ops)))))
            if row.found:
                raise BugFound

    hunter = with_rules(Hunter, concurrent=row.concurrent)
    turn = 0
    while not row.over:
        core.global_force_seed = row.seed * 1_000_000 + turn  # type: ignore[assignment] # said: None
        turn += 1
        with suppress(Exception):  # BugFound, or what Hypothesis makes of it
            run_state_machine_as_test(hunter, settings=SETTINGS)
