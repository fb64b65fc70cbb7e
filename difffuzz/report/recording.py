# SPDX-License-Identifier: GPL-2.0-only
"""A recorded run: what its sides' threads did, held, changed and cached, event by event.

The page and the trace are made of this and of nothing else.  A gfn, pfn or number of pages counts
4K pages; a level is 1 (4K), 2 (2M) or 3 (1G) and up; numbers of 64 bits are hexadecimal text.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec


class What(StrEnum):
    """What an event tells."""

    BEGINS = "begins"
    """The thread begins the operation `op`; `text` is the operation."""
    ENDS = "ends"
    """It is over; `text` is how."""
    GOES_ON = "goes on"
    """The thread goes on in place of another one, which stands as `text` and `functions` say."""
    WAITS = "waits"
    """The thread waits for `lock`, or for what `text` says."""
    LOCK = "lock"
    """It takes `lock`, shared or `exclusive`."""
    UNLOCK = "unlock"
    RCU = "rcu"
    """It enters an RCU read section."""
    RCU_ENDS = "rcu ends"
    INVALIDATES = "invalidates"
    """The host is about to change a range of host addresses, `text`: a window opens."""
    INVALIDATED = "invalidated"
    """The change is done: the window closes."""
    SPTE = "spte"
    """The thread changes SPTEs: `changes`."""
    TABLE = "table"
    """A page table is written as a whole, comes or goes."""
    TLB = "tlb"
    """`tlb` is what the TLB of the vCPU `vcpu` holds now."""
    OWED = "owed"
    """`owed` are the requests that the vCPU `vcpu` has not served yet."""
    FOUND = "found"
    """An oracle objects; `text` is what it says."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """An SPTE, decoded.  `kind`: as sides/spte_text.py; `pfn`: "" for none."""

    value: str
    kind: str
    pfn: str = ""
    bits: tuple[str, ...] = ()


class Row(msgspec.Struct, frozen=True, omit_defaults=True, array_like=True):
    """Entries `first` to `last` of a table, by index: alike, but that they map one page after the
    other.  `entry`: the number of the first one's Entry; `child`: the table it points to, or -1."""

    first: int
    last: int
    entry: int
    child: int = -1


class TableState(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a page table holds from an event on.  `table` names it, `gfn` is the first that it maps,
    `level` that of its entries; `note`: what is special about the whole."""

    table: int
    level: int
    gfn: int
    smm: bool = False
    note: str = ""
    rows: tuple[Row, ...] = ()


class Change(msgspec.Struct, omit_defaults=True):
    """`count` SPTEs from `gfn` on, in a table of that level, went from one Entry to another; the
    numbers are those of the first one's Entries."""

    gfn: int
    level: int
    old: int
    new: int
    count: int = 1
    smm: bool = False


class Event(msgspec.Struct, omit_defaults=True):
    """One thing that happened on side `side`, 0 or 1, after `step` preemption points of its run.

    `thread`: as in a program, -1 for the main one; `functions`: where, the innermost first.
    """

    side: int
    step: int
    thread: int
    what: What
    text: str = ""
    op: int = -1
    functions: tuple[str, ...] = ()
    lock: str = ""
    exclusive: bool = False
    changes: list[Change] = []
    tables: list[int] = []
    """Numbers of the TableStates that hold from here on."""
    gone: list[int] = []
    """Tables that are freed."""
    vcpu: int = -1
    tlb: list[str] = []
    owed: list[str] = []


class Side(msgspec.Struct, omit_defaults=True):
    """`code`: model, kernel or specification; `untold`: what of it cannot be told, in sentences."""

    name: str
    digest: str
    code: str
    threads: list[int] = []
    vcpus: int = 0
    untold: list[str] = []


class Objection(msgspec.Struct, omit_defaults=True):
    """A divergence, with the property that its oracle states."""

    oracle: str
    property: str
    signature: str
    detail: str
    op: int = -1


class Recording(msgspec.Struct, omit_defaults=True):
    """The whole.  `operations`: the program's, as text; `threads`: names by number, the last
    that of -1, who makes and ends the VM."""

    name: str
    program: str
    operations: list[str]
    threads: list[str]
    concurrent: bool
    sides: list[Side]
    objections: list[Objection] = []
    alike: bool = False
    """Both sides break the property: there is no difference between them."""
    allowed: list[str] = []
    entries: list[Entry] = []
    states: list[TableState] = []
    events: list[Event] = []
