# SPDX-License-Identifier: GPL-2.0-only
"""What libFuzzer calls for each input, whoever decides what a divergence means.

The fuzzing worker (worker.py) goes on after a finding; a target for a fuzzing service
(`service_main`) lets the process crash, which is how such a service learns of one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from ..errors import MissingTool, UsageError
from ..program import Program, render
from ..program.limits import MAX_BYTES
from . import instrument
from .branches import Branches
from .corpus import pagings_of
from .feedback import CoverageGuard, Feedback
from .mutation import ProgramMutation
from .operators import OperatorCounts

if TYPE_CHECKING:  # the runner loads the model, which has to wait for the instrumentation
    from ..oracle.verdict import Verdict
    from ..running.runner import Runner

PARTS = ("mutator", "states", "variants")
"""What a measurement may leave out: all that knows programs (the mutator, generated seeds), the
states reached as a signal beside the branches taken, what native libraries make by themselves."""
KEEP_STEPS = 20_000
"""Preemption points, some thirty times those of a usual program."""


class DivergenceFound(Exception):
    """The two sides differ; the text names the signature."""


class Target:
    """Runs inputs and feeds libFuzzer with what they reach."""

    __slots__ = (
        "_guard",
        "_without",
        "feedback",
        "mutation",
        "operators",
        "phrases",
        "run",
        "ways",
    )

    def __init__(
        self,
        run: Runner,
        atheris: Any,
        branches: Branches,
        without: Sequence[str] = (),
        seed: int | None = None,
    ) -> None:
        """`seed`: of new programs, of which corpus.prepare() wrote the first; None: libFuzzer's."""
        self.run = run
        self._without = frozenset(without)
        self.mutation = ProgramMutation(
            run.mode,
            pagings_of(run.left, run.right),
            seed=seed,
            begun=seed is not None,
        )
        self.operators = OperatorCounts()
        self.phrases = OperatorCounts()
        self.ways = OperatorCounts()
        """How programs were scheduled."""
        self.feedback = Feedback(atheris, branches, run.guards)
        self._guard: CoverageGuard | None = CoverageGuard()

    def execute(self, data: bytes) -> tuple[Program, Verdict | None, bool]:
        """Run one input: what it was, what came of it, whether that was new.

        There is no verdict if a side cannot run a program of its configuration.

        MissingTool if the model turns out not to be instrumented.
        """
        program = self.mutation.decode(data)
        self.feedback.start()
        try:
            verdict = self.run(program)
        except UsageError:
            return program, None, False
        # A slow program (it splits a whole 1G page, say) is run, but not kept to breed from.
        earned = verdict.steps <= KEEP_STEPS and self.feedback.finish(
            () if "states" in self._without else verdict.features
        )
        if earned and self.run.variants is not None:
            self.run.variants.known(verdict.features)
        origin = self.mutation.origin(data)
        if earned and not verdict.divergences and "variants" not in self._without:
            self.mutation.follow(data, self.run.near(program))
        self.operators.count(origin.operators, earned)
        self.phrases.count(origin.phrases, earned)
        if origin.operators:
            self.ways.count((self.run.way,), earned)
        # Of the kernel's own code only a build with coverage has branches.
        reached = self.feedback.states if self.run.fast else self.feedback.branches
        if self._guard is not None and self._guard.after(len(reached)):
            self._guard = None
        return program, verdict, earned

    @property
    def moves(self) -> bool:
        """Coverage has grown since the first program."""
        return self._guard is None

    def is_stable(self, program: Program) -> bool:
        """Runs a program twice under its own schedule: does it reach the same both times?"""
        once, again = (self.run(program, trace=True) for _ in range(2))
        return once.features == again.features and once.steps == again.steps

    def fuzz(self, atheris: Any, arguments: list[str], test_one_input: Any) -> NoReturn:
        """Hand over to libFuzzer: `arguments` are its own, the first names the program."""
        mutation = self.mutation
        own = {"custom_mutator": mutation.mutate, "custom_crossover": mutation.crossover}
        atheris.Setup(arguments, test_one_input, **({} if "mutator" in self._without else own))
        atheris.Fuzz()
        raise AssertionError("atheris.Fuzz() returned")


def service_main(left: str, right: str, mode: str = "portfolio") -> NoReturn:
    """The whole of a fuzz target that takes libFuzzer's flags from the command line."""
    atheris = instrument.atheris_module()
    branches = instrument.install()
    from ..running.policy import FUZZ_STEPS
    from ..running.runner import Runner

    target = Target(Runner(left, right, mode, FUZZ_STEPS, explores=True), atheris, branches)

    def test_one_input(data: bytes) -> None:
        try:
            program, verdict, _ = target.execute(data)
        except MissingTool as error:
            print(f"difffuzz: {error}", file=sys.stderr, flush=True)
            os._exit(3)
        if verdict is not None and verdict.schedule is not None:
            program = program._replace(schedule=verdict.schedule)
        for found in verdict.divergences[:1] if verdict is not None else ():
            print(f"{render(program)}# {found.detail}", file=sys.stderr, flush=True)
            raise DivergenceFound(found.signature)

    defaults = [f"-max_len={MAX_BYTES}", "-len_control=0"]
    target.fuzz(atheris, [sys.argv[0], *defaults, *sys.argv[1:]], test_one_input)
