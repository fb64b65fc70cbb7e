# SPDX-License-Identifier: GPL-2.0-only
"""The baseline of scripts/bench: the same models driven by a Hypothesis state machine."""

from __future__ import annotations

import random
import time

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from difffuzz.engine.lockstep import Lockstep
from difffuzz.program import OPS, Kind, Op, Program, generate_config, normalise
from difffuzz.sides import open_side

STEPS = 24
HOT = (0, 1, 2, 3, 7, 8, 9, 0x1FF, 0x200, 0x201, 0x3FF, 0x400, 0x3FE00, 0x40000, 0x40200)
"""Gfns, pages and counts that collide, as the generator chooses them too."""


class Clock:
    """Counts what the machine does."""

    def __init__(self) -> None:
        self.examples = 0
        self.operations = 0


def machine(clock: Clock) -> type[RuleBasedStateMachine]:
    """A state machine whose rules are the operations, with the arguments drawn by Hypothesis."""
    left, right = open_side("legacy"), open_side("tdp")

    class Both(RuleBasedStateMachine):
        """Runs each operation on both sides; an oracle that objects fails the example."""

        @initialize(seed=st.integers(0, 1 << 30))
        def start(self, seed: int) -> None:
            """A configuration as the generator makes it."""
            self.config = generate_config(random.Random(seed), paging="tdp")
            self.lockstep = Lockstep(self.config, left, right)
            clock.examples += 1

        @rule(
            kind=st.sampled_from(list(Kind)),
            thread=st.integers(0, 7),
            values=st.lists(st.sampled_from(HOT), min_size=7, max_size=7),
        )
        def operation(self, kind: Kind, thread: int, values: list[int]) -> None:
            """Any operation, made legal the way the decoder does."""
            spec = OPS[kind]
            threads = spec.threads
            op = Op(kind, threads[thread % len(threads)], tuple(values[: len(spec.fields)]))
            legal = normalise(Program(self.config, (op,)))
            for step in legal.ops:
                clock.operations += 1
                assert self.lockstep.step(step)

        def teardown(self) -> None:
            """The end of the program."""
            if hasattr(self, "lockstep"):
                self.lockstep.finish()

    return Both


def hypothesis_rate(seconds: float) -> dict[str, float]:
    """Programs (examples) and operations a second."""
    clock = Clock()
    both = machine(clock)
    begin = time.perf_counter()
    batch = 50
    while time.perf_counter() - begin < seconds:
        run_state_machine_as_test(
            both,
            settings=settings(
                max_examples=batch,
                stateful_step_count=STEPS,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    spent = time.perf_counter() - begin
    return {
        "programs_per_second": clock.examples / spent,
        "operations_per_second": clock.operations / spent,
    }
