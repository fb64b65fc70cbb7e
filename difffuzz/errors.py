# SPDX-License-Identifier: GPL-2.0-only
"""The errors that end the command line with one line and an exit status."""

from __future__ import annotations


class UsageError(Exception):
    """Wrong use or bad input: exit status 2. The message is one line that names the place."""


class MissingTool(Exception):
    """The environment is not able: exit status 3.

    `what` is missing or broken; `command` is what the user runs to mend it.
    """

    def __init__(self, what: str, command: str) -> None:
        super().__init__(f"{what}: run '{command}'")
        self.what = what
        self.command = command
