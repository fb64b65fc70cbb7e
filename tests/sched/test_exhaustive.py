# SPDX-License-Identifier: GPL-2.0-only
"""In which order a search takes the runs that are left."""

from __future__ import annotations

from random import Random

from difffuzz.sched.strategy.exhaustive import Departure, Todo

FEW = [Departure(((step, 0),), 1, None) for step in range(10)]
MANY = [Departure(((step, 0), (step + 1, 1)), 2, None) for step in range(100)]


def taken(todo: Todo) -> list[Departure]:
    """All of them, in order."""
    return list(iter(todo.take, None))


def test_depth_first_without_random_numbers() -> None:
    todo = Todo(None)
    todo.add(MANY)
    todo.add(FEW)
    assert taken(todo) == [*FEW[::-1], *MANY[::-1]]


def test_in_random_order_most_of_the_fewest_preemptions_come_first() -> None:
    for seed in range(8):
        todo = Todo(Random(seed))
        todo.add(FEW)
        todo.add(MANY)
        order = taken(todo)
        assert sorted(order) == sorted([*FEW, *MANY])
        assert sum(one.cost == 1 for one in order[:16]) >= 6
        assert any(one.cost == 2 for one in order[:16])
        assert [one for one in order if one.cost == 2] != MANY[::-1]
