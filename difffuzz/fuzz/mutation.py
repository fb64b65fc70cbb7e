# SPDX-License-Identifier: GPL-2.0-only
"""libFuzzer's custom mutator and crossover: bytes in, bytes out, programs in between."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import NamedTuple

from ..program import Program, decode, encode, is_concurrent, mutate, normalise
from ..program.generate_guest import at_once
from ..program.model import GUESTS
from ..program.mutate import fresh
from .stream import New, first_of, stream

RECENT = 64
"""Programs kept as partners of mutators that take a second program."""
DECODED = 1024
"""Decoded programs kept: libFuzzer comes back to the same corpus entries."""
FRESH = 0.65
"""How often a program from nothing comes instead of a mutant: it finds more (docs/benchmark.md)."""
FRESH_ALONE = 0.8
"""The same in lockstep.  So much at least: once the corpus is read, no bug takes more than 1.3
times what the new programs alone would take, in executions, whatever mutants are worth."""
ADD_SCHEDULE = 0.3
"""How often a portfolio's program that runs one operation at a time may become concurrent."""
ANY_PAGING = 0.3
"""How often a mutant's paging mode is drawn anew, where both sides can run more than one."""
VARIANT = "variant"
"""The operator of programs that the library made (engine/variants.py)."""
CROSSED = 0.25
"""libFuzzer asks for a crossover every second time; so many of these requests are granted."""
CROSSED_ALONE = 0.05
"""The same outside concurrent runs, so that new programs keep their share."""


class Origin(NamedTuple):
    """What an input was made of, and by what; empty for one that was read."""

    parents: tuple[bytes, ...] = ()
    """None: it is new from nothing."""
    operators: tuple[str, ...] = ()
    """Mutators, or "crossover", or VARIANT."""
    phrases: tuple[str, ...] = ()
    """Of the generator."""


class ProgramMutation:
    """Mutates programs; what it makes depends on its seed, its inputs and their order only."""

    __slots__ = (
        "_decode",
        "_made",
        "_made_program",
        "_mode",
        "_new",
        "_origin",
        "_pagings",
        "_parents",
        "_phrases",
        "_ran",
        "_read",
        "_recent",
        "_rng",
        "_seed",
        "_turn",
        "_used",
        "_waiting",
    )

    def __init__(
        self,
        mode: str = "lockstep",
        pagings: Sequence[str] = ("tdp",),
        *,
        seed: int | None = None,
        begun: bool = False,
    ) -> None:
        """`seed`: of the new programs; None: libFuzzer's first.  `begun`: what is read has the
        first ones."""
        self._mode = mode
        self._pagings = pagings
        self._seed = seed
        self._read = first_of(mode) if begun else {}
        """New programs that were read, by whether they are concurrent."""
        self._new: dict[bool, Iterator[New]] = {}
        """New programs: concurrent ones, and others."""
        self._rng = random.Random(0)
        self._decode = lru_cache(maxsize=DECODED)(decode)
        self._recent: list[Program] = []
        self._turn = 0
        self._made: bytes | None = None
        self._made_program: Program | None = None
        self._origin = Origin()
        self._ran = False
        """What was made last was run."""
        self._parents: tuple[bytes, ...] = ()
        self._used: list[str] = []
        self._phrases: list[str] = []
        self._waiting: list[tuple[bytes, Program]] = []

    def decode(self, data: bytes) -> Program:
        """The program of `data`, which is about to be run; free for what the mutator made last."""
        self._ran = True
        return self._program(data)

    def _program(self, data: bytes) -> Program:
        program = self._made_program
        if program is None or data != self._made:
            program = self._decode(data)
        return program

    def origin(self, data: bytes) -> Origin:
        """Where `data` comes from, if that was made last."""
        return self._origin if data == self._made else Origin()

    def _descend(self, *parents: bytes) -> None:
        """What is made next comes from these: libFuzzer mutates an input a few times in a row."""
        if self._ran or parents[0] != self._made:
            self._parents = parents
            self._used.clear()
            self._phrases.clear()

    def mutate(self, data: bytes, max_size: int, seed: int) -> bytes:
        """atheris' custom_mutator: a changed program, in at most max_size bytes."""
        if self._waiting:
            return self._next(max_size)
        rng = self._begin(seed)
        self._descend(data)
        program = self._program(data)
        other = rng.choice(self._recent) if self._recent else None
        self._remember(program)
        return self._encode(self._mutated(program, other), max_size)

    def _begin(self, seed: int) -> random.Random:
        """The choices of one mutation."""
        if self._seed is None:
            self._seed = seed
        self._rng.seed(seed)
        return self._rng

    def _mutated(self, program: Program, other: Program | None) -> Program:
        """A mutant, or a new program; a mutant's schedule changes too if it may have one, and its
        guest's paging mode."""
        if len(self._pagings) > 1 and self._rng.random() < ANY_PAGING:
            config = program.config._replace(paging=self._rng.choice(self._pagings))
            program = normalise(program._replace(config=config))
        if self._mode == "guests" and program.config.guest == "none":
            config = program.config._replace(guest=self._rng.choice(GUESTS[1:]))
            program = normalise(program._replace(config=config))
        concurrent = self._mode == "concurrent"
        if self._mode == "guests":
            if self._rng.random() < ADD_SCHEDULE:
                program = at_once(self._rng, program)
            concurrent = is_concurrent(program)
        if self._mode == "portfolio":
            concurrent = is_concurrent(program) or self._rng.random() < ADD_SCHEDULE
        if self._rng.random() < (FRESH if concurrent else FRESH_ALONE):
            self._used.append(fresh.name)
            if program.config.guest != "none":
                return fresh.anew(program, self._rng, concurrent, self._phrases)
            return self._next_new(concurrent)
        return mutate.mutate(program, self._rng, other, concurrent=concurrent, used=self._used)

    def _next_new(self, concurrent: bool) -> Program:
        """The next new program."""
        made = self._new.get(concurrent)
        if made is None:
            seed = self._seed
            assert seed is not None
            made = stream(seed, self._pagings, concurrent=concurrent)
            made = self._new[concurrent] = islice(made, self._read.get(concurrent, 0), None)
        new = next(made)
        self._phrases += new.phrases
        return new.program

    def crossover(self, left: bytes, right: bytes, max_size: int, seed: int) -> bytes:
        """atheris' custom_crossover: a program made of the two, or a mutation of the first."""
        if self._waiting:
            return self._next(max_size)
        rng = self._begin(seed)
        self._descend(left, right)
        first, second = self._program(left), decode(right)
        if rng.random() >= (CROSSED if self._mode == "concurrent" else CROSSED_ALONE):
            return self._encode(self._mutated(first, second), max_size)
        self._used.append("crossover")
        return self._encode(mutate.crossover(first, second, rng), max_size)

    def _encode(self, program: Program, max_size: int) -> bytes:
        """What is made of a program whose host errs is one of a host that does not: what KVM says
        of such a host is no news."""
        if program.config.host_errs:
            config = program.config._replace(host_errs=False)
            program = normalise(program._replace(config=config))
        data = encode(program)
        if len(data) > max_size:  # any prefix is a program as well
            data = data[:max_size]
            program = decode(data)
        self._made, self._made_program = data, program
        self._ran = False
        parents = () if self._phrases else self._parents
        operators, phrases = (tuple(dict.fromkeys(one)) for one in (self._used, self._phrases))
        self._origin = Origin(parents, operators, phrases)
        return data

    def follow(self, data: bytes, variants: list[Program]) -> None:
        """These come next: they are almost `data`, and worth a run."""
        self._waiting += [(data, one) for one in variants]

    def _next(self, max_size: int) -> bytes:
        parent, program = self._waiting.pop(0)
        self._parents = (parent,)
        self._phrases.clear()
        self._used[:] = [VARIANT]
        return self._encode(program, max_size)

    def _remember(self, program: Program) -> None:
        if len(self._recent) < RECENT:
            self._recent.append(program)
        else:
            self._recent[self._turn] = program
            self._turn = (self._turn + 1) % RECENT
