# SPDX-License-Identifier: GPL-2.0-only
"""Sites: places in the code that touch a piece of shared state, numbered as they are first met.

All tasks that pass the same place share its sites, and so do all runs of a program.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Hashable
from types import CodeType, FrameType

from difffuzz.sched.task import Task

CALLERS = 3
"""So many callers make a place: the primitive, the function that uses it, and who called that."""
NOWHERE = 0
"""The site of a task that is about to touch nothing."""
OWN = os.path.dirname(__file__) + os.sep
OWN_FRAMES = 4
"""So many at least are the scheduler's own: here(), two of a strategy, and who asked that."""


class Sites:
    """`whats[site]`: what is touched there; `writes[site]`: may it change."""

    __slots__ = ("_codes", "_numbers", "_own", "whats", "writes")

    def __init__(self) -> None:
        self.whats: list[Hashable] = [None]
        self.writes = [False]
        self._numbers: dict[Hashable, int] = {}
        self._own: dict[int, bool] = {}
        """By the id of a code, whose hash is one of all that it consists of."""
        self._codes: list[CodeType] = []
        """So that they keep their ids."""

    def here(self, task: Task) -> int:
        """The site that the task, which runs, is about to touch."""
        if task.wants is None:
            return NOWHERE
        place: list[Hashable] = [task.wants, task.changes]
        own = self._own
        frame: FrameType | None = sys._getframe(OWN_FRAMES)
        while frame is not None and len(place) < 2 + 2 * CALLERS:
            code = id(frame.f_code)
            inside = own.get(code)
            if inside is None:
                inside = own[code] = frame.f_code.co_filename.startswith(OWN)
                self._codes.append(frame.f_code)
            if not inside:
                place += (code, frame.f_lasti)
            frame = frame.f_back
        key = tuple(place)
        site = self._numbers.get(key)
        if site is None:
            site = self._numbers[key] = len(self.whats)
            self.whats.append(task.wants)
            self.writes.append(task.changes)
        return site
