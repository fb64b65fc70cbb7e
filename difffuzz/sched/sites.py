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


class Sites:
    """`whats[site]`: what is touched there; `writes[site]`: may it change."""

    __slots__ = ("_numbers", "_own", "whats", "writes")

    def __init__(self) -> None:
        self.whats: list[Hashable] = [None]
        self.writes = [False]
        self._numbers: dict[Hashable, int] = {}
        self._own: dict[CodeType, bool] = {}

    def here(self, task: Task) -> int:
        """The site that the task, which runs, is about to touch."""
        if task.wants is None:
            return NOWHERE
        place: list[Hashable] = [task.wants, task.changes]
        own = self._own
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and len(place) < 2 + 2 * CALLERS:
            code = frame.f_code
            inside = own.get(code)
            if inside is None:
                inside = own[code] = code.co_filename.startswith(OWN)
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
