# SPDX-License-Identifier: GPL-2.0-only
"""carter01, deadlock01, wronglock: locks in the wrong order, and the wrong lock."""

from __future__ import annotations

from functools import partial

from .shared import Body, Cell, Lock, World


def carter01(world: World) -> list[Body]:
    """The first of a class locks the others out, under the lock that lets a class go again; mended,
    each class has its own.  Two threads do nothing."""
    mutex, out = world.lock("m"), world.lock("l")
    others = world.lock("n") if world.mended else mutex
    a, b = world.cell("A"), world.cell("B")

    def member(lock: Lock, inside: Cell) -> None:
        with lock:
            inside.add(1)
            if inside.get() == 1:
                out.lock()
        with lock:
            inside.add(-1)
            if inside.get() == 0:
                out.unlock()

    def idle() -> None:
        pass

    return [partial(member, mutex, a), partial(member, others, b), idle, idle]


def deadlock01(world: World) -> list[Body]:
    """Two locks in either order; mended, in one."""
    a, b, counter = world.lock("a"), world.lock("b"), world.cell("counter", 1)

    def up() -> None:
        with a, b:
            counter.add(1)

    def down() -> None:
        with b, a:
            counter.add(-1)

    def tidy_down() -> None:
        with a, b:
            counter.add(-1)

    return [up, tidy_down if world.mended else down]


def wronglock(world: World, checkers: int, adders: int) -> list[Body]:
    """Some count under one lock and are sure of it, others under another; mended, under it."""
    right, wrong, data = world.lock("dataLock"), world.lock("thisLock"), world.cell("dataValue")
    others = right if world.mended else wrong

    def check() -> None:
        with right:
            before = data.get()
            data.add(1)
            world.check(data.get() == before + 1)

    def add() -> None:
        with others:
            data.add(1)

    return [*[check] * checkers, *[add] * adders]
