# SPDX-License-Identifier: GPL-2.0-only
"""How much is spent on which programs and schedules: the numbers that a Runner goes by.

Steps are preemption points, of both sides together unless a field says otherwise; shares are
between 0 and 1.  What is drawn depends on the program and its digest only: runs are repeatable.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Policy:
    """The schedule of a program that has none, which programs are searched, how far runs go."""

    blocks: float = 0.4
    """Share of programs without a schedule whose threads run one after the other: what each does
    meets what those before it did."""
    walks: float = 0.25
    """Share of those programs that get a random walk; the rest gets PCT."""
    walk_gaps: tuple[float, ...] = (5.0, 20.0, 60.0)
    """Steps between two switches of a random walk, about: one of these."""
    pct_gaps: tuple[int, ...] = (30, 60, 120, 400)
    """Steps between two changes of priority, about: of PCT's depth, so much falls to each race."""
    pct_steps: int = 40
    """Steps of an operation, about, on either side."""

    searched: float = 0.3
    """Share of the small programs that are searched, however often their threads met like that."""
    search_to_runs: int = 4
    """Steps of searches for each step of the concurrent runs, at most: four fifths of the time."""
    search_steps: tuple[int, ...] = (3_000, 10_000, 30_000)
    """Steps of a search of one phase, about, on one side: ten to a few hundred schedules, in
    random order.  Half of the catalogue's bugs show within 3,000, most within 30,000.  The last is
    for phases of two operations too: 21a36ac6b6c7 takes 10,000 to 33,000 there."""
    searched_legacy: float = 0.3
    """How often the legacy MMU's schedules are searched and not the TDP MMU's: its mmu_lock leaves
    few that differ."""
    search_preemptions: tuple[int, ...] = (2, 2, 2, 3)
    """Preemptions of a search: one of these, as the program determines."""
    small_steps: int = 1200
    """A program is small if it takes no more steps."""
    smallest_steps: int = 300
    """One that takes more is the less likely searched, the more it takes: each schedule costs
    that."""

    delayed: float = 0.5
    """Where stores may be delayed, they are in so many of the runs and searches."""
    native_walks: int = 32
    """Schedules, on each side that is the kernel's own code, for a program of threads."""
    walked_steps: int = 150_000
    """Steps of them on each side after which no more begin: what takes long has fewer."""
    judged_of: int = 8
    """One of so many programs of threads is run by the engine, too, whatever its walks show, if no
    model takes part."""
    judged_walks: int = 2
    """Of the suspicious ones among them, so many are judged."""
    native_steps: int = 10
    """Steps of the kernel's code for each of the model's: it looks at each of a table's 512
    entries, the model at those that are there."""


POLICY = Policy()
"""What a Runner goes by if it is told nothing else."""

SEARCHING = Policy(searched=1.0, search_to_runs=40, smallest_steps=1200, native_walks=64)
"""Of who does little but search the schedules of small programs."""

FUZZ_STEPS = 60_000
"""Steps after which a fuzzer gives up a program: a usual one takes six hundred."""
