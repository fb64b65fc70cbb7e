# SPDX-License-Identifier: GPL-2.0-only
"""Where the workers of a campaign are: on this machine, or on those of a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from .config import Config, Lane
from .crew import Crew
from .tally import Tally


class Fleet(Protocol):
    """What a campaign needs of those who work for it.

    They leave new programs in corpus/ and findings in findings/ of the campaign's folder.
    """

    def start(self) -> None:
        """Makes ready; nobody works yet.  MissingTool."""

    def places(self) -> Sequence[str]:
        """Where a worker can be now."""

    def assign(self, place: str, lane: Lane) -> None:
        """The worker of a place goes to a lane."""

    def poll(self) -> list[Tally]:
        """The figures of those at work, and the last ones of those that ended."""

    def pause(self, on: bool) -> None:
        """Everybody stops where he is, or goes on."""

    def stop(self, seconds: float) -> list[Tally]:
        """Everybody ends; what was reported is in the folder.  The last figures."""

    def kill(self) -> None:
        """No process is left behind, whatever happened."""


class LocalFleet:
    """The worker processes of this machine, in the campaign's own folder."""

    def __init__(self, folder: Path, config: Config) -> None:
        self._crew = Crew(folder, config, [str(number) for number in range(config.jobs)])

    def start(self) -> None:
        self._crew.prepare()

    def places(self) -> Sequence[str]:
        return self._crew.places

    def assign(self, place: str, lane: Lane) -> None:
        self._crew.assign(place, lane)

    def poll(self) -> list[Tally]:
        return self._crew.poll()

    def pause(self, on: bool) -> None:
        self._crew.pause(on)

    def stop(self, seconds: float) -> list[Tally]:
        self._crew.stop(seconds)
        return self._crew.poll()

    def kill(self) -> None:
        self._crew.kill()
