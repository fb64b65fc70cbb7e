# SPDX-License-Identifier: GPL-2.0-only
"""The part of the benchmark that is a baseline: the models driven by a Hypothesis state machine."""

from __future__ import annotations

import time

from hypothesis.stateful import RuleBasedStateMachine, initialize, run_state_machine_as_test

from ...engine.lockstep import Lockstep
from ...hunts.rules import CONFIGS, SETTINGS, with_rules
from ...program import Config, Op, Program, normalise
from ...sides import open_side


class Clock:
    """Counts what the machine does."""

    def __init__(self) -> None:
        self.examples = 0
        self.operations = 0


def machine(clock: Clock) -> type[RuleBasedStateMachine]:
    """A state machine whose rules are the operations."""
    left, right = open_side("legacy"), open_side("tdp")

    class Both(RuleBasedStateMachine):
        """Runs each operation on both sides; an oracle that objects fails the example."""

        @initialize(config=CONFIGS)
        def start(self, config: Config) -> None:
            """The machine and the VM."""
            self.config = normalise(Program(config)).config
            self.lockstep = Lockstep(self.config, left, right)
            self.over = False
            clock.examples += 1

        def run_op(self, op: Op) -> None:
            """One operation on both sides, unless user space has given the VM up."""
            if not self.over:
                clock.operations += 1
                self.over = not self.lockstep.step(op)
                assert not self.lockstep.verdict.divergences

        def teardown(self) -> None:
            """The end of the program."""
            if hasattr(self, "lockstep"):
                self.lockstep.finish()

    return with_rules(Both, concurrent=False)


def hypothesis_rate(seconds: float) -> dict[str, float]:
    """Programs (examples) and operations a second."""
    clock = Clock()
    both = machine(clock)
    begin = time.perf_counter()
    while time.perf_counter() - begin < seconds:
        run_state_machine_as_test(both, settings=SETTINGS)
    spent = time.perf_counter() - begin
    return {
        "programs_per_second": clock.examples / spent,
        "operations_per_second": clock.operations / spent,
        "operations_per_program": clock.operations / max(clock.examples, 1),
    }
