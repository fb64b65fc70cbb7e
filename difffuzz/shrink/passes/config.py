# SPDX-License-Identifier: GPL-2.0-only
"""Passes: a plainer configuration."""

from __future__ import annotations

from ...program import Config, Kind, Op, Program, SlotSpec, normalise
from ...program.model import CONFIG_CHOICES
from ..proposals import Proposals, with_config


def default_config(program: Program) -> Proposals:
    """Put a field of the configuration, or an area, at its default, or at a value before its own.

    Pays always: a field at its default is not in the text.  Costs a proposal a field and an area,
    some more for those that have many values.  Keeps slots and operations, but for those that the
    plainer machine cannot have.
    """
    for name in Config._fields:
        if name != "slots":
            for value in _plainer(program, name):
                if taken := (yield with_config(program, **{name: value})):
                    program = taken
                    break
    for at, usual in enumerate(Config().areas):
        areas = program.config.areas
        plainer = with_config(program, areas=(*areas[:at], usual, *areas[at + 1 :]))
        if taken := (yield plainer):
            program = taken


def drop_with_config(program: Program) -> Proposals:
    """Leave out an operation and give an unusual field of the configuration another value at once.

    Pays where operations count something up to where the configuration has it wrap.  Costs up to
    three proposals a field and operation.  Keeps the rest, and ends with the first that goes.
    """
    for name, choices in CONFIG_CHOICES.items():
        if len(choices) < 3 or getattr(program.config, name) == choices[0]:
            continue
        for at in reversed(range(len(program.ops))):
            shorter = program._replace(ops=program.ops[:at] + program.ops[at + 1 :])
            for value in choices:
                if (yield with_config(shorter, **{name: value})) is not None:
                    return


def into_config(program: Program) -> Proposals:
    """Have the machine as an operation makes it: a slot, its flags, the NX mitigation, a limit.

    Pays for setups that a fuzzer makes step by step.  Costs a proposal for each such operation.
    Keeps all other operations.
    """
    for at in reversed(range(len(program.ops))):
        config = _with_effect(program.config, program.ops[at])
        if config is not None:
            ops = program.ops[:at] + program.ops[at + 1 :]
            if taken := (yield normalise(program._replace(config=config, ops=ops))):
                program = taken


def _with_effect(config: Config, op: Op) -> Config | None:
    """The configuration after the operation; None if it changes none."""
    args = op.args
    if op.kind == Kind.MEMSLOT_CREATE:
        return config._replace(slots=(*config.slots, SlotSpec(*args)))
    if op.kind == Kind.MEMSLOT_FLAGS:
        slots = (
            slot._replace(flags=args[2]) if (slot.slot, slot.as_id) == args[:2] else slot
            for slot in config.slots
        )
        return config._replace(slots=tuple(slots))
    if op.kind == Kind.NX:
        return config._replace(nx=bool(args[0]))
    if op.kind == Kind.MMU_PAGES:
        return config._replace(mmu_pages=args[0])
    if op.kind == Kind.VCPU_CREATE:
        return config._replace(vcpus=config.vcpus + 1)
    return None


def _plainer(program: Program, name: str) -> list[object]:
    """The values of a field that stand before its own, the default first."""
    value = getattr(program.config, name)
    choices = CONFIG_CHOICES.get(name, (getattr(Config(), name),))
    return list(choices[: choices.index(value)] if value in choices else choices[:1])
