# SPDX-License-Identifier: GPL-2.0-only
"""circular_buffer, queue, stack: one thread fills, another empties, and counts its own turns.

Each takes a turn only if it finds a flag set: whoever counts turns that it did not take is wrong.
"""

from __future__ import annotations

from .shared import Body, World

BUFFER_MAX = 10
BUFFER_TURNS = 7
QUEUE_SIZE = 20
STACK_SIZE = 10
ERROR = -1


def circular_buffer(world: World) -> list[Body]:
    """The reader expects the number of its turn; mended, the number of what it got before."""
    mutex = world.lock("m")
    buffer = world.cells("buffer", BUFFER_MAX)
    first, following = world.cell("first"), world.cell("next")
    size = world.cell("buffer_size", BUFFER_MAX)
    send, receive = world.cell("send", 1), world.cell("receive")

    def insert(value: int) -> None:
        if following.get() < size.get() and size.get() > 0:
            buffer[following.get()].set(value)
            following.set((following.get() + 1) % size.get())
            world.check(following.get() < size.get())

    def remove() -> int:
        world.check(first.get() >= 0)
        if following.get() > 0 and first.get() < size.get():
            first.add(1)
            return buffer[first.get() - 1].get()
        return ERROR

    def writer() -> None:
        for turn in range(BUFFER_TURNS):
            with mutex:
                if send.get():
                    insert(turn)
                    send.set(0)
                    receive.set(1)

    def tidy_writer() -> None:
        sent = 0
        for _ in range(BUFFER_TURNS):
            with mutex:
                if send.get():
                    insert(sent)
                    sent += 1
                    send.set(0)
                    receive.set(1)

    def reader() -> None:
        got = 0
        for turn in range(BUFFER_TURNS):
            with mutex:
                if receive.get():
                    world.check(remove() == (got if world.mended else turn))
                    got += 1
                    receive.set(0)
                    send.set(1)

    return [tidy_writer if world.mended else writer, reader]


def queue(world: World) -> list[Body]:
    """The same with a queue, and a list of what was put in; mended, all count what there was."""
    mutex = world.lock("m")
    elements, stored = world.cells("element", QUEUE_SIZE), world.cells("stored", QUEUE_SIZE)
    head, tail, amount = world.cell("head"), world.cell("tail"), world.cell("amount")
    enqueue_flag, dequeue_flag = world.cell("enqueue_flag", 1), world.cell("dequeue_flag")

    def enqueue(value: int) -> None:
        elements[tail.get()].set(value)
        amount.add(1)
        if tail.get() == QUEUE_SIZE:
            tail.set(1)
        else:
            tail.add(1)

    def dequeue() -> int:
        value = elements[head.get()].get()
        amount.add(-1)
        if head.get() == QUEUE_SIZE:
            head.set(1)
        else:
            head.add(1)
        return value

    def writer() -> None:
        value = 0
        with mutex:
            enqueue(value)
            stored[0].set(value)
            world.check(head.get() != tail.get())
        for turn in range(QUEUE_SIZE - 1):
            with mutex:
                if enqueue_flag.get():
                    value += 1
                    enqueue(value)
                    stored[value if world.mended else turn + 1].set(value)
                    enqueue_flag.set(0)
                    dequeue_flag.set(1)

    def reader() -> None:
        got = 0
        for turn in range(QUEUE_SIZE):
            with mutex:
                if dequeue_flag.get():
                    value = dequeue()
                    world.check(value == stored[got if world.mended else turn].get())
                    got += 1
                    dequeue_flag.set(0)
                    enqueue_flag.set(1)

    return [writer, reader]


def stack(world: World) -> list[Body]:
    """Once something was pushed a flag stays set, and pops go on; mended, while there is more."""
    mutex, flag, top = world.lock("m"), world.cell("flag"), world.cell("top")
    elements = world.cells("arr", STACK_SIZE)

    def push(value: int) -> None:
        world.check(top.get() != STACK_SIZE)
        elements[top.get()].set(value)
        top.add(1)

    def pop() -> None:
        world.check(top.get() != 0)
        top.add(-1)
        elements[top.get()].get()

    def pusher() -> None:
        for turn in range(STACK_SIZE):
            with mutex:
                push(turn)
                flag.set(1)

    def popper() -> None:
        for _ in range(STACK_SIZE):
            with mutex:
                if flag.get() and (not world.mended or top.get()):
                    pop()

    return [pusher, popper]
