# SPDX-License-Identifier: GPL-2.0-only
"""A reproducer in C, or a binary, run on a booted kernel with each of its MMUs."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from difffuzz.errors import MissingTool, UsageError
from difffuzz.native.run import required

from . import protocol
from .agent import PACKAGES, build
from .boot import Refused
from .observed import Reader
from .session import Died, Lane, Session
from .wire import Broken

MOST_BYTES = 32 << 20
READ_SECONDS = 120
"""Besides its own: until its trace is read, at 15,000 lines a second."""
SKIPPED = 4
"""Exit status of a reproducer that could not tell, as KTAP has it."""
_BAD = re.compile(r"^\s*not ok .*$", re.MULTILINE)
_WRONG = re.compile(r"^# wrong in (\d+) of (\d+) rounds", re.MULTILINE)


class Outcome(NamedTuple):
    """What came of it on one MMU."""

    mmu: str
    status: int
    """Exit status, or 128 and the signal that ended it."""
    output: str
    trace: str = ""
    """ftrace's text of it, if the session has all traced."""
    log: tuple[str, ...] = ()
    """Warnings of the kernel's log."""

    @property
    def verdict(self) -> str:
        """ok, not ok, or skipped."""
        if self.status == SKIPPED or "1..0 # SKIP" in self.output:
            return "skipped"
        return "not ok" if self.status or _BAD.search(self.output) else "ok"

    @property
    def bad(self) -> list[str]:
        """The points that are not ok, each with the remark behind it."""
        lines = self.output.splitlines()
        return [
            " ".join([line.strip(), *(n.strip() for n in lines[i + 1 : i + 2] if n[:1] == "#")])
            for i, line in enumerate(lines)
            if _BAD.match(line)
        ]

    @property
    def rounds(self) -> tuple[int, int]:
        """In how many rounds it was wrong, of how many."""
        found = _WRONG.search(self.output)
        if found:
            return int(found[1]), int(found[2])
        return int(self.verdict == "not ok"), 1


def binary_of(file: Path) -> bytes:
    """The program: C is built by the system's gcc, all else is taken as it is.

    UsageError: it is neither.  MissingTool: no compiler.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise UsageError(f"{file}: {error.strerror}") from None
    if file.suffix == ".c":
        compiler = required("gcc", *PACKAGES)
        with tempfile.TemporaryDirectory(prefix="difffuzz-") as folder:
            made = Path(folder) / "program"
            try:
                build(compiler, [str(file)], made)
            except MissingTool as error:
                raise UsageError(f"{file}: {error.what}") from None
            data = made.read_bytes()
    if not data.startswith(b"\x7fELF"):
        raise UsageError(f"{file}: neither C (*.c) nor a program")
    if len(data) > MOST_BYTES:
        raise UsageError(f"{file}: more than {MOST_BYTES >> 20} MiB")
    return data


def run_binary(
    session: Session, data: bytes, lane: Lane, seconds: int, arguments: Sequence[str] = ()
) -> Outcome:
    """Runs it with kvm loaded for that MMU.  Died: the kernel does, on two boots."""
    words = b"".join(word.encode() + b"\0" for word in arguments)
    payload = bytes(protocol.ExecuteHead(seconds, len(words))) + words + data
    if len(payload) > protocol.MAX_FRAME:
        raise UsageError("its arguments are too long")
    for last in (False, True):
        try:
            session.load(lane, alone=True)
            answer = session.boot().ask(protocol.EXECUTE, payload, seconds + READ_SECONDS)
            return _outcome(lane, answer)
        except Broken as error:
            session.drop()
            if last:
                raise Died(str(error)) from None
        except Refused as error:
            raise UsageError(f"the agent: {error}") from None
    raise AssertionError


def _outcome(lane: Lane, answer: bytes) -> Outcome:
    reader = Reader(answer)
    status = reader.number()
    code = 128 + (status & 0x7F) if status & 0x7F else status >> 8
    output, trace, log = (
        reader.take(reader.number()).decode("utf-8", "replace") for _ in range(3)
    )  # fmt: skip
    return Outcome(lane.mmu, code, output, trace, tuple(log.splitlines()))
