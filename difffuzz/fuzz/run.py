# SPDX-License-Identifier: GPL-2.0-only
"""Run one program on two named sides and say what happened, whatever happened.

Importing this module loads the engine and the sides: a process that instruments the model does so
before (see instrument.py).
"""

from __future__ import annotations

from types import TracebackType

from ..engine import lockstep
from ..errors import UsageError
from ..oracle.verdict import Divergence, Verdict, Violation, signature
from ..program import Program
from ..sched.core import STEP_LIMIT
from ..sides import open_side
from ..variants.engine import canonical_name
from .watchdog import HANG, Hang, Watchdog

MODES = ("lockstep",)
FUZZ_STEPS = 60_000
"""Steps after which a fuzzer gives up a program: a usual one takes six hundred."""


class Runner:
    """Runs programs on two sides. Names are resolved once; UsageError for an unknown one."""

    def __init__(
        self, left: str, right: str, mode: str = "lockstep", max_steps: int = STEP_LIMIT
    ) -> None:
        if mode not in MODES:
            raise UsageError(f"mode {mode!r} is not one of {', '.join(MODES)}")
        self.left = left
        self.right = right
        self.mode = mode
        self.max_steps = max_steps
        self._left = open_side(left)
        self._right = open_side(right)
        self.watchdog = Watchdog()

    def __call__(self, program: Program, trace: bool = False) -> Verdict:
        """Run the program. A crash or hang of difffuzz itself is a divergence like any other.

        UsageError if a side cannot run a program of this configuration.
        """
        watchdog = self.watchdog
        watchdog.start()
        try:
            verdict = lockstep.run(
                program, self._left, self._right, trace=trace, max_steps=self.max_steps
            )
            watchdog.stop()
        except Hang:
            return self._failed("progress", HANG, "the execution does not end")
        except UsageError:
            watchdog.stop()
            raise
        except Exception as error:
            watchdog.stop()
            place = f"{type(error).__name__}@{_place(error.__traceback__)}"
            return self._failed("crash", place, f"{error!r} in {_place(error.__traceback__)}")
        return verdict

    def _failed(self, oracle: str, location: str, detail: str) -> Verdict:
        violation = Violation(oracle, f"{self.left}/{self.right}", location, detail)
        verdict = Verdict()
        verdict.divergences.append(
            Divergence(oracle, signature(violation, "program"), detail, None)
        )
        return verdict


def _place(traceback: TracebackType | None) -> str:
    """Module and function of the innermost frame: stays the same when line numbers move."""
    place = "?"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        module = canonical_name(str(traceback.tb_frame.f_globals.get("__name__", "?")))
        place = f"{module}.{code.co_qualname}"
        traceback = traceback.tb_next
    return place
