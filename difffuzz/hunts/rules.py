# SPDX-License-Identifier: GPL-2.0-only
"""Rules of a Hypothesis state machine whose steps are the operations of a program.

The machine is what somebody who knows Hypothesis would write: a rule for each operation whose
arguments are drawn by strategies, the configuration drawn by an initialize rule, and the default
number of steps.  Nothing is shrunk, replayed or stored.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from ..program import OPS, Config, Kind, Op, SlotSpec
from ..program.fields import FieldType
from ..program.limits import MAX_SLOTS, N_AREAS
from ..program.model import AREA_KINDS, CONFIG_CHOICES, DELIBERATE
from ..program.normalise import normalise_ops
from ..program.ops import SLOT_FIELDS

SETTINGS = settings(
    database=None,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Machine(Protocol):
    """What rules need of the machine they belong to."""

    config: Config

    def run_op(self, op: Op) -> None:
        """One more operation."""


def values(kind: FieldType) -> st.SearchStrategy[int]:
    """The values worth trying of an argument, which are those that the generator chooses from."""
    return st.sampled_from(kind.hot) if kind.hot else st.integers(kind.low, kind.high)


CHOICES: dict[str, st.SearchStrategy[int | str]] = {
    name: st.sampled_from(choices)
    for name, choices in CONFIG_CHOICES.items()
    if name not in DELIBERATE
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

    def run(self: Machine, thread: int, **args: int) -> None:
        op = Op(kind, thread, tuple(args[field.name] for field in spec.fields))
        self.run_op(normalise_ops((op,), self.config.vcpus)[0])

    run.__name__ = spec.name
    strategies = {field.name: values(field.type) for field in spec.fields}
    # No operation has a field that is called as one of rule()'s own parameters.
    made: Callable[..., None] = rule(thread=st.sampled_from(spec.threads), **strategies)(run)  # type: ignore[call-overload]
    return made


def with_rules(
    machine: type[RuleBasedStateMachine], *, concurrent: bool
) -> type[RuleBasedStateMachine]:
    """The machine with a rule for each operation; a place where all threads meet is one if they run
    at once."""
    rules = {
        spec.name: operation(kind)
        for kind, spec in OPS.items()
        if spec.weight or (concurrent and kind == Kind.SYNC)
    }
    return type(f"{machine.__name__}WithRules", (machine,), rules)
