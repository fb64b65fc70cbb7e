# SPDX-License-Identifier: GPL-2.0-only
"""In which order a search takes the runs that are left."""

from __future__ import annotations

from random import Random

from difffuzz.sched.strategy.exhaustive import Departure, Path, Todo

FEW = [Departure(Path(((step, 0),), 1), None) for step in range(10)]
MANY = [Departure(Path(((step, 0), (step + 1, 1)), 2), None) for step in range(100)]
TEARING = [Departure(Path(((step, 1),), 2, frozenset({0x1000})), None) for step in range(10)]


def taken(todo: Todo) -> list[Departure]:
    """All of them, in order."""
    return list(iter(todo.take, None))


def test_depth_first_without_random_numbers() -> None:
    todo = Todo(None)
    todo.add(MANY)
    todo.add(TEARING)
    todo.add(FEW)
    assert taken(todo) == [*FEW[::-1], *TEARING[::-1], *MANY[::-1]]


def test_in_random_order_most_of_the_fewest_preemptions_come_first() -> None:
    for seed in range(8):
        todo = Todo(Random(seed))
        todo.add(FEW)
        todo.add(MANY)
        order = taken(todo)
        assert sorted(order) == sorted([*FEW, *MANY])
        assert sum(one.path.cost == 1 for one in order[:16]) >= 6
        assert any(one.path.cost == 2 for one in order[:16])
        assert [one for one in order if one.path.cost == 2] != MANY[::-1]


def test_in_random_order_half_of_the_first_tear_an_spte() -> None:
    tearing = 0
    for seed in range(16):
        todo = Todo(Random(seed))
        todo.add([*TEARING, *FEW, *MANY])
        order = taken(todo)
        assert sorted(order) == sorted([*TEARING, *FEW, *MANY])
        tearing += sum(bool(one.path.torn) for one in order[:10])
    assert 60 <= tearing <= 100
