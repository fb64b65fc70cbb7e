# SPDX-License-Identifier: GPL-2.0-only
"""The 22 programs by their names, and one run of one."""

from __future__ import annotations

from functools import partial

from ...sched import KernelSplat
from ...sched.interleave import Interleaver
from ...sched.strategy import Strategy
from .buffers import circular_buffer, queue, stack
from .counts import account, lazy01, token_ring
from .locking import carter01, deadlock01, wronglock
from .shared import Make, World
from .stages import bluetooth_driver, reorder, twostage

PROGRAMS: dict[str, Make] = {
    "account": account,
    "bluetooth_driver": bluetooth_driver,
    "carter01": carter01,
    "circular_buffer": circular_buffer,
    "deadlock01": deadlock01,
    "lazy01": lazy01,
    "queue": queue,
    "reorder_3": partial(reorder, setters=2, checkers=1),
    "reorder_4": partial(reorder, setters=3, checkers=1),
    "reorder_5": partial(reorder, setters=4, checkers=1),
    "reorder_10": partial(reorder, setters=9, checkers=1),
    "reorder_20": partial(reorder, setters=10, checkers=10),
    "reorder_50": partial(reorder, setters=40, checkers=10),
    "reorder_100": partial(reorder, setters=99, checkers=1),
    "stack": stack,
    "token_ring": token_ring,
    "twostage": partial(twostage, writers=1, readers=1),
    "twostage_20": partial(twostage, writers=10, readers=10),
    "twostage_50": partial(twostage, writers=40, readers=10),
    "twostage_100": partial(twostage, writers=99, readers=1),
    "wronglock": partial(wronglock, checkers=1, adders=7),
    "wronglock_3": partial(wronglock, checkers=1, adders=3),
}
STEPS = 100_000
"""More than any run takes."""


def play(name: str, sched: Interleaver, mended: bool = False) -> bool:
    """Runs a program, whose first thread makes the others; does its bug show?"""
    world = World(name, sched, mended)
    bodies = PROGRAMS[name](world)
    made = [False] * len(bodies)

    def main() -> None:
        for number in range(len(bodies)):
            made[number] = True
            sched.point()
        if world.main is not None:
            world.main()

    def thread(number: int) -> None:
        sched.current.ready = None
        bodies[number]()

    threads = [(sched.add_task("main", 0), main)]
    for number in range(len(bodies)):
        task = sched.add_task(f"t{number}", number + 1)
        task.ready = partial(made.__getitem__, number)
        threads.append((task, partial(thread, number)))
    try:
        sched.run(threads)
    except KernelSplat as splat:
        if splat.oracle == "progress":
            raise
        return True
    return False


def play_under(name: str, strategy: Strategy, mended: bool = False) -> bool:
    """Runs a program under a strategy; does its bug show?"""
    return play(name, Interleaver(strategy, STEPS), mended)
