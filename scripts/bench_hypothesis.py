# SPDX-License-Identifier: GPL-2.0-only
"""The baseline of scripts/bench and bench-bugs: the models driven by a Hypothesis state machine.

The machine is what somebody who knows Hypothesis would write: a rule for each operation whose
arguments are drawn by strategies, the configuration drawn by an initialize rule, and the default
number of steps.  Nothing is shrunk, replayed or stored.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, Phase, core, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from difffuzz.engine.lockstep import Lockstep
from difffuzz.program import OPS, Config, Kind, Op, Program, SlotSpec, normalise
from difffuzz.program.fields import FieldType
from difffuzz.program.limits import MAX_SLOTS, N_AREAS
from difffuzz.program.model import AREA_KINDS, CONFIG_CHOICES
from difffuzz.program.normalise import normalise_ops
from difffuzz.program.ops import SLOT_FIELDS
from difffuzz.sides import open_side

SETTINGS = settings(
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Clock:
    """Counts what the machine does."""

    def __init__(self) -> None:
        self.examples = 0
        self.operations = 0


def values(kind: FieldType) -> st.SearchStrategy[int]:
    """The values worth trying of an argument, which are those that the generator chooses from."""
    return st.sampled_from(kind.hot) if kind.hot else st.integers(kind.low, kind.high)


CHOICES: dict[str, Any] = {
    name: st.sampled_from(choices) for name, choices in CONFIG_CHOICES.items() if name != "paging"
}
SLOTS = st.builds(SlotSpec, *(values(field.type) for field in SLOT_FIELDS))
CONFIGS = st.builds(
    Config,
    areas=st.tuples(*[st.sampled_from(AREA_KINDS)] * N_AREAS),
    slots=st.lists(SLOTS, min_size=1, max_size=MAX_SLOTS // 2).map(tuple),
    **CHOICES,
)


def operation(kind: Kind) -> Callable[..., None]:
    """The rule of one kind of operation, made legal the way the decoder does."""
    spec = OPS[kind]

    def run(self: Any, thread: int, **args: int) -> None:
        op = Op(kind, thread, tuple(args[field.name] for field in spec.fields))
        self.run_op(normalise_ops((op,), self.config.vcpus)[0])

    run.__name__ = spec.name
    strategies = {field.name: values(field.type) for field in spec.fields}
    return rule(thread=st.sampled_from(spec.threads), **strategies)(run)


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

    return type("Machine", (Both,), rules(concurrent=False))


def rules(*, concurrent: bool) -> dict[str, Any]:
    """A rule for each operation; a place where all threads meet is one if they run at once."""
    return {
        spec.name: operation(kind)
        for kind, spec in OPS.items()
        if spec.weight or (concurrent and kind == Kind.SYNC)
    }


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


def hunt_with_hypothesis(run: Any, judge: Any, nonpaging: bool) -> None:
    """Examples until one shows a bug: `run`, `judge` and its spend() are bench_bugs_run's.

    A rule for each operation, as above; what they came to is run at the end of the example, since
    threads can only run at once when all their operations are known.
    """
    pagings = st.sampled_from(("tdp", "nonpaging") if nonpaging else ("tdp",))

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
            if not run.over:
                run.take(judge.shown(normalise(Program(self.config, tuple(self.ops)))))
            if run.found:
                raise BugFound

    hunter = type("Hunter", (Hunter,), rules(concurrent=run.concurrent))
    turn = 0
    while not run.over:
        core.global_force_seed = run.seed * 1_000_000 + turn
        turn += 1
        with suppress(Exception):  # BugFound, or what Hypothesis makes of it
            run_state_machine_as_test(hunter, settings=SETTINGS)


class BugFound(Exception):
    """An example shows the bug."""
