# SPDX-License-Identifier: GPL-2.0-only
"""`python -m difffuzz.dashboard.explaining`: runs a finding and draws its page.

A process of its own: the program of a finding may do what it likes to the sides that it runs on.
One line of JSON on stdin, HTML on stdout; one line on stderr and status 2 if that cannot be.
"""

from __future__ import annotations

import sys

import msgspec

from ..errors import MissingTool, UsageError
from ..program import ProgramError, parse
from ..report.page import page_of
from ..report.recorder import Recorder
from ..running.orphan import end_with_parent
from ..running.runner import Runner


class Wish(msgspec.Struct, frozen=True):
    """What is to be drawn."""

    name: str
    left: str
    right: str
    mode: str
    program: str


def main() -> int:
    """Reads, runs, writes."""
    end_with_parent()
    wish = msgspec.json.decode(sys.stdin.buffer.read(), type=Wish)
    try:
        program = parse(wish.program, wish.name)
        sides = wish.left, wish.right
        recorder = Recorder()
        verdict = Runner(*sides, wish.mode)(program, trace=True, notes=recorder)
    except (UsageError, MissingTool, ProgramError) as error:
        print(error, file=sys.stderr)
        return 2
    page = page_of(recorder.recording(wish.name, program, sides, verdict))
    sys.stdout.buffer.write(page.encode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
