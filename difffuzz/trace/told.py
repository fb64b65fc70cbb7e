# SPDX-License-Identifier: GPL-2.0-only
"""What a rule is, and what it tells: lines of a trace, and whether they prove it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from .events import Event
from .reading import Trace
from .slots import TracedSlot


class Finding(NamedTuple):
    """`proven`: these lines are wrong whatever was not traced; else something else may be why."""

    rule: str
    proven: bool
    lines: tuple[int, ...]
    """Numbers of the trace's lines, from 1."""
    text: str


class Rule(NamedTuple):
    """One rule.  `needs`: what a trace lacks that it cannot be judged without; empty: nothing."""

    name: str
    says: str
    source: str
    """The kernel function that gives the guarantee."""
    needs: Callable[[Trace, list[TracedSlot]], str]
    judge: Callable[[Trace, list[TracedSlot]], Iterator[Finding]]
    one_vm: bool = False
    """It joins events of several tasks, which have to be of one VM."""


def found(rule: str, events: Iterable[Event], text: str, proven: bool = True) -> Finding:
    """A finding that these events show."""
    return Finding(rule, proven, tuple(event.line.number for event in events), text)
