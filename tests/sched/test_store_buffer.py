# SPDX-License-Identifier: GPL-2.0-only
"""Store buffers: litmus tests, explored exhaustively, end as x86-TSO says, no more and no less.

What x86-TSO says is worked out by a machine of its own: memory, a buffer for each thread, a lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from random import Random
from typing import NamedTuple

import pytest

from difffuzz.sched import Mutex, RwLock, SpinLock
from difffuzz.sched.choice import Strategy
from difffuzz.sched.interleave import Interleaver
from difffuzz.sched.series import SERIES, Known
from difffuzz.sched.store_buffer import FIRST_BUFFER
from difffuzz.sched.strategy import Delays, RandomWalk, Record, ScheduleStrategy
from difffuzz.sched.strategy.exhaustive import BoundedSearch, Merge
from difffuzz.sched.task import KernelSplat
from difffuzz.sched.tracing import Tracing
from difffuzz.sched.transitions import Decision

Instruction = tuple[str, ...]
Test = tuple[tuple[Instruction, ...], ...]
End = tuple[int, ...]
DEPARTURES = 3
"""Enough for all ends of these tests."""


def litmus(text: str) -> Test:
    """Threads one below the other; `x=1` stores, `x` loads, `fence`, `lock L`, `x+` is locked."""
    return tuple(
        tuple(tuple(word.split()) for word in line.split(";"))
        for line in map(str.strip, text.strip().splitlines())
    )


class Memory:
    def __init__(self) -> None:
        self.x = self.y = self.z = 0


def thread(
    sched: Interleaver,
    code: tuple[Instruction, ...],
    memory: Memory,
    locks: dict[str, SpinLock],
    seen: list[int],
) -> None:
    for word, *rest in code:
        if word == "fence":
            sched.fence()
        elif word == "lock":
            locks[rest[0]].lock()
        elif word == "unlock":
            locks[rest[0]].unlock()
        elif "=" in word:
            name, value = word.split("=")
            sched.store(name, memory, name, int(value))
        elif word.endswith("+"):
            name = word[:-1]
            sched.point(name)
            seen.append(getattr(memory, name))
            setattr(memory, name, seen[-1] + 1)
        else:
            sched.point(word, False)
            seen.append(sched.seen(word, getattr(memory, word)))


def run(test: Test, sched: Interleaver) -> End:
    """How one run ends: what each thread read, then memory."""
    memory = Memory()
    locks: dict[str, SpinLock] = {name: SpinLock(sched, name) for name in "LM"}
    locks["S"] = Mutex(sched, "S")
    seen: list[list[int]] = [[] for _ in test]
    bodies = [
        (sched.add_task(f"task{n}", n), partial(thread, sched, code, memory, locks, seen[n]))
        for n, code in enumerate(test)
    ]
    sched.run(bodies)
    return (*(value for each in seen for value in each), memory.x, memory.y, memory.z)


def explored(
    test: Test,
    delays: bool = True,
    departures: int = DEPARTURES,
    run: Callable[[Test, Interleaver], End] = run,
) -> set[End]:
    """The ends of all schedules."""
    ends: set[End] = set()

    def once(
        strategy: Strategy, merged: Merge | None, worth: Merge | None, since: Decision | None
    ) -> list[Decision]:
        sched = Tracing(strategy, 1000)
        sched.delays = delays
        sched.start_tracing(merged, worth, since)
        ends.add(run(test, sched))
        return sched.decisions

    search = BoundedSearch(once, departures, reduce=False)
    search.search(lambda: False)
    assert search.complete
    return ends


class Thread(NamedTuple):
    """Of the abstract machine: how far it is, what waits in its buffer, what it has read."""

    at: int = 0
    buffer: tuple[tuple[str, int], ...] = ()
    seen: tuple[int, ...] = ()


class State(NamedTuple):
    """Of the abstract machine."""

    threads: tuple[Thread, ...]
    memory: tuple[tuple[str, int], ...] = (("x", 0), ("y", 0), ("z", 0))
    held: frozenset[str] = frozenset()


FREE = -1
"""What the release of a lock stores."""


def machine(test: Test, delays: bool = True) -> set[End]:
    """The ends of the abstract machine: a thread goes on, or a buffer loses its oldest store."""
    ends: set[End] = set()
    known: set[State] = set()
    todo = [State(tuple(Thread() for _ in test))]
    while todo:
        state = todo.pop()
        if state in known:
            continue
        known.add(state)
        following = [
            State((*state.threads[:n], thread, *state.threads[n + 1 :]), memory, held)
            for n, code in enumerate(test)
            for thread, memory, held in steps(code, state.threads[n], state, delays)
        ]
        if not following:
            read = [value for thread in state.threads for value in thread.seen]
            ends.add((*read, *dict(state.memory).values()))
        todo += following
    return ends


Step = tuple[Thread, tuple[tuple[str, int], ...], frozenset[str]]


def steps(
    code: tuple[Instruction, ...], thread: Thread, state: State, delays: bool
) -> Iterator[Step]:
    """What one thread, or its buffer, may do."""
    at, buffer, seen = thread
    memory, held = state.memory, state.held
    if buffer:
        yield (thread._replace(buffer=buffer[1:]), *stored(buffer[0], memory, held))
    if at == len(code):
        return
    word, *rest = code[at]
    after = thread._replace(at=at + 1)
    store = None
    if word == "unlock":
        store = rest[0], FREE
    elif "=" in word:
        store = word[0], int(word[2:])
    if store is not None:
        if delays and store[0] != "S":
            yield after._replace(buffer=(*buffer, store)), memory, held
        elif not buffer:
            yield (after, *stored(store, memory, held))
    elif word == "lock":
        if not buffer and rest[0] not in held:
            yield after, memory, held | {rest[0]}
    elif word == "fence":
        if not buffer:
            yield after, memory, held
    elif word.endswith("+"):
        if not buffer:
            old = dict(memory)[word[0]]
            yield (
                after._replace(seen=(*seen, old)),
                *stored((word[0], old + 1), memory, held),
            )
    else:
        own = [value for name, value in buffer if name == word]
        value = own[-1] if own else dict(memory)[word]
        yield after._replace(seen=(*seen, value)), memory, held


def stored(
    store: tuple[str, int], memory: tuple[tuple[str, int], ...], held: frozenset[str]
) -> tuple[tuple[tuple[str, int], ...], frozenset[str]]:
    """Memory and held locks after a store, or the release of a lock, is visible."""
    name, value = store
    if value == FREE:
        return memory, held - {name}
    return tuple({**dict(memory), name: value}.items()), held


def reads(ends: set[End], count: int) -> set[End]:
    return {end[:count] for end in ends}


SB = litmus("x=1; y\ny=1; x")
ALLOWED: dict[str, tuple[Test, int, End, bool]] = {
    # name: threads, how many values are read, an end, does x86 allow it?
    "SB": (SB, 2, (0, 0), True),
    "SB+mfences": (litmus("x=1; fence; y\ny=1; fence; x"), 2, (0, 0), False),
    "SB+mfence": (litmus("x=1; fence; y\ny=1; x"), 2, (0, 0), True),
    "SB+locked": (litmus("x+; y\ny+; x"), 4, (0, 0, 0, 0), False),
    "SB+locked-elsewhere": (litmus("x=1; z+; y\ny=1; z+; x"), 4, (0, 0, 1, 0), False),
    "SB+same-lock": (
        litmus("lock L; x=1; y; unlock L\nlock L; y=1; x; unlock L"),
        2,
        (0, 0),
        False,
    ),
    "SB+locks": (litmus("lock L; x=1; y; unlock L\nlock M; y=1; x; unlock M"), 2, (0, 0), True),
    "SB+unlocks": (litmus("lock L; x=1; unlock L; y\nlock M; y=1; unlock M; x"), 2, (0, 0), True),
    "SB+mutex-unlock": (
        litmus("lock S; x=1; unlock S; y\nlock L; y=1; unlock L; fence; x"),
        2,
        (0, 0),
        False,
    ),
    "SB+next-lock": (
        litmus("x=1; lock L; y; unlock L\ny=1; lock M; x; unlock M"),
        2,
        (0, 0),
        False,
    ),
    "MP": (litmus("x=1; y=1\ny; x"), 2, (1, 0), False),
    "MP+unlock": (litmus("lock L; x=1; unlock L\nlock L; x; unlock L; x"), 2, (1, 0), False),
    "LB": (litmus("x; y=1\ny; x=1"), 2, (1, 1), False),
    "IRIW": (litmus("x=1\ny=1\nx; y\ny; x"), 4, (1, 0, 1, 0), False),
    "S": (litmus("x=2; y=1\ny; x=1"), 2, (1, 2), False),
    "R": (litmus("x=1; y=1\ny=2; x"), 3, (0, 1, 2), True),
    "2+2W": (litmus("x=1; y=2\ny=1; x=2"), 2, (1, 1), False),
    "WRC": (litmus("x=1\nx; y=1\ny; x"), 3, (1, 1, 0), False),
    "n6": (litmus("x=1; x; y\ny=2; x=2"), 4, (1, 0, 1, 2), True),
    "n5": (litmus("x=1; x\nx=2; x"), 2, (2, 1), False),
    "n4b": (litmus("x; x=1\nx; x=2"), 2, (2, 1), False),
    "SB+rfis": (litmus("x=1; x; y\ny=1; y; x"), 4, (1, 0, 1, 0), True),
}


@pytest.mark.parametrize("name", ALLOWED)
def test_litmus(name: str) -> None:
    test, count, end, allowed = ALLOWED[name]
    ends = explored(test, departures=2 if name == "IRIW" else DEPARTURES)
    assert (end in reads(ends, count)) is allowed
    assert ends == machine(test)


@pytest.mark.parametrize("name", ALLOWED)
def test_nothing_is_delayed_unless_it_is_asked_for(name: str) -> None:
    test, count, end, _ = ALLOWED[name]
    ends = explored(test, delays=False)
    assert ends == machine(test, delays=False)
    assert name in ("SB+same-lock", "2+2W") or end not in reads(ends, count)


def test_any_program_ends_as_the_machine_says() -> None:
    words = ("x=1", "x=2", "y=1", "y=2", "x", "y", "x+", "fence")
    rng = Random(1)
    for number in range(60):
        sizes = (3 - number % 2, 2)
        test = tuple(tuple((word,) for word in rng.choices(words, k=size)) for size in sizes)
        assert explored(test) == machine(test), test


def test_a_schedule_repeats_its_delays() -> None:
    sched = Interleaver(ScheduleStrategy(((2, FIRST_BUFFER),)), 1000)
    sched.delays = True
    assert run(SB, sched) == (0, 0, 1, 1, 0)


def test_every_strategy_can_delay() -> None:
    for name, make in SERIES.items():
        known = Known()
        series = make(Random(0), known)
        ends, switches = set(), set()
        for _ in range(300):
            strategy = series.next()
            record = Record(Delays(strategy, Random(known.runs)))
            sched = Interleaver(record, 1000)
            sched.delays = True
            ends.add(run(SB, sched))
            switches.add(tuple(record.switches))
            again = Interleaver(ScheduleStrategy(record.switches), 1000)
            again.delays = True
            assert run(SB, again) in ends
            series.learn(strategy, known.learn(strategy))
        assert ends == machine(SB), name


def test_a_released_lock_can_be_taken_again() -> None:
    test = litmus("lock L; x=1; unlock L; lock L; x=2; unlock L\nlock L; x; unlock L")
    assert explored(test) == machine(test)


def test_a_task_that_waits_has_stored() -> None:
    """Else nobody would ever see what they wait for."""
    sched = Interleaver(ScheduleStrategy(((2, FIRST_BUFFER),)), 1000)
    sched.delays = True
    memory = Memory()
    done: list[int] = []

    def waits() -> None:
        sched.store("x", memory, "x", 1)
        sched.wait("y", lambda: memory.y == 1)
        done.append(memory.y)

    def answers() -> None:
        sched.wait("x", lambda: memory.x == 1)
        sched.store("y", memory, "y", 1)

    sched.run([(sched.add_task("a", 0), waits), (sched.add_task("b", 1), answers)])
    assert done == [1]


@pytest.mark.parametrize("make", [RwLock, SpinLock, Mutex])
def test_what_a_lock_protects_is_seen_by_its_next_holder(
    make: Callable[[Interleaver, str], RwLock | SpinLock],
) -> None:
    for seed in range(200):
        sched = Interleaver(Delays(RandomWalk(Random(seed), 0.0), Random(seed)), 1000)
        sched.delays = True
        memory = Memory()
        lock = make(sched, "lock")
        sched.run([(sched.add_task(str(n), n), partial(adds, sched, memory, lock)) for n in (0, 1)])
        assert memory.x == 6


def adds(sched: Interleaver, memory: Memory, lock: RwLock | SpinLock) -> None:
    for _ in range(3):
        if isinstance(lock, RwLock):
            lock.write_lock()
        else:
            lock.lock()
        sched.store("x", memory, "x", sched.seen("x", memory.x) + 1)
        if isinstance(lock, RwLock):
            lock.write_unlock()
        else:
            lock.unlock()


def test_a_lock_is_still_judged() -> None:
    sched = Interleaver(ScheduleStrategy(((2, FIRST_BUFFER),)), 1000)
    sched.delays = True
    lock = SpinLock(sched, "L")
    memory = Memory()

    def body() -> None:
        lock.lock()
        sched.store("x", memory, "x", 1)
        lock.lock()

    with pytest.raises(KernelSplat, match="taken again"):
        sched.run([(sched.add_task("a", 0), body)])
