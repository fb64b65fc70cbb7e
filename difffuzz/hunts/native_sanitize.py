# SPDX-License-Identifier: GPL-2.0-only
"""Plays the corpus, and generated programs, on a build under the sanitizers of addresses and of
undefined behaviour: harness/native/machine and user/ under both, the kernel's own code and what
stands beside it under those rules of undefined behaviour that the kernel keeps.

The library of the sanitizers has to be loaded before Python: the programs are played in a child.
Exit status: 1 if a sanitizer objects; what it says, and the program, are on stderr.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
from collections.abc import Iterator

from ..errors import MissingTool
from ..native.build import Wish, build
from ..native.cache import default_cache
from ..native.run import PACKAGES, find, install_command
from ..program import Program, generate, is_concurrent, parse, render
from ..program.generate_guest import at_once, generate_guest
from ..program.model import GUESTS
from ..running.policy import FUZZ_STEPS, POLICY
from ..script import end, note
from ..shipped import CORPUS
from ..sides import NativeFactory, open_side
from ..sides.encoded import Encoded, Threads
from ..sides.played import Player

NAME = "sanitized"
STEPS = FUZZ_STEPS * POLICY.native_steps
WALKS = 4
"""Schedules of each program whose threads run at once."""
OPTIONS = {
    # Bad accesses are the harness's to handle; what lives until the end is no leak.
    "ASAN_OPTIONS": "detect_leaks=0:handle_segv=0:handle_sigbus=0:handle_sigill=0:handle_sigfpe=0",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


def programs(seed: int, count: int) -> Iterator[Program]:
    """Those of the corpus, then generated ones, by turns with threads and without; half of them
    have a guest with page tables."""
    for path in sorted(CORPUS.rglob("*.difffuzz")):
        yield parse(path.read_text(), str(path))
    rng = random.Random(seed)
    for number in range(count):
        if number % 4 < 2:
            yield generate(rng, concurrent=number % 2 == 0)
        else:
            one = generate_guest(rng, GUESTS[1 + number // 4 % (len(GUESTS) - 1)])
            yield at_once(rng, one) if number % 2 else one


def play_all(seed: int, count: int) -> None:
    """In the child.  Each program is said before it is played, so that the last one is known."""
    players = []
    for number, base in enumerate(("legacy", "tdp")):
        side = open_side(f"native:{NAME}:{base}")
        assert isinstance(side, NativeFactory)
        players.append((side, Player(side.library, side.tdp_mmu, number)))
    for program in programs(seed, count):
        print(render(program), end="\0", flush=True)
        walks: list[Threads | None] = [None]
        if is_concurrent(program):
            walks += [Threads(seed=walk + 1, gap=20) for walk in range(WALKS)]
        for side, player in players:
            if program.config.paging != "tdp" and side.tdp_mmu:
                continue
            for threads in walks:
                player.play(Encoded(program, threads) if threads else Encoded(program), STEPS)


def sanitizer_library() -> str:
    """Where gcc has the one that is loaded first. MissingTool."""
    gcc = find("gcc")
    asked = [str(gcc), "-print-file-name=libasan.so"]
    found = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    if not os.path.isabs(found):
        raise MissingTool("no libasan", install_command(PACKAGES["gcc"]))
    return found


def main() -> int:
    """Build, play, print."""
    parser = argparse.ArgumentParser(
        prog="scripts/native-sanitize", description="Play programs under sanitizers."
    )
    parser.add_argument("--programs", type=int, default=1000, help="generated, besides the corpus")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        play_all(options.seed, options.programs)
        return 0
    build(Wish(coverage=False, sanitize=True, name=NAME), default_cache(), note)
    words = ["--child", "--seed", str(options.seed), "--programs", str(options.programs)]
    child = subprocess.run(
        [sys.executable, "-m", "difffuzz.hunts.native_sanitize", *words],
        env={**os.environ, **OPTIONS, "LD_PRELOAD": sanitizer_library()},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    played = child.stdout.split("\0")[:-1]
    if child.returncode:
        note(f"native-sanitize: the last of {len(played)} programs (status {child.returncode}):")
        note(played[-1] if played else "none was played")
        return 1
    print(f"{len(played)} programs played, and no sanitizer objects")
    return 0


if __name__ == "__main__":
    end("native-sanitize", main)
