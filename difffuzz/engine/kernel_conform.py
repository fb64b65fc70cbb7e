# SPDX-License-Identifier: GPL-2.0-only
"""Many programs on a booted kernel, each predicted by the model of its version."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from difffuzz.booted.doable import Adapted, adapted
from difffuzz.booted.observed import Run
from difffuzz.booted.session import BOTH, Died, Lane, Session, splats
from difffuzz.engine.predict import Difference, compare
from difffuzz.errors import UsageError
from difffuzz.program import Program
from difffuzz.sides import KvmFactory

BATCH = 200
"""Programs under one load of kvm, where a load has one MMU."""


class Found(NamedTuple):
    """A program of which the kernel showed something else than the model said."""

    name: str
    lane: Lane
    program: Program
    """As the kernel ran it."""
    difference: Difference


class Tally:
    """What a comparison has seen so far."""

    def __init__(self) -> None:
        self.programs = 0
        self.operations = 0
        self.agreed = 0
        self.found: list[Found] = []
        self.left_out: list[tuple[str, str]] = []
        """Names of programs that cannot be run, with the reason."""
        self.skipped = 0
        """Operations that were left out."""
        self.rules: Counter[str] = Counter()
        self.stopped = False


Named = tuple[str, Program]


def conform_all(
    session: Session,
    models: dict[str, KvmFactory],
    programs: Iterable[Named],
    stop: Callable[[Tally], bool],
    lanes: Sequence[Lane] = BOTH,
) -> Tally:
    """Runs every program with every MMU and compares.  `stop` is asked after each run."""
    tally = Tally()
    for batch in _batches(session, programs, tally):
        for which, name, one in _order(session, batch, lanes):
            for lane, run in session.runs(one, which).items():
                _compare(models[lane.mmu], lane, name, one, run, tally)
            if stop(tally):
                tally.stopped = True
                return tally
    return tally


def _batches(
    session: Session, programs: Iterable[Named], tally: Tally
) -> Iterator[list[tuple[str, Adapted]]]:
    batch: list[tuple[str, Adapted]] = []
    for name, program in programs:
        try:
            one = adapted(program, session.wish.kernel.number)
        except UsageError as error:
            tally.left_out.append((name, str(error)))
            continue
        tally.skipped += len(one.skipped)
        batch.append((name, one))
        if len(batch) == BATCH:
            yield batch
            batch = []
    yield batch


def _order(
    session: Session, batch: list[tuple[str, Adapted]], lanes: Sequence[Lane]
) -> Iterator[tuple[Sequence[Lane], str, Adapted]]:
    """Program by program where both MMUs are there at once, else MMU by MMU."""
    if session.wish.kernel.both_at_once:
        yield from ((lanes, name, one) for name, one in batch)
    else:
        yield from (((lane,), name, one) for lane in lanes for name, one in batch)


def _compare(
    model: KvmFactory, lane: Lane, name: str, one: Adapted, run: Run | Died, tally: Tally
) -> None:
    found: Difference | None
    if isinstance(run, Died):
        found = Difference(len(one.program.ops) - 1, "crash", "none", str(run))
    else:
        compared = compare(one, model, run)
        found = compared.difference
        tally.rules.update(compared.rules)
        told = splats(run)
        if found is None and told and not compared.warns:
            found = Difference(len(one.program.ops) - 1, "log", "nothing", told[0])
    tally.programs += 1
    tally.operations += len(one.program.ops)
    if found is None:
        tally.agreed += 1
    else:
        tally.found.append(Found(name, lane, one.program, found))
