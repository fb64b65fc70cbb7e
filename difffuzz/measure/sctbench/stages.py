# SPDX-License-Identifier: GPL-2.0-only
"""reorder, twostage, bluetooth_driver: somebody looks between the first step and the second."""

from __future__ import annotations

from .shared import Body, World


def reorder(world: World, setters: int, checkers: int) -> list[Body]:
    """Two variables are set one after the other; mended, under a lock."""
    a, b, mutex = world.cell("a"), world.cell("b"), world.lock("mended")

    def set_both() -> None:
        a.set(1)
        b.set(-1)

    def check() -> None:
        world.check((a.get() == 0 and b.get() == 0) or (a.get() == 1 and b.get() == -1))

    def set_locked() -> None:
        with mutex:
            set_both()

    def check_locked() -> None:
        with mutex:
            check()

    if world.mended:
        return [*[set_locked] * setters, *[check_locked] * checkers]
    return [*[set_both] * setters, *[check] * checkers]


def twostage(world: World, writers: int, readers: int) -> list[Body]:
    """The same with a lock for each variable; mended, the first is held over both."""
    lock1, lock2 = world.lock("data1Lock"), world.lock("data2Lock")
    data1, data2 = world.cell("data1Value"), world.cell("data2Value")

    def second_stage() -> None:
        with lock2:
            data2.set(data1.get() + 1)

    def write() -> None:
        with lock1:
            data1.set(1)
            if world.mended:
                second_stage()
        if not world.mended:
            second_stage()

    def read() -> None:
        with lock1:
            if data1.get() == 0:
                return
            first = data1.get()
        with lock2:
            second = data2.get()
        world.check(second == first + 1)

    return [*[write] * writers, *[read] * readers]


def bluetooth_driver(world: World) -> list[Body]:
    """A driver looks whether it is to stop, and then counts itself; mended, the other way round."""
    atomic = world.lock("atomic")
    pending, flag = world.cell("pendingIo", 1), world.cell("stoppingFlag")
    event, stopped = world.cell("stoppingEvent"), world.cell("stopped")

    def increment() -> bool:
        if not world.mended and flag.get():
            return False
        with atomic:
            pending.add(1)
        return not (world.mended and flag.get())

    def decrement() -> None:
        with atomic:
            pending.add(-1)
            left = pending.get()
        if left == 0:
            event.set(1)

    def add() -> None:
        if increment():
            world.check(not stopped.get())
        decrement()

    def stop() -> None:
        flag.set(1)
        decrement()
        if event.get():
            stopped.set(1)

    world.main = add
    return [stop]
