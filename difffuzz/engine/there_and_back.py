# SPDX-License-Identifier: GPL-2.0-only
"""Every schedule that goes from one thread to another, and then back or elsewhere: native sides.

These are the schedules with at most two preemptions and no choice besides, in which a part of one
operation tears another; or with one.  The kernel's library plays them; what looks suspicious is
judged by the engine, under the schedule that the run amounts to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from difffuzz.engine import concurrent
from difffuzz.engine.explore import STEPS, Exploration, Shown, Stop
from difffuzz.engine.fast_schedules import NOT_SEEN_THROUGH
from difffuzz.engine.guest_concurrent import run_of
from difffuzz.errors import UsageError
from difffuzz.oracle import Verdict
from difffuzz.program import Program
from difffuzz.program.model import RUN_TO_BLOCK
from difffuzz.sides import NativeFactory, SideFactory
from difffuzz.sides.encoded import Encoded, Threads
from difffuzz.sides.played import Played, Player

Schedule = tuple[tuple[int, int], ...]


def there_and_back(
    program: Program,
    left: SideFactory,
    right: SideFactory,
    *,
    sides: Sequence[int] = (0, 1),
    back: bool = True,
    stop: Stop = lambda found: False,
) -> Exploration:
    """Searches both sides, or one of them; UsageError for one that is not native.

    `back`: after the one preemption every other may follow.
    `stop` is asked now and then, with what was found so far: True ends the search of a side.
    """
    found = Exploration()
    for number in sides:
        factory = (left, right)[number]
        if not isinstance(factory, NativeFactory):
            raise UsageError(
                f"side {factory.name!r} is no native side: there and back is played by these only"
            )
        _search(program, factory, number, back, found, stop)
        found.ends.append(set())
    return found


def _search(
    program: Program,
    factory: NativeFactory,
    number: int,
    back: bool,
    found: Exploration,
    stop: Stop,
) -> None:
    player = Player(factory.library, factory.tdp_mmu, number)
    known = {shown.divergence.signature for shown in found.shown}

    def play(schedule: Schedule, survey: int) -> Played:
        threads = Threads(schedule or RUN_TO_BLOCK, survey=survey)
        played = player.play(Encoded(program, threads), STEPS)
        found.schedules += 1
        found.steps += played.steps
        found.features.update(played.features())
        if played.reason.startswith(NOT_SEEN_THROUGH):
            found.complete = False
        elif played.reason:
            _judge(program, factory, number, played.switches(), found, known)
        return played

    for _ in _runs(back, play):
        if stop(found):
            found.complete = False
            return


def _runs(back: bool, play: Callable[[Schedule, int], Played]) -> Iterator[None]:
    """Plays what there is to play: each run tells which others depart from it, and where."""
    for there in play((), 1).choices():
        behind = there[0] + 1 if back else 0
        others = play((there,), behind).choices()
        yield
        for number, other in enumerate(others, 1):
            play((there, other), 0)
            if number % 64 == 0:
                yield


def _judge(
    program: Program,
    factory: NativeFactory,
    number: int,
    schedule: Schedule,
    found: Exploration,
    known: set[str],
) -> None:
    """Adds what the engine says of that schedule, if it was not known."""
    verdict = Verdict()
    scheduled = program._replace(schedule=schedule or RUN_TO_BLOCK)
    concurrent.run_side(scheduled, factory, number, verdict, run_of=run_of(program))
    for divergence in verdict.divergences[:1]:
        if divergence.signature not in known:
            known.add(divergence.signature)
            found.shown.append(Shown(divergence, schedule))
