# SPDX-License-Identifier: GPL-2.0-only
"""A file with a trace: its events, what was skipped, whose it is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

from difffuzz.booted.ret_pf import ret_pf_names
from difffuzz.errors import UsageError
from difffuzz.files.read import read_text
from difffuzz.files.seems import seems_to_be

from .events import Changed, Event, PageFault, SpteSet, event_of, known
from .faults import Fault, faults_of
from .layout import Layout, layout_of, leaf, present
from .lines import MAX_TRACE, Lost, read_lines

NEWER: Final = (6, 12)
"""RET_PF_WRITE_PROTECTED came with it."""
_HIGH: Final = ~((1 << 32) - 1)


class Trace(NamedTuple):
    """What a file told.  `events` are in the order of their lines, gaps among them."""

    path: str
    events: list[Event | Lost]
    faults: list[Fault]
    skipped: Counter[str]
    """Lines of events that are not read, by event."""
    broken: list[int]
    """Lines of known events that are not whole."""
    layout: Layout | None
    intel: bool
    """Error codes are EPT's exit qualifications."""
    kernel: tuple[int, int]
    guesses: list[str]
    """What was guessed, a sentence each."""

    @property
    def tdp(self) -> bool:
        """The TDP MMU was traced."""
        return any(isinstance(event, Changed) for event in self.events)

    def answer(self, ret: int) -> str:
        """The name behind RET_PF_, or the number."""
        names = ret_pf_names(self.kernel)
        return names[ret] if 0 <= ret < len(names) else str(ret)


def read_trace(path: Path, kernel: tuple[int, int] | None = None) -> Trace:
    """Reads a trace.  `kernel`: its version, else it is guessed.

    UsageError: the file cannot be read, or has no event that KVM's MMU writes.
    """
    text = read_text(path, MAX_TRACE)
    events: list[Event | Lost] = []
    skipped: Counter[str] = Counter()
    broken: list[int] = []
    for line in read_lines(text):
        if isinstance(line, Lost):
            events.append(line)
            continue
        event = event_of(line)
        if event is not None:
            events.append(event)
        elif known(line.event):
            broken.append(line.number)
        else:
            skipped[line.event] += 1
    if all(isinstance(event, Lost) for event in events):
        raise UsageError(f"{path}: {_no_trace(text, skipped, broken)}")
    guesses: list[str] = []
    faults = faults_of(events)
    layout = layout_of(list(_leaves(events)))
    intel = _intel(events, layout, guesses)
    if kernel is None:
        kernel = _kernel(events, faults, guesses)
    return Trace(
        str(path), events, faults, skipped, broken, layout, intel, kernel, guesses
    )  # fmt: skip


def _no_trace(text: str, skipped: Counter[str], broken: list[int]) -> str:
    if broken:
        return f"line {broken[0]}: an event of KVM that is not whole, and no other"
    if skipped:
        named = ", ".join(name for name, _ in skipped.most_common(3))
        return f"a trace without an event of KVM's MMU: it has {named}"
    return f"expected an ftrace text, this is {seems_to_be(text.encode())}"


def _leaves(events: Iterable[Event | Lost]) -> Iterable[int]:
    for event in events:
        if isinstance(event, Changed) and leaf(event.new, event.level):
            yield event.new
        elif isinstance(event, SpteSet) and present(event.spte):
            yield event.spte


def _intel(events: Iterable[Event | Lost], layout: Layout | None, guesses: list[str]) -> bool:
    """AMD's codes have a bit from 32 on for each nested fault; else SPTEs decide."""
    codes = [event.code for event in events if isinstance(event, PageFault)]
    if any(code & _HIGH for code in codes):
        return False
    if any(code & 0x180 for code in codes) or (layout is not None and layout.name == "ept"):
        if codes:
            guesses.append("error codes are taken for exit qualifications of EPT")
        return True
    return False


def _kernel(
    events: Iterable[Event | Lost], faults: list[Fault], guesses: list[str]
) -> tuple[int, int]:
    """Which numbers RET_PF_* have: the usual answer of faults that set an SPTE is FIXED."""
    rets = Counter(fault.ret for fault in faults if fault.sets and fault.ret in (4, 5))
    high = any(isinstance(event, Changed) and event.new == 1 << 63 for event in events)
    newer = high or rets[5] > rets[4]
    if any(fault.ret is not None for fault in faults):
        what = "6.12 or newer" if newer else "a kernel before 6.12"
        guesses.append(f"numbers of RET_PF are taken for those of {what}: --kernel tells")
    return NEWER if newer else (6, 1)
