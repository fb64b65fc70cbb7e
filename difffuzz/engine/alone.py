# SPDX-License-Identifier: GPL-2.0-only
"""One side runs a program by itself, judged by its own oracles, and tells what each operation did.

It is what lockstep.py does with a side, and harness/native/machine with the kernel's own code, but
for the comparison, which is for who has the PlayedOps of both.
"""

from __future__ import annotations

from collections.abc import Collection

from difffuzz.engine.features import answer
from difffuzz.engine.judged_side import JudgedSide, crash
from difffuzz.engine.lockstep import MEMSLOT_UPDATES, without_collector
from difffuzz.errors import UsageError
from difffuzz.oracle import Verdict
from difffuzz.program import Kind, Op, Program
from difffuzz.sched import KernelSplat
from difffuzz.sched.core import STEP_LIMIT
from difffuzz.sides import KvmFactory
from difffuzz.sides.memory_map import MemoryMap
from difffuzz.sides.played import PlayedOp


class Alone:
    """A run of one side; read it when run() is over."""

    def __init__(
        self,
        program: Program,
        factory: KvmFactory,
        number: int,
        ends: Collection[int],
        max_steps: int,
    ) -> None:
        """`number`: 0 left, 1 right, of the features.  `ends`: operations whose faults do not stay
        parked.  UsageError if the side cannot run the program's configuration."""
        self._program = program
        self._factory = factory
        self._number = number
        self._ends = ends
        self._limit = max_steps if max_steps < STEP_LIMIT else factory.step_limit
        self._limited = max_steps < STEP_LIMIT
        self._memory = MemoryMap(program.config)
        self.verdict = Verdict()
        """Features, rules that were used, steps."""
        self.operations: list[PlayedOp] = []
        self.suspicion = ""
        """Why it ended early; empty if it did not."""

    def run(self) -> None:
        """Runs all operations, or those up to the first that an oracle objects to."""
        with without_collector():
            try:
                side = self._factory.start(self._program.config)
            except KernelSplat as splat:
                self.suspicion = f"{splat.oracle}: {splat.where}"
                return
            except UsageError:
                raise
            except Exception as error:  # a crash of the model
                self.suspicion = crash(self._factory.name, error).detail
                return
            verdict = self.verdict
            side.sched.budget += self._limit - STEP_LIMIT
            judged = JudgedSide(
                self._number,
                side,
                self._program.config,
                self._memory,
                verdict.allowed,
                verdict.features,
                self._limited,
                self._factory.step_limit,
            )
            for at, op in enumerate(self._program.ops):
                for one in [*self._waited_for(judged, op), op]:
                    self._run_op(judged, one, at)
                if at in self._ends:
                    self._run_op(judged, Op(Kind.END_FAULT, op.thread, ()), at)
                if self.suspicion:
                    return
            verdict.steps = self._limit - side.sched.budget
            verdict.operations = len(self._program.ops)
            judged.finish(len(self._program.ops) + 1)
            self._note_violations(judged)

    def _waited_for(self, judged: JudgedSide, op: Op) -> list[Op]:
        """The ends of parked faults that come before the operation, as in lockstep."""
        if op.kind in MEMSLOT_UPDATES:
            waited = sorted(judged.parked)
        elif op.thread in judged.parked and op.kind not in (Kind.BEGIN_FAULT, Kind.END_FAULT):
            waited = [op.thread]
        else:
            waited = []
        return [Op(Kind.END_FAULT, thread, ()) for thread in waited]

    def _run_op(self, judged: JudgedSide, op: Op, at: int) -> None:
        if self.suspicion:
            return
        memory = self._memory
        kind, thread, _ = op
        judged.before(op)
        outcome = judged.execute(op, at + 1)
        if outcome is None:
            self.suspicion = "abandoned"
            self._note_violations(judged)
            return
        as_id = memory.smm[thread] if thread < len(memory.smm) else 0
        memory.apply(op, outcome.value)
        judged.after(op, outcome, as_id)
        self.verdict.features.add(answer(judged.index, kind, outcome))
        gfn = outcome.fault_gfn
        if kind < Kind.END_FAULT:
            gfn = op.args[0]
        may_be_absent = (
            kind <= Kind.END_FAULT and judged.loses_mappings and memory.tracked(as_id, gfn)
        )
        self.operations.append(
            PlayedOp(
                op_index=at,
                kind=kind,
                thread=thread,
                outcome=outcome,
                bitmap_digest=0,
                nx=memory.nx,
                may_be_absent=may_be_absent,
                flushes=0,
                step=0,
            )
        )
        self._note_violations(judged)

    def _note_violations(self, judged: JudgedSide) -> None:
        if judged.violations:
            first = judged.violations[0]
            self.suspicion = f"{first.oracle}: {first.location}"
