# SPDX-License-Identifier: GPL-2.0-only
"""Threads of the operating system in the place of greenlets, to measure what those are worth."""

from __future__ import annotations

import threading
from collections.abc import Callable
from unittest.mock import patch

from greenlet import GreenletExit

from ...sched import interleave


class ThreadCoroutine:
    """Stands in for a greenlet with a thread of the operating system: one runs, the others wait."""

    current: ThreadCoroutine

    def __init__(self, body: Callable[[], None] | None = None) -> None:
        self._body = body
        self._go = threading.Semaphore(0)
        self._parent = ThreadCoroutine.current if body is not None else self
        self._started = body is None
        self._thrown: BaseException | type[BaseException] | None = None
        self.dead = False

    def switch(self) -> None:
        """Lets this one run; the caller waits until somebody lets it run again."""
        caller = ThreadCoroutine.current
        ThreadCoroutine.current = self
        if self._started:
            self._go.release()
        else:
            self._started = True
            threading.Thread(target=self._run, daemon=True).start()
        caller._go.acquire()
        thrown, caller._thrown = caller._thrown, None
        if thrown is not None:
            raise thrown

    def throw(self, error: type[BaseException]) -> None:
        """Lets this one run into an exception."""
        if self._started:
            self._thrown = error
            self.switch()
        self.dead = True

    def _run(self) -> None:
        assert self._body is not None
        try:
            self._body()
        except GreenletExit:
            pass
        except BaseException as error:
            self._parent._thrown = error
        self.dead = True
        ThreadCoroutine.current = self._parent
        self._parent._go.release()


ThreadCoroutine.current = ThreadCoroutine()


def on_threads(run: Callable[[], float]) -> float:
    """Runs something with threads in the place of greenlets."""
    with patch.multiple(
        interleave, greenlet=ThreadCoroutine, getcurrent=lambda: ThreadCoroutine.current
    ):
        return run()
