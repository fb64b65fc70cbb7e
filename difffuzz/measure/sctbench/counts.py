# SPDX-License-Identifier: GPL-2.0-only
"""account, lazy01, token_ring: what some threads count depends on who comes first."""

from __future__ import annotations

from .shared import Body, World


def account(world: World) -> list[Body]:
    """Somebody pays in, somebody draws, somebody looks and has the sum wrong."""
    mutex = world.lock("m")
    x, y, z = world.cell("x", 1), world.cell("y", 2), world.cell("z", 4)
    balance = world.cell("balance", 1)
    paid, drawn = world.cell("deposit_done"), world.cell("withdraw_done")

    def look() -> None:
        with mutex:
            if paid.get() and drawn.get():
                there, first, more = balance.get(), x.get(), y.get()
                expected = first + more if world.mended else first - more
                world.check(there == expected - z.get())

    def deposit() -> None:
        with mutex:
            balance.set(balance.get() + y.get())
            paid.set(1)

    def withdraw() -> None:
        with mutex:
            balance.set(balance.get() - z.get())
            drawn.set(1)

    return [look, deposit, withdraw]


def lazy01(world: World) -> list[Body]:
    """Two threads add one and two; a third one does not like to see both."""
    mutex, data = world.lock("mutex"), world.cell("data")

    def add(value: int) -> None:
        with mutex:
            data.add(value)

    def look() -> None:
        with mutex:
            there = data.get()
            world.check(there <= 3 if world.mended else there < 3)

    return [lambda: add(1), lambda: add(2), look]


def token_ring(world: World) -> list[Body]:
    """A token goes round if the stations come in their order; mended, they wait for it."""
    mutex = world.lock("atomic")
    x1, x2, x3 = world.cell("x1", 1), world.cell("x2", 2), world.cell("x3", 1)
    flag1, flag2, flag3 = world.cell("flag1"), world.cell("flag2"), world.cell("flag3")

    def first() -> None:
        with mutex:
            x1.set((x3.get() + 1) % 4)
            flag1.set(1)

    def second() -> None:
        with mutex:
            if world.mended and not flag1.get():
                return
            x2.set(x1.get())
            flag2.set(1)

    def third() -> None:
        with mutex:
            if world.mended and not flag2.get():
                return
            x3.set(x2.get())
            flag3.set(1)

    def look() -> None:
        with mutex:
            if flag1.get() and flag2.get() and flag3.get():
                world.check(x1.get() == x2.get() and x2.get() == x3.get())

    return [first, second, third, look]
