# SPDX-License-Identifier: GPL-2.0-only
"""The page that steps through a finding, made when it is asked for and kept for a while."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import OrderedDict
from threading import Lock
from typing import Final

import msgspec

from ..campaign.chores import sides_of
from ..running.orphan import parent_note
from ..triage.record import Record
from .campaigns import Campaign, NotThere, Unreadable
from .explaining import Wish
from .findings import shown_record

COMMAND: Final = (sys.executable, "-m", "difffuzz.dashboard.explaining")
SECONDS: Final = 60.0
KEPT: Final = 32
"""Pages; one has a few hundred KB."""


class Explained:
    """Pages that were made; one is made at a time."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._pages: OrderedDict[Wish, bytes] = OrderedDict()
        self._running: subprocess.Popen[bytes] | None = None

    def page(self, campaign: Campaign, name: str) -> bytes:
        """HTML with a policy of its own.

        NotThere: no such finding, it is embargoed, or its sides are not those of a lane, so that it
        is not run; Unreadable: it cannot be run.
        """
        record = shown_record(campaign, name)
        if (record.left, record.right) not in sides_of(campaign.config()):
            raise NotThere(
                f"finding {name} is of sides that no lane of {campaign.name} has: it is not run"
            )
        wish = _wish(record)
        with self._lock:
            if wish not in self._pages:
                self._pages[wish] = self._made(wish)
                while len(self._pages) > KEPT:
                    self._pages.popitem(last=False)
            self._pages.move_to_end(wish)
            return self._pages[wish]

    def close(self) -> None:
        """Who waits for a page waits no longer."""
        running = self._running
        if running is not None:
            running.kill()

    def _made(self, wish: Wish) -> bytes:
        pipe = subprocess.PIPE
        environment = os.environ | parent_note()
        with subprocess.Popen(
            COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, env=environment
        ) as one:
            self._running = one
            try:
                page, said = one.communicate(msgspec.json.encode(wish), SECONDS)
            except subprocess.TimeoutExpired as error:
                one.kill()
                text = f"finding {wish.name} does not end within {SECONDS:.0f} s"
                raise Unreadable(text) from error
            finally:
                self._running = None
        if one.returncode:
            lines = said.decode(errors="replace").splitlines()[-1:] or ["it was killed"]
            raise Unreadable(f"finding {wish.name} cannot be run: {lines[0]}")
        return page


def _wish(record: Record) -> Wish:
    return Wish(record.id, record.left, record.right, record.mode, record.program)
