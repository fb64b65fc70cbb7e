# SPDX-License-Identifier: GPL-2.0-only
"""Run one program on two named sides and say what happened, whatever happened.

Importing this module loads the engine and the sides: a process that instruments the model does so
before (see instrument.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import NamedTuple

from ..engine import lockstep
from ..errors import UsageError
from ..program import Program
from ..sides import open_side
from ..variants.engine import canonical_name
from .watchdog import Hang, Watchdog

MODES = ("lockstep",)


class Divergence(NamedTuple):
    """What an oracle reports."""

    oracle: str
    signature: str
    detail: str
    op_index: int | None = None


class Outcome(NamedTuple):
    """One execution: its divergences (none: the sides agree) and what it adds to the figures."""

    divergences: tuple[Divergence, ...]
    operations: int = 0
    features: Iterable[int] = ()
    allowed: Mapping[str, int] = {}
    trace: Iterable[object] = ()


class Runner:
    """Runs programs on two sides. Names are resolved once; UsageError for an unknown one."""

    def __init__(self, left: str, right: str, mode: str = "lockstep") -> None:
        if mode not in MODES:
            raise UsageError(f"mode {mode!r} is not one of {', '.join(MODES)}")
        self.left = left
        self.right = right
        self.mode = mode
        self._left = open_side(left)
        self._right = open_side(right)
        self._watchdog = Watchdog()

    def __call__(self, program: Program, trace: bool = False) -> Outcome:
        """Run the program. A crash or hang of difffuzz itself is a divergence like any other."""
        watchdog = self._watchdog
        watchdog.start()
        try:
            verdict = lockstep.run(program, self._left, self._right, trace=trace)
            watchdog.stop()
        except Hang:
            return self._failed("progress", "hang", "the execution does not end")
        except Exception as error:
            watchdog.stop()
            place = _place(error.__traceback__)
            return self._failed("crash", f"{type(error).__name__}@{place}", f"{error!r} in {place}")
        return Outcome(
            tuple(
                Divergence(found.oracle, found.signature, found.detail, found.op_index)
                for found in verdict.divergences
            ),
            verdict.operations,
            verdict.features,
            verdict.allowed,
            verdict.trace or () if trace else (),
        )

    def close(self) -> None:
        """Stop the timer that finds hangs."""
        self._watchdog.close()

    def _failed(self, oracle: str, what: str, detail: str) -> Outcome:
        signature = f"{oracle}:{self.left}:{self.right}:{what}"
        return Outcome((Divergence(oracle, signature, detail),))


def _place(traceback: TracebackType | None) -> str:
    """Module and function of the innermost frame: stays the same when line numbers move."""
    place = "?"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = canonical_name(str(traceback.tb_frame.f_globals.get("__name__", "?")))
        place = f"{module}.{code.co_qualname}"
        traceback = traceback.tb_next
    return place
