# SPDX-License-Identifier: GPL-2.0-only
"""Programs that are almost a given one, made and played by the kernel's library.

Making a program, decoding it and comparing its records takes Python longer than playing it takes
the library.  So each program that Python makes is followed by some that differ a little; only what
reaches something new or looks suspicious comes back, as a program like any other.
"""

from __future__ import annotations

import ctypes
import zlib
from typing import Final

from difffuzz.native.abi.limits import GUARDS, POOL, VARIANTS_KEPT
from difffuzz.native.abi.programs import VariantsAsked
from difffuzz.program import OPS, Kind, Op, Program, is_concurrent
from difffuzz.program.limits import FEATURES, MAX_OPS
from difffuzz.sides import NativeFactory, SideFactory
from difffuzz.sides.encoded import OP_WORDS, Encoded

COUNT: Final = 64
"""Variants of a program, at most."""
ENOUGH_STEPS: Final = 400_000
"""Preemption points after which no more begin: what takes long has fewer."""
ROOM: Final = 64
"""Operations of a variant; of a longer program there are none."""


class Variants:
    """Of programs that run in lockstep on two sides of one build."""

    def __init__(self, left: NativeFactory, right: NativeFactory) -> None:
        self.played = 0
        """Variants so far."""
        self._library = left.library
        self._play = left.library.export("variants")
        self._features = (ctypes.c_ubyte * FEATURES)()
        self._guards = (ctypes.c_ubyte * GUARDS)()
        self._ops = (ctypes.c_long * (OP_WORDS * ROOM * VARIANTS_KEPT))()
        self._pool = (ctypes.c_long * (OP_WORDS * POOL))()
        self._asked = asked = VariantsAsked()
        asked.tdp_mmu[:] = [int(left.tdp_mmu), int(right.tdp_mmu)]
        asked.count, asked.most_steps, asked.room = COUNT, ENOUGH_STEPS, ROOM
        asked.features = ctypes.addressof(self._features)
        asked.guards = ctypes.addressof(self._guards)
        asked.ops = ctypes.addressof(self._ops)
        asked.pool = ctypes.addressof(self._pool)

    def known(self, features: set[int]) -> None:
        """Some program has reached these."""
        seen = self._features
        for one in features:
            seen[one] = 1

    def near(self, program: Program, max_steps: int, told: tuple[bool, bool]) -> list[Program]:
        """Those that are worth a run, of some that are almost the program.

        `told`: of the left side and of the right one, Filter.is_told().
        """
        if not can_vary(program):
            return []
        asked = self._asked
        encoded = Encoded(program)
        asked.program = encoded.at(True, 0, max_steps, False)
        asked.unprotected[:] = [int(one) for one in told]
        asked.seed = zlib.crc32(repr(program.ops).encode())
        self._library.calls += 1
        self._play(ctypes.addressof(asked))
        self.played += asked.played
        found = []
        at = 0
        for length in asked.kept[: asked.nr_kept]:
            end = at + length * OP_WORDS
            found.append(program._replace(ops=_operations(self._ops[at:end])))
            at = end
        return found


def can_vary(program: Program) -> bool:
    """Does a program whose operations are changed as vary.c does it keep every rule?"""
    config = program.config
    return (
        0 < len(program.ops) <= ROOM <= MAX_OPS
        and config.guest == "none"
        and not config.host_errs
        and not is_concurrent(program)
        and not any(op.kind == Kind.VCPU_CREATE for op in program.ops)
    )


def _operations(words: list[int]) -> tuple[Op, ...]:
    """PlayOps, as longs."""
    found = []
    for at in range(0, len(words), OP_WORDS):
        kind = Kind(words[at])
        args = words[at + 2 : at + 2 + len(OPS[kind].fields)]
        found.append(Op(kind, words[at + 1], tuple(args)))
    return tuple(found)


def variants_of(left: SideFactory, right: SideFactory) -> Variants | None:
    """None unless both sides are of one build of the kernel's own code."""
    if not isinstance(left, NativeFactory) or not isinstance(right, NativeFactory):
        return None
    return Variants(left, right) if left.library.path == right.library.path else None
